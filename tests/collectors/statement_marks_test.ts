// The table of marks, looked up as the server does.
import assert from "node:assert/strict";
import fc from "fast-check";
import { emptyTable, layOutTable, type Mark } from "../../collectors/statement_marks.ts";
import { seededRandom } from "../support/seeded_random.ts";
import { lookUp } from "../support/statement_marks.ts";

const mark = fc.record<Mark>({
  place: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  value: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
});

Deno.test("layOutTable gives nearly every mark a place of its own", () => {
  for (const count of [1, 100, 5_000, 20_000]) {
    const random = seededRandom(count);
    const below = (limit: number) => Math.floor(random() * limit);
    const marks = Array.from(
      { length: count },
      () => ({ place: below(2 ** 32) * 65_536 + below(2 ** 16), value: below(2 ** 31) }),
    );
    const table = layOutTable(marks);
    const placed = marks.filter(({ place, value }) => lookUp(table, place) === value).length;
    assert.ok(placed >= count * 0.99, `${placed} of ${count}`);
    assert.ok(table.slots.length <= Math.max(1_024, count * 12), `${table.slots.length} bytes for ${count}`);
  }
});

Deno.test("layOutTable shows no mark in two places, and leaves the others empty", () => {
  const crowded = fc.record<Mark>({
    place: fc.integer({ min: 0, max: 600 }).map((place) => place * 65_521),
    value: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  });
  fc.assert(
    fc.property(fc.array(crowded, { maxLength: 700 }), (marks) => {
      const { slots } = layOutTable(marks, 256);
      const view = new DataView(slots.buffer);
      const values = Array.from({ length: slots.length / 4 }, (_, index) => view.getInt32(index * 4));
      const remaining = new Map<number, number>();
      for (const { value } of marks) remaining.set(value, (remaining.get(value) ?? 0) + 1);
      for (const value of values.filter((value) => value !== -1)) {
        const left = remaining.get(value) ?? 0;
        assert.ok(left > 0);
        remaining.set(value, left - 1);
      }
    }),
    { numRuns: 200 },
  );
});

Deno.test("emptyTable knows of nothing", () => {
  fc.assert(fc.property(mark, ({ place }) => assert.equal(lookUp(emptyTable, place), -1)));
});

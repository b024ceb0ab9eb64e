/**
 * Which numbers have arrived, in whatever order, and what is missing between them.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { Database } from "../../../tasks/listener/database.ts";
import { addSequence, holesOf, lifeOf } from "../../../tasks/listener/sequences.ts";

const all = { fromMs: 0, toMs: 1e15 };

function ranges(database: Database): number[][] {
  return database.all("SELECT first, last FROM sequence_range ORDER BY first").map((row) => [
    Number(row.first),
    Number(row.last),
  ]);
}

Deno.test("addSequence keeps ranges that neither touch nor overlap, whatever the order", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 40 }), (sequences) => {
    const database = new Database(":memory:");
    for (const sequence of sequences) addSequence(database, { agentId: 1, life: 1, sequence, atMs: sequence * 1_000 });
    const arrived = [...new Set(sequences)].toSorted((a, b) => a - b);
    const expected: number[][] = [];
    for (const sequence of arrived) {
      const last = expected.at(-1);
      if (last !== undefined && last[1] === sequence - 1) last[1] = sequence;
      else expected.push([sequence, sequence]);
    }
    assert.deepEqual(ranges(database), expected);
    // What is next to a hole tells when it began and ended.
    for (const { from, to, fromMs, toMs } of holesOf(database, 1, all)) {
      assert.deepEqual([fromMs, toMs], [(from - 1) * 1_000, (to + 1) * 1_000]);
    }
    database.close();
  }));
});

Deno.test("lifeOf begins a new life when the numbering begins anew, not when a backlog comes late", () => {
  const position = { life: 1, lastSequence: 50, lastId: "01KB0000000000000000000050" };
  assert.equal(lifeOf(position, { id: "01KB0000000000000000000051", sequence: 51 }), 1);
  assert.equal(lifeOf(position, { id: "01KB0000000000000000000030", sequence: 30 }), 1);
  assert.equal(lifeOf(position, { id: "01KC0000000000000000000001", sequence: 1 }), 2);
  assert.equal(lifeOf(position, { id: "01KC0000000000000000000050", sequence: 50 }), 2);
});

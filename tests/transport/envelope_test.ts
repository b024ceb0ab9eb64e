// What a document says around its data.
import assert from "node:assert/strict";
import { systemRandom } from "../../clock.ts";
import { lentJsonBytesMin } from "../../limits.ts";
import { createSeal, ReadyJson } from "../../transport/envelope.ts";

const origin = { project: "shop", host: "db1", version: "1.2.3" };
const ulid = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

Deno.test("createSeal writes who, what and when around the data", () => {
  const seal = createSeal(origin, { now: () => new Date("2026-11-21T03:00:01.000Z") });
  const timestamp = new Date("2026-11-21T03:00:00.123Z");
  const document = seal({ type: "pg_locks", timestamp, data: { count: 0 } }, 42);
  assert.match(document.id, ulid);
  assert.deepEqual(JSON.parse(new TextDecoder().decode(document.json)), {
    id: document.id,
    project: "shop",
    host: "db1",
    type: "pg_locks",
    sequence: 42,
    timestamp: "2026-11-21T03:00:00.123Z",
    agent: { version: "1.2.3" },
    data: { count: 0 },
  });
});

Deno.test("createSeal gives ids that rise, also when the clock goes back", () => {
  const times = [1_000, 2_000, 500, 500].map((seconds) => new Date(seconds * 1_000));
  const seal = createSeal(origin, { now: () => times.shift()! });
  const ids = times.slice().map((timestamp, index) => seal({ type: "t", timestamp, data: {} }, index).id);
  assert.deepEqual(ids, [...ids].sort());
  assert.equal(new Set(ids).size, 4);
});

Deno.test("createSeal takes a value that is JSON already as it is", () => {
  const seal = createSeal(origin, { now: () => new Date(0) });
  const entries = [{ message: 'a "quoted" é' }, { message: "b" }];
  const ready = new ReadyJson(new TextEncoder().encode(JSON.stringify(entries)));
  const timestamp = new Date(0);
  const dataOf = (data: Record<string, unknown>) =>
    JSON.parse(new TextDecoder().decode(seal({ type: "pg_log", timestamp, data }, 1).json)).data;
  assert.deepEqual(dataOf({ entries: ready, count: 2 }), { entries, count: 2 });
  assert.deepEqual(dataOf({ entries: ready }), { entries });
  assert.deepEqual(JSON.parse(JSON.stringify({ entries: ready })), { entries });
});

Deno.test("createSeal writes around a large value where there is room, again and again, and copies others", () => {
  const seal = createSeal(origin, { now: () => new Date(0) });
  const rooms = [0, 100, 100, 2_048].map((before, index) => ({ before, after: [2_048, 2_048, 0, 2_048][index]! }));
  for (const chars of [lentJsonBytesMin - 3, lentJsonBytesMin - 2]) {
    const value = `"${"é".repeat(chars / 2)}${chars % 2 === 0 ? "" : "e"}"`;
    for (const { before, after } of rooms) {
      const bytes = new TextEncoder().encode(value);
      const block = new Uint8Array(before + bytes.length + after).fill(0xff);
      block.set(bytes, before);
      const ready = new ReadyJson(block, { start: before, end: before + bytes.length });
      // The same draft under another number, as when storing it has failed.
      for (const sequence of [1, 1_234_567]) {
        const data = { count: 1, entries: ready, levels: { LOG: 2 } };
        const { json, isLent } = seal({ type: "pg_log", timestamp: new Date(0), data }, sequence);
        assert.equal(isLent, chars === lentJsonBytesMin - 2 && before + after === 4_096);
        assert.equal(json.buffer === block.buffer, isLent);
        const read = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json));
        assert.deepEqual(read.data, { entries: JSON.parse(value), count: 1, levels: { LOG: 2 } });
        assert.deepEqual([read.sequence, ready.bytes], [sequence, bytes]);
      }
    }
  }
});

Deno.test("createSeal gives an id to each of many documents of one moment, with the randomness that the agent uses", () => {
  const seals = [1, 2].map(() => createSeal(origin, { now: () => new Date(0) }, systemRandom));
  const ids = Array.from({ length: 500 }, (_, index) => {
    return seals.map((seal) => seal({ type: "t", timestamp: new Date(0), data: {} }, index).id);
  }).flat();
  assert.equal(new Set(ids).size, 1_000);
  assert(ids.every((id) => /^[0-9A-HJKMNP-TV-Z]{26}$/.test(id)));
});

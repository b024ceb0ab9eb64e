// Deltas of an extension that does not tell when an entry began.
import assert from "node:assert/strict";
import fc from "fast-check";
import { Interval, type Snapshot } from "../../collectors/statement_deltas.ts";
import { type Layout, readHead, readValues } from "../../collectors/statement_records.ts";

const names = ["userid", "dbid", "queryid", "total_time", "calls", "min_time", "max_time", "rows"];
const layout: Layout = {
  columns: names.map((name) => ({
    name,
    kind: name === "queryid" ? "text" : "number",
    cumulative: ["total_time", "calls", "rows"].includes(name),
  })),
  keyColumns: 3,
  timeColumn: "total_time",
  hasStatsSince: false,
};
const key = "10,5,1";
const statsReset = "1763705308.5";

/** The record of an entry that ran so often for so long, in milliseconds, as the server adds it up. */
function recordOf(runs: readonly number[]): string {
  const total = runs.reduce((sum, ms) => sum + ms, 0);
  return `(${key},${total},${runs.length},${Math.min(...runs)},${Math.max(...runs)},${runs.length * 2})`;
}

function snapshotOf(
  records: readonly string[],
  options: { start?: string; reset?: string; takenMs?: number } = {},
): Snapshot {
  const { start = "1", reset = statsReset, takenMs = 0 } = options;
  const entries = records.map((record): [string, string] => [readHead(record, layout).key, record]);
  return {
    records: new Map(entries.filter(([key]) => !key.endsWith(","))),
    hidden: entries.filter(([key]) => key.endsWith(",")).length,
    ...{ serverStart: start, statsReset: reset, takenMs },
  };
}

function deltaOf(before: string[], now: string[], options: { start?: string; reset?: string } = {}) {
  const snapshot = snapshotOf(now, options);
  const interval = new Interval(snapshotOf(before), snapshot, layout);
  return interval.delta(key, readValues(snapshot.records.get(key)!, layout));
}

const run = fc.oneof(
  fc.double({ min: 1e-4, max: 1e7, noNaN: true }),
  fc.integer({ min: 1, max: 5_000_000 }).map((microseconds) => microseconds / 1_000),
  fc.constantFrom(0.001, 0.1, 0.3, 1),
);
const runs = fc.array(run, { minLength: 1, maxLength: 200 });

Deno.test("Interval.delta never takes an entry that lives on for a new one", () => {
  fc.assert(
    fc.property(runs, fc.array(run, { maxLength: 200 }), (before, after) => {
      const delta = deltaOf([recordOf(before)], [recordOf([...before, ...after])])!;
      assert.equal(delta.calls, after.length);
      assert.equal(delta.rows, after.length * 2);
      const took = after.reduce((sum, ms) => sum + ms, 0);
      assert.ok(Math.abs(delta.total_time! - took) <= 1e-6 + took * 1e-9 + Math.max(...before) * 1e-9);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("Interval.delta lives through a million runs of a rounded sum", () => {
  let total = 1e9;
  const before = `(${key},${total},1000,0.1,1e9,1)`;
  for (let count = 0; count < 1_000_000; count++) total += 0.1;
  const now = `(${key},${total},1001000,0.1,1e9,1)`;
  assert.equal(deltaOf([before], [now])?.calls, 1_000_000);
});

Deno.test("Interval.delta is never negative, and whole when the entry is seen to be new", () => {
  let seen = 0;
  const numRuns = 2_000;
  fc.assert(
    fc.property(runs, runs, (before, after) => {
      const delta = deltaOf([recordOf(before)], [recordOf(after)])!;
      for (const value of Object.values(delta)) assert.ok(value !== null && value >= 0);
      if (delta.calls === after.length) seen++;
    }),
    { numRuns, seed: 1 },
  );
  // Of those that came back with more than before, the shortest and longest runs give away all but a few.
  assert.ok(seen > numRuns * 0.8, `seen ${seen} times`);
});

Deno.test("Interval.delta is of the present values for what was not there, or was reset", () => {
  const [old, now] = [recordOf([1, 2]), recordOf([1, 2, 1.5])];
  assert.equal(deltaOf([], [now])?.calls, 3);
  assert.equal(deltaOf([old], [now])?.calls, 1);
  assert.equal(deltaOf([old], [now], { reset: "1763705309" })?.calls, 3);
  assert.equal(deltaOf([now], [now], { reset: "1763705309" })?.calls, 3, "it has run as often again");
  assert.equal(deltaOf([old], [now], { start: "2" }), null);
});

Deno.test("Interval.delta is an object of its own for each entry", () => {
  const other = recordOf([1, 2]).replace(key, "10,5,2");
  const before = snapshotOf([recordOf([1]), other]);
  const now = snapshotOf([recordOf([1, 2]), other]);
  const interval = new Interval(before, now, layout);
  const [one, idle] = [...now.records].map(([key, record]) => interval.delta(key, readValues(record, layout)));
  assert.deepEqual([one?.calls, idle?.calls], [1, 0]);
});

Deno.test("Interval.delta is null for an entry that the role may only now see", () => {
  const hidden = "(10,5,,1,1,1,1,1)";
  assert.equal(deltaOf([hidden], [recordOf([1])]), null);
  assert.equal(deltaOf([hidden], [hidden, recordOf([1])])?.calls, 1);
});

Deno.test("Interval.rank gives the first by time in the interval, then in total", () => {
  const entries = Array.from({ length: 500 }, (_, id) => ({ id, before: (id * 7919) % 1_000, spent: (id * 31) % 97 }));
  const record = (id: number, ms: number) => `(10,5,${id},${ms},1,1,1,1)`;
  const before = snapshotOf(entries.map(({ id, before }) => record(id, before)));
  const now = snapshotOf(entries.map(({ id, before, spent }) => record(id, before + spent)), { takenMs: 1_500 });
  const interval = new Interval(before, now, layout);
  assert.equal(interval.seconds, 1.5);
  const expected = entries.toSorted((one, other) =>
    other.spent - one.spent || other.before + other.spent - one.before - one.spent
  ).map(({ spent, before }) => [spent, before + spent]);
  for (const count of [1, 7, 100, 1_000]) {
    assert.deepEqual(
      interval.rank(count).map(({ spentMs, totalMs }) => [spentMs, totalMs]),
      expected.slice(0, count),
    );
  }
});

// The ledger as values: joining, bounds, telling; with a property test against the plain set of lost numbers.
import assert from "node:assert/strict";
import * as limits from "../../limits.ts";
import {
  emptyLedger,
  type LossLedger,
  lossReasons,
  type LostDocument,
  parseLedger,
  withLost,
  withoutTold,
  withRange,
} from "../../transport/loss_ledger.ts";
import { seededRandom, takeSeed } from "../support/seeded_random.ts";

function lost(sequence: number, type = "pg_locks"): LostDocument {
  return { sequence, type, timestamp: new Date(sequence * 1_000).toISOString(), bytes: 10 };
}

function numbers(ledger: LossLedger): number {
  return ledger.ranges.reduce((sum, { records }) => sum + records, 0);
}

Deno.test("withLost joins neighbours of one reason, with their sums, types and span of time", () => {
  let ledger = withLost(emptyLedger, "evicted", [lost(1), lost(3, "pg_log")]);
  ledger = withLost(ledger, "rejected", [lost(2)]);
  assert.equal(ledger.ranges.length, 3);
  ledger = withLost(ledger, "evicted", [lost(2)]);
  const [evicted, rejected] = ledger.ranges;
  assert.deepEqual({ ...evicted, mark: 0 }, {
    mark: 0,
    reason: "evicted",
    from: 1,
    to: 3,
    records: 3,
    bytes: 30,
    types: { pg_locks: 2, pg_log: 1 },
    firstAt: new Date(1_000).toISOString(),
    lastAt: new Date(3_000).toISOString(),
  });
  assert.deepEqual([rejected?.from, rejected?.to], [2, 2]);
});

Deno.test("withoutTold forgets what was told as it is, and keeps what has grown since", () => {
  const first = withLost(emptyLedger, "evicted", [lost(1)]);
  const second = withLost(first, "rejected", [lost(7)]);
  assert.deepEqual(withoutTold(second, second.mark).ranges, []);
  const grown = withLost(second, "evicted", [lost(2)]);
  assert.deepEqual(withoutTold(grown, second.mark).ranges.map(({ from, to }) => [from, to]), [[1, 2]]);
  assert(withLost(withoutTold(grown, grown.mark), "evicted", [lost(3)]).mark > grown.mark, "no mark is given twice");
});

Deno.test("withRange keeps within its bounds and every lost number inside a range of its reason", () => {
  const seed = takeSeed();
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  let ledger = emptyLedger;
  const gone = new Map<number, typeof lossReasons[number]>();
  for (let step = 0; step < 2_000; step++) {
    const sequence = 1 + Math.floor(random() * 5_000);
    if (gone.has(sequence)) continue;
    const reason = lossReasons[Math.floor(random() * lossReasons.length)]!;
    gone.set(sequence, reason);
    const before = ledger.mark;
    ledger = withLost(ledger, reason, [lost(sequence, `type ${sequence % 20}`)]);
    assert(ledger.mark > before && ledger.ranges.length <= limits.lossRangesMax);
  }
  assert.equal(numbers(ledger), gone.size);
  for (const [sequence, reason] of gone) {
    const holds = ledger.ranges.some((range) =>
      range.reason === reason && range.from <= sequence && sequence <= range.to
    );
    assert(holds, `${sequence} is inside a range`);
  }
  assert(ledger.ranges.every(({ types }) => Object.keys(types).length <= limits.lossTypesMax));
});

Deno.test("withRange keeps an unknown time and type out of the sums", () => {
  const unknown = {
    reason: "quarantined",
    from: 5,
    to: 9,
    records: 5,
    bytes: 0,
    types: {},
    firstAt: null,
    lastAt: null,
  };
  const ledger = withLost(withRange(emptyLedger, { ...unknown, reason: "quarantined" }), "quarantined", [lost(10)]);
  const [range] = ledger.ranges;
  assert.deepEqual([range?.records, range?.types, range?.firstAt], [
    6,
    { pg_locks: 1 },
    new Date(10_000).toISOString(),
  ]);
});

Deno.test("parseLedger reads back what was written, and nothing else", () => {
  const ledger = withLost(emptyLedger, "evicted", [lost(1)]);
  assert.deepEqual(parseLedger(structuredClone(ledger)), ledger);
  for (const none of [null, 7, {}, { mark: -1, ranges: [] }, { mark: 1 }]) assert.equal(parseLedger(none), null);
  assert.deepEqual(parseLedger({ mark: 3, ranges: [{ reason: "evicted" }, null] }), { mark: 3, ranges: [] });
});

// The account must find what is missing, or the tests that rest on it prove nothing.
import assert from "node:assert/strict";
import { account, type StoredDocument } from "./ledger.ts";

function plain(sequence: number, id = `id-${sequence}`): StoredDocument {
  return { id, sequence, type: "test", data: {} };
}

function status(sequence: number, loss: Record<string, unknown> = {}, delivered = sequence - 1): StoredDocument {
  const figures = {
    evicted_records: 0,
    rejected_records: 0,
    quarantined_records: 0,
    unstored_records: 0,
    ranges: [],
    ...loss,
  };
  const buffer = { captured_records: sequence - 1, delivered_records: delivered, records: 0 };
  return { id: `id-${sequence}`, sequence, type: "agent_status", data: { buffer, loss: figures } };
}

Deno.test("account explains nothing that no range tells", () => {
  const { captured, delivered, unexplained } = account([plain(1), plain(3), plain(6)]);
  assert.deepEqual({ captured, delivered, unexplained }, { captured: 6, delivered: 3, unexplained: 3 });
  assert.equal(account([plain(1), plain(3)], { buffered: 1 }).unexplained, 0);
});

Deno.test("account takes the latest word on a range, and no more losses than it tells", () => {
  const evicted = (to: number, records: number) => [{ reason: "evicted", from: 1, to, records }];
  const documents = [
    status(10, { evicted_records: 2, ranges: evicted(2, 2) }, 7),
    status(11, { evicted_records: 9, ranges: evicted(9, 4) }, 1),
  ];
  const result = account(documents);
  assert.deepEqual([result.evicted, result.unexplained, result.wrongSums], [4, 5, 0]);
});

Deno.test("account explains with each range what only that one can, in whatever order they were told", () => {
  const wide = { reason: "quarantined", from: 1, to: 9, records: 3 };
  const narrow = { reason: "evicted", from: 3, to: 5, records: 3 };
  const early = { reason: "unstored", from: 1, to: 4, records: 2 };
  for (const ranges of [[wide, narrow], [narrow, wide]]) {
    const { evicted, quarantined, unexplained } = account([plain(1), plain(2), plain(7), status(10, { ranges }, 9)]);
    assert.deepEqual([evicted, quarantined, unexplained], [3, 3, 0]);
  }
  for (const ranges of [[narrow, early], [early, narrow]]) {
    const { evicted, unstored, unexplained } = account([plain(1), plain(6), plain(7), status(8, { ranges }, 7)]);
    assert.deepEqual([evicted, unstored, unexplained], [2, 2, 0]);
  }
});

Deno.test("account tells doubles, foreign ids and wrong sums apart", () => {
  const { doubles, foreignIds, wrongSums } = account([plain(1), plain(1), plain(2), plain(2, "other"), status(4)]);
  assert.deepEqual({ doubles, foreignIds, wrongSums }, { doubles: 1, foreignIds: 1, wrongSums: 0 });
  assert.equal(account([status(5, {}, 3)]).wrongSums, 1);
});

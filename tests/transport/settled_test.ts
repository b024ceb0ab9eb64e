// What is delivered and still in the file: counted once, and nothing is left when its deletion is committed.
import assert from "node:assert/strict";
import * as limits from "../../limits.ts";
import { headerOf, storedBytes } from "../../transport/kv_records.ts";
import { Settled } from "../../transport/settled.ts";

function header(sequence: number) {
  const identity = { id: `${sequence}`, sequence, type: "test", timestamp: "" };
  return headerOf(identity, { gzip: new Uint8Array(100), tells: undefined });
}

Deno.test("Settled counts each document once, and what was refused apart", () => {
  const settled = new Settled();
  settled.deliver(1, header(1));
  settled.deliver(1, header(1));
  settled.refuse(2, "The listener answered 422");
  settled.refuse(1, "too late");
  settled.deliver(3, null);
  assert.deepEqual([...settled.numbers()], [1, 2, 3]);
  assert.deepEqual([settled.deliveredRecords, settled.deliveredBytes], [2, storedBytes({ gzipBytes: 100 })]);
  assert.deepEqual([...settled.refused.keys()], [2]);
  settled.clear();
  assert.deepEqual([settled.size, settled.deliveredRecords, settled.deliveredBytes, settled.refused.size], [
    0,
    0,
    0,
    0,
  ]);
});

Deno.test("Settled keeps headers of a bounded number, and the figures of all", () => {
  const settled = new Settled();
  const count = limits.settledTogetherMax + 10;
  for (let sequence = 1; sequence <= count; sequence++) settled.deliver(sequence, header(sequence));
  assert.equal(settled.header(count), undefined);
  assert.notEqual(settled.header(1), undefined);
  assert.deepEqual([settled.deliveredRecords, settled.deliveredBytes], [
    count,
    count * storedBytes({ gzipBytes: 100 }),
  ]);
});

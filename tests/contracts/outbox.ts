/**
 * What every outbox keeps (transport/outbox.ts), run over each of them.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Seal } from "../../transport/envelope.ts";
import type { LossReason } from "../../transport/loss_ledger.ts";
import type { Outbox, OutboxEntry } from "../../transport/outbox.ts";
import { draftOf, readEntry, testSeal } from "../support/drafts.ts";
import { waitFor } from "../support/wait_for.ts";

export interface OutboxContractOptions {
  seal: Seal;
  maxBytes: number;
  documentBytesMax?: number;
}

/** Opens a new, empty outbox; the suite closes it. */
export type OpenOutbox = (options: OutboxContractOptions) => Promise<Outbox>;

const roomy = 10_000_000;

export function testOutboxContract(name: string, open: OpenOutbox): void {
  function test(sentence: string, options: Partial<OutboxContractOptions>, body: (outbox: Outbox) => Promise<void>) {
    Deno.test(`${name} ${sentence}`, async () => {
      const outbox = await open({ seal: testSeal(), maxBytes: roomy, ...options });
      try {
        await body(outbox);
      } finally {
        await outbox.close();
      }
    });
  }

  test("is empty at first", {}, async (outbox) => {
    assert.equal(await outbox.oldest(), null);
    assert.equal(await outbox.oldestAt(), null);
    const { loss, ...figures } = outbox.status();
    const nothing = { records: 0, bytes: 0, nextSequence: 1, deliveredRecords: 0 };
    assert.deepEqual(figures, { isReadable: true, maxBytes: roomy, ...nothing });
    const { untold, ...totals } = loss;
    assert.deepEqual(Object.values(totals), [0, 0, 0, 0, 0, 0]);
    assert.deepEqual(untold.ranges, []);
  });

  test("gives documents back in the order of their sequence, whole", {}, async (outbox) => {
    for (const name of ["first", "second", "third"]) await outbox.put(draftOf(name));
    for (const [index, name] of ["first", "second", "third"].entries()) {
      const entry = await taken(outbox);
      const document = await readEntry(entry);
      assert.equal(document.data.name, name);
      assert.deepEqual([document.sequence, entry.sequence], [index + 1, index + 1]);
      assert.equal(document.id, entry.id);
    }
    assert.equal(await outbox.oldest(), null);
  });

  test("keeps numbers in order when documents are put in at once", {}, async (outbox) => {
    const puts = await Promise.all(Array.from({ length: 20 }, (_, index) => outbox.put(draftOf(`${index}`))));
    assert.deepEqual(puts.map((put) => put.sequence), Array.from({ length: 20 }, (_, index) => index + 1));
    for (let sequence = 1; sequence <= 20; sequence++) assert.equal((await taken(outbox)).sequence, sequence);
  });

  test("answers the same document until it is acknowledged", {}, async (outbox) => {
    await outbox.put(draftOf("only"));
    const [first, second] = [await outbox.oldest(), await outbox.oldest()];
    assert.deepEqual(first, second);
  });

  test("answers the oldest from a number on, and passes over what is settled", {}, async (outbox) => {
    for (const name of ["1", "2", "3", "4"]) await outbox.put(draftOf(name));
    await outbox.acknowledge(3);
    const numbers = [];
    for (const from of [0, 1, 2, 3, 4, 5]) numbers.push((await outbox.oldest(from))?.sequence ?? null);
    assert.deepEqual(numbers, [1, 1, 2, 4, 4, null]);
    assert.equal((await outbox.oldest())?.sequence, 1);
  });

  test("counts its records and bytes back to nothing", {}, async (outbox) => {
    const put = await outbox.put(draftOf("small", 1_000));
    await outbox.put(draftOf("large", 200_000));
    assert(put.kind === "stored");
    assert.equal(outbox.status().records, 2);
    assert(outbox.status().bytes > put.bytes + 200_000);
    await taken(outbox);
    await taken(outbox);
    const { records, bytes, nextSequence } = outbox.status();
    assert.deepEqual({ records, bytes, nextSequence }, { records: 0, bytes: 0, nextSequence: 3 });
  });

  test("makes the room that a smaller cap asks for at the next document", {}, async (outbox) => {
    for (const name of ["first", "second", "third"]) await outbox.put(draftOf(name, 100_000));
    outbox.resize(250_000);
    assert.equal(outbox.status().maxBytes, 250_000);
    assert.equal(outbox.status().records, 3);
    const put = await outbox.put(draftOf("fourth", 100_000));
    assert(put.kind === "stored" && put.evicted.records === 2, JSON.stringify(put));
    outbox.resize(roomy);
    assert.equal((await readEntry(await taken(outbox))).data.name, "third");
  });

  test("carries a document of 16 MB", { maxBytes: 100_000_000 }, async (outbox) => {
    const put = await outbox.put(draftOf("huge", 12_000_000));
    assert(put.kind === "stored" && put.bytes > 12_000_000);
    assert.equal((await readEntry(await taken(outbox))).data.name, "huge");
    assert.equal(outbox.status().bytes, 0);
  });

  test("refuses and counts a document over the limit", { documentBytesMax: 5_000 }, async (outbox) => {
    const put = await outbox.put(draftOf("too large", 10_000));
    assert.deepEqual([put.kind, put.sequence], ["too_large", 1]);
    assert.equal(outbox.status().loss.evictedRecords, 1);
    assert.equal((await outbox.put(draftOf("next"))).sequence, 2);
    assert.equal((await taken(outbox)).sequence, 2);
  });

  test("refuses and counts a document larger than the whole outbox", { maxBytes: 5_000 }, async (outbox) => {
    await outbox.put(draftOf("there first"));
    assert.equal((await outbox.put(draftOf("too large", 10_000))).kind, "too_large");
    assert.equal((await taken(outbox)).sequence, 1, "nothing is evicted for what does not fit anyway");
  });

  test("evicts the oldest when the cap is reached, and counts them", { maxBytes: 100_000 }, async (outbox) => {
    for (let index = 0; index < 10; index++) await outbox.put(draftOf(`${index}`, 30_000));
    const { records, bytes, loss } = outbox.status();
    assert.deepEqual([records, loss.evictedRecords], [3, 7]);
    assert(bytes <= 100_000, `bytes is ${bytes}`);
    assert(loss.evictedBytes > 7 * 30_000);
    assert.deepEqual([(await taken(outbox)).sequence, (await taken(outbox)).sequence], [8, 9]);
  });

  test("says what had to go", { maxBytes: 100_000 }, async (outbox) => {
    for (let index = 0; index < 3; index++) await outbox.put(draftOf(`${index}`, 30_000));
    const put = await outbox.put(draftOf("larger", 60_000));
    assert(put.kind === "stored");
    assert.equal(put.evicted.records, 2);
  });

  test("does not evict the document that is being sent", { maxBytes: 100_000 }, async (outbox) => {
    for (let index = 0; index < 3; index++) await outbox.put(draftOf(`${index}`, 30_000));
    const sending = await outbox.oldest();
    for (let index = 3; index < 6; index++) await outbox.put(draftOf(`${index}`, 30_000));
    assert.equal(sending?.sequence, 1);
    await outbox.acknowledge(1);
    const { records, nextSequence, loss } = outbox.status();
    assert.equal(nextSequence - 1, 1 + records + loss.evictedRecords, "captured = delivered + stored + evicted");
    assert.equal((await taken(outbox)).sequence, 5);
  });

  test("does not evict the one asked for last, though older ones wait", { maxBytes: 100_000 }, async (outbox) => {
    for (let index = 0; index < 3; index++) await outbox.put(draftOf(`${index}`, 30_000));
    await outbox.oldest();
    assert.equal((await outbox.oldest(2))?.sequence, 2);
    for (let index = 3; index < 5; index++) await outbox.put(draftOf(`${index}`, 30_000));
    assert.deepEqual([(await taken(outbox)).sequence, (await taken(outbox)).sequence], [2, 4]);
  });

  test("sets a rejected document aside and goes on", {}, async (outbox) => {
    await outbox.put(draftOf("bad"));
    await outbox.put(draftOf("good"));
    await outbox.oldest();
    await outbox.reject(1, "The listener answered 422");
    assert.equal(outbox.status().loss.rejectedRecords, 1);
    assert.equal((await taken(outbox)).sequence, 2);
    assert.equal(await outbox.oldest(), null);
  });

  test("adds up after every step, whatever becomes of the documents", { maxBytes: 100_000 }, async (outbox) => {
    for (let index = 0; index < 12; index++) {
      await outbox.put(draftOf(`${index}`, index % 4 === 3 ? 200_000 : 30_000));
      const sequence = (await outbox.oldest())?.sequence;
      if (index % 3 === 0 && sequence !== undefined) await outbox.acknowledge(sequence);
      if (index % 5 === 4 && sequence !== undefined) await outbox.reject(sequence, "The listener answered 422");
      assertAddsUp(outbox);
    }
    const { loss } = outbox.status();
    assert.equal(inRanges(outbox, "evicted") + inRanges(outbox, "too_large"), loss.evictedRecords);
    assert.equal(inRanges(outbox, "rejected"), loss.rejectedRecords);
    assert(loss.evictedRecords > 3 && loss.rejectedRecords > 0, "each kind happened");
  });

  test("tells of a loss until a document that told it was delivered", { maxBytes: 100_000 }, async (outbox) => {
    await outbox.put(draftOf("bad"));
    await outbox.reject(1, "The listener answered 422");
    const { untold } = outbox.status().loss;
    assert.deepEqual(untold.ranges.map(({ reason, from, to, types }) => [reason, from, to, types]), [
      ["rejected", 1, 1, { test: 1 }],
    ]);
    await outbox.put({ ...draftOf("lost itself"), tells: untold.mark });
    await outbox.reject(2, "The listener answered 422");
    assert.equal(inRanges(outbox, "rejected"), 2);
    await outbox.put({ ...draftOf("told too early"), tells: untold.mark });
    await taken(outbox);
    assert.equal(inRanges(outbox, "rejected"), 2, "it has grown since");
    await outbox.put({ ...draftOf("told"), tells: outbox.status().loss.untold.mark });
    assert.equal(inRanges(outbox, "rejected"), 2);
    await taken(outbox);
    assert.deepEqual(outbox.status().loss.untold.ranges, []);
    assert.equal(outbox.status().loss.rejectedRecords, 2, "the total stays");
  });

  test("does nothing when what is settled is not there", {}, async (outbox) => {
    await outbox.put(draftOf("only"));
    await outbox.acknowledge(7);
    await outbox.reject(8, "not there");
    assert.equal(outbox.status().records, 1);
    assert.equal(outbox.status().loss.rejectedRecords, 0);
  });

  test("wakes whoever listens anew for each document, however fast it was heard", {}, async (outbox) => {
    let wakes = 0;
    void outbox.listen(() => wakes += 1);
    for (let index = 0; index < 3; index++) {
      const before = wakes;
      await Promise.all([outbox.put(draftOf(`${index}`)), outbox.put(draftOf("beside it", 20_000))]);
      await waitFor("a wake-up", () => wakes > before, { boundMs: 5_000 });
    }
  });

  test("keeps checkpoints with the document they came with, and without one", {}, async (outbox) => {
    const file = { name: "log:a", value: { offset: 7 } };
    await outbox.put(draftOf("lines"), [file, { name: "log:b", value: 1 }, { name: "other", value: 2 }]);
    assert.deepEqual(
      await outbox.checkpoints("log:"),
      new Map<string, unknown>([["log:a", { offset: 7 }], ["log:b", 1]]),
    );
    await outbox.saveCheckpoints([{ name: "log:a", value: { offset: 9 } }, { name: "log:b", value: undefined }]);
    assert.deepEqual(await outbox.checkpoints("log:"), new Map([["log:a", { offset: 9 }]]));
    assert.equal(outbox.status().records, 1);
  });

  test(
    "stores several in order with their checkpoints, and none behind one that cannot be stored",
    {},
    async (outbox) => {
      const at = (value: number, draft = draftOf(`${value}`)) => ({ draft, checkpoints: [{ name: "log:a", value }] });
      const unwritable = (value: number) => at(value, { ...draftOf("no JSON"), data: { number: 1n } });
      // More than share a commit, before the one that cannot be stored and behind it.
      const before = Array.from({ length: 12 }, (_, index) => at(index));
      const behind = Array.from({ length: 12 }, (_, index) => at(100 + index));
      const [puts, beside] = await Promise.all([
        outbox.putInOrder([...before, unwritable(50), ...behind]),
        outbox.put(draftOf("of another source")),
      ]);
      assert.deepEqual(
        puts.map(({ kind, sequence }) => [kind, sequence]),
        before.map((_, index) => ["stored", index + 1]),
      );
      assert.equal(beside.kind, "stored");
      assert.deepEqual(await outbox.checkpoints("log:"), new Map([["log:a", 11]]));
      await assert.rejects(outbox.putInOrder([unwritable(51), at(52)]), TypeError);
      assert.deepEqual(await outbox.checkpoints("log:"), new Map([["log:a", 11]]));
      assert.deepEqual((await outbox.putInOrder([at(53), at(54)])).length, 2);
      assert.deepEqual(await outbox.checkpoints("log:"), new Map([["log:a", 54]]));
      assert.equal(outbox.status().records, 15);
    },
  );

  test("keeps checkpoints also of a document that is too large", { documentBytesMax: 5_000 }, async (outbox) => {
    await outbox.put(draftOf("too large", 10_000), [{ name: "log:a", value: 1 }]);
    assert.deepEqual(await outbox.checkpoints(""), new Map([["log:a", 1]]));
  });
}

async function taken(outbox: Outbox): Promise<OutboxEntry> {
  const entry = await outbox.oldest();
  assert(entry !== null, "the outbox must not be empty");
  await outbox.acknowledge(entry.sequence);
  return entry;
}

function assertAddsUp(outbox: Outbox): void {
  const { nextSequence, deliveredRecords, records, loss } = outbox.status();
  const lost = loss.evictedRecords + loss.rejectedRecords + loss.quarantinedRecords + loss.unstoredRecords;
  assert.equal(nextSequence - 1, deliveredRecords + records + lost, "captured = delivered + waiting + lost");
}

/** How many documents are told as lost for this reason. */
function inRanges(outbox: Outbox, reason: LossReason): number {
  const ranges = outbox.status().loss.untold.ranges.filter((range) => range.reason === reason);
  return ranges.reduce((sum, { records }) => sum + records, 0);
}

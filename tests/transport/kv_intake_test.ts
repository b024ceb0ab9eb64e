/**
 * What comes while a commit is under way, and what was delivered since: together in the next commit, without one harming
 * another.
 *
 * @module
 */

import assert from "node:assert/strict";
import * as limits from "../../limits.ts";
import { decompress } from "../../transport/gzip.ts";
import { removeDatabase } from "../../transport/kv_file.ts";
import type { Step } from "../../transport/kv_state.ts";
import type { Outbox } from "../../transport/outbox.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { AgentDocuments } from "../bench/agent_documents.ts";
import { draftOf } from "../support/drafts.ts";
import { OutboxFolder } from "../support/outbox_folder.ts";
import { waitFor } from "../support/wait_for.ts";

/** Counts commits. */
class Steps {
  commits = 0;

  readonly step = (name: string): void => {
    if (name === "before a commit") this.commits += 1;
  };

  async of(task: () => Promise<unknown>): Promise<number> {
    const before = this.commits;
    await task();
    return this.commits - before;
  }
}

/** An outbox behind its first document, into which nothing has been put for a while. */
async function openQuiet(
  folder: OutboxFolder,
  options: { step?: Step } = {},
): Promise<{ clock: FakeClock; outbox: Outbox }> {
  const clock = new FakeClock();
  const outbox = await folder.open({ clock, ...options });
  assert.equal((await outbox.put(draftOf("overdue since the start"))).sequence, 1);
  await clock.advance(limits.companyAfterMs);
  return { clock, outbox };
}

async function delivered(outbox: Outbox, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const entry = await outbox.oldest();
    assert(entry !== null);
    await outbox.acknowledge(entry.sequence);
  }
}

Deno.test("Intake stores what is put in at once in few commits, and forgets what was delivered with the next", async () => {
  await using folder = await OutboxFolder.create();
  const steps = new Steps();
  const outbox = await folder.open({ step: steps.step });
  const putAtOnce = () => Promise.all(Array.from({ length: 8 }, (_, index) => outbox.put(draftOf(`${index}`, 1_000))));
  assert.equal(await steps.of(putAtOnce), 1);
  assert.equal(await steps.of(() => delivered(outbox, 5)), 0, "in memory until the next document");
  assert.equal(await steps.of(() => outbox.put(draftOf("next"))), 1);
  const { records, deliveredRecords } = outbox.status();
  assert.deepEqual([records, deliveredRecords], [4, 5]);
  await using dead = await folder.copy();
  const { delivered: came, unexplained } = await dead.openAndDrain();
  assert.deepEqual([came, unexplained], [5, 5], "the five that were taken here are not in the file");
  await outbox.close();
});

Deno.test("KvOutbox forgets what was delivered a little later although nothing is put in, and when it is closed", async () => {
  await using folder = await OutboxFolder.create();
  const outbox = await folder.open();
  for (let index = 0; index < 3; index++) await outbox.put(draftOf(`${index}`));
  await delivered(outbox, 2);
  const waiting = async () => {
    await using dead = await folder.copy();
    const copy = await dead.open();
    const { records } = copy.status();
    await copy.close();
    return records;
  };
  assert.equal(await waiting(), 3, "a crash now has two delivered twice");
  await waitFor("the deletion to be committed", async () => await waiting() === 1, { boundMs: 10_000 });
  await delivered(outbox, 1);
  await outbox.close();
  const after = await folder.open();
  assert.deepEqual([after.status().records, after.status().deliveredRecords], [0, 3]);
  await after.close();
});

Deno.test("KvOutbox forgets at once when many were delivered", async () => {
  await using folder = await OutboxFolder.create();
  const steps = new Steps();
  const outbox = await folder.open({ step: steps.step });
  for (let index = 0; index < 2 * limits.settledTogetherMax; index++) await outbox.put(draftOf(`${index}`));
  assert(await steps.of(() => delivered(outbox, 2 * limits.settledTogetherMax)) >= 2);
  await outbox.close();
});

Deno.test("Intake gives no number to one of many that cannot be stored, and stores the others", async () => {
  await using folder = await OutboxFolder.create();
  const outbox = await folder.open();
  const tooLarge = [{ name: "log", value: "x".repeat(70_000) }];
  const unwritable = { ...draftOf("no JSON"), data: { number: 1n } };
  for (const bad of [() => outbox.put(draftOf("bad"), tooLarge), () => outbox.put(unwritable)]) {
    const next = outbox.status().nextSequence;
    const ends = await Promise.allSettled([outbox.put(draftOf("a")), bad(), outbox.put(draftOf("b"))]);
    assert.deepEqual(ends.map((end) => end.status === "fulfilled" ? end.value.sequence : null), [next, null, next + 1]);
  }
  const { delivered: came, unexplained } = await folder.drain(outbox);
  assert.deepEqual([came, unexplained], [5, 0]);
  await outbox.close();
});

Deno.test("Intake keeps the cap however many are put in at once, and evicts nothing that was delivered", async () => {
  await using folder = await OutboxFolder.create();
  const outbox = await folder.open({ maxBytes: 100_000 });
  for (let index = 0; index < 3; index++) await outbox.put(draftOf(`${index}`, 30_000));
  await delivered(outbox, 2);
  const puts = await Promise.all([30_000, 30_000, 60_000].map((bytes) => outbox.put(draftOf("at once", bytes))));
  assert.deepEqual(puts.map((put) => put.kind === "stored" ? put.evicted.records : null), [0, 0, 2]);
  const { bytes, records, deliveredRecords, loss } = outbox.status();
  assert.deepEqual([records, deliveredRecords, loss.evictedRecords], [2, 2, 2]);
  assert(bytes <= 100_000, `bytes is ${bytes}`);
  assert.deepEqual((await folder.drain(outbox)).unexplained, 2, "those that were taken without a listener");
  await outbox.close();
});

Deno.test("Intake does not count as evicted what was delivered a moment ago", async () => {
  await using folder = await OutboxFolder.create();
  const outbox = await folder.open({ maxBytes: 100_000 });
  for (let index = 0; index < 3; index++) await outbox.put(draftOf(`${index}`, 30_000));
  await delivered(outbox, 1);
  const put = await outbox.put(draftOf("larger", 90_000));
  assert.deepEqual(put.kind === "stored" ? put.evicted.records : null, 2);
  const { records, deliveredRecords, loss } = outbox.status();
  assert.deepEqual([records, deliveredRecords, loss.evictedRecords], [1, 1, 2]);
  await outbox.close();
});

Deno.test("Intake stores documents of several sources whose positions are too much for one commit", async () => {
  await using folder = await OutboxFolder.create();
  const outbox = await folder.open();
  const value = "x".repeat(60_000);
  const names = Array.from({ length: 8 }, (_, index) => `log:${index}`);
  const puts = await Promise.all(names.map((name) => outbox.put(draftOf(name, 60_000), [{ name, value }])));
  assert.deepEqual(puts.map(({ kind }) => kind), names.map(() => "stored"));
  assert.deepEqual([...(await outbox.checkpoints("log:")).keys()], names);
  await outbox.close();
});

Deno.test("Intake has the first after a quiet time wait for those that come with it, and nobody sees it before", async () => {
  await using folder = await OutboxFolder.create();
  const steps = new Steps();
  const { clock, outbox } = await openQuiet(folder, { step: steps.step });
  const puts = [outbox.put(draftOf("first"))];
  await clock.advance(limits.companyMs - 1);
  puts.push(outbox.put(draftOf("second")), outbox.put(draftOf("third")));
  assert.deepEqual([outbox.status().nextSequence, (await outbox.oldest(2))?.sequence], [2, undefined]);
  const stored = await steps.of(async () => {
    await clock.advance(1);
    await Promise.all(puts);
  });
  assert.equal(stored, 1);
  assert.deepEqual(
    (await Promise.all(puts)).map(({ kind, sequence }) => [kind, sequence]),
    [2, 3, 4].map((sequence) => [
      "stored",
      sequence,
    ]),
  );
  assert.equal((await outbox.put(draftOf("right behind them"))).sequence, 5);
  await outbox.close();
});

Deno.test("Intake lets none wait that has checkpoints or nine others with it, and stores who waits with it", async () => {
  await using folder = await OutboxFolder.create();
  const { clock, outbox } = await openQuiet(folder);
  for (const urgent of [1, limits.documentsPerCommitMax]) {
    await clock.advance(limits.companyAfterMs);
    const checkpoints = urgent === 1 ? [{ name: "log:a", value: 1 }] : [];
    const waiting = outbox.put(draftOf("waiting"));
    const others = Array.from({ length: urgent }, () => outbox.put(draftOf("urgent"), checkpoints));
    await Promise.all([waiting, ...others]);
  }
  await outbox.close();
});

Deno.test("KvOutbox stores who waits for company when it is closed", async () => {
  await using folder = await OutboxFolder.create();
  const { outbox } = await openQuiet(folder);
  const put = outbox.put(draftOf("waiting"));
  await outbox.close();
  assert.equal((await put).kind, "stored");
  const again = await folder.open();
  assert.equal(again.status().records, 2);
  await again.close();
});

Deno.test("Intake hands out what was just stored with its JSON, and what is read back without", async () => {
  await using folder = await OutboxFolder.create();
  const outbox = await folder.open();
  await Promise.all([outbox.put(draftOf("one", 1_000)), outbox.put(draftOf("two", 1_000))]);
  await outbox.put(draftOf("alone", 1_000));
  for (const from of [1, 2, 3]) {
    const entry = (await outbox.oldest(from))!;
    assert.deepEqual(entry.json, await decompress(entry.gzip, limits.documentBytesMax));
  }
  await outbox.close();
  const again = await folder.open();
  assert.equal((await again.oldest())?.json, undefined);
  await again.close();
});

Deno.test("Intake keeps the ids of documents whose commit was said to have failed", async () => {
  await using folder = await OutboxFolder.create();
  let isFailing = false;
  const step = (name: string) => {
    if (isFailing && name === "after a commit") throw new Error("disk I/O error");
  };
  const outbox = await folder.open({ step, probeMs: 3_600_000 });
  await outbox.put(draftOf("before"));
  isFailing = true;
  const puts = await Promise.all([outbox.put(draftOf("one")), outbox.put(draftOf("two"))]);
  assert.deepEqual(puts.map(({ kind, sequence }) => [kind, sequence]), [["held", 2], ["held", 3]]);
  await folder.deliverAll(outbox);
  assert.equal(folder.delivered.length, 3);
  await using dead = await folder.copy();
  const { doubles, foreignIds, unexplained } = await dead.openAndDrain();
  assert.deepEqual([doubles, foreignIds, unexplained], [3, 0, 0], "the file had them");
  isFailing = false;
  await outbox.close();
});

Deno.test("Intake reserves the numbers of a group before it is stored, for a file that is lost later", async () => {
  await using folder = await OutboxFolder.create();
  const copies: OutboxFolder[] = [];
  const step = async (name: string) => {
    if (name === "after a commit" && copies.length < 2) copies.push(await folder.copy());
  };
  const outbox = await folder.open({ step });
  await Promise.all(
    Array.from({ length: limits.documentsPerCommitMax }, (_, index) => outbox.put(draftOf(`${index}`))),
  );
  await outbox.close();
  // Killed right after the commit of the group.
  const dead = copies[1]!;
  const next = await dead.open();
  assert.equal(next.status().records, limits.documentsPerCommitMax);
  await dead.deliverAll(next);
  await using lost = await dead.copy();
  await removeDatabase(lost.file);
  const { foreignIds, unexplained } = await lost.openAndDrain();
  assert.deepEqual([foreignIds, unexplained], [0, 0]);
  await next.close();
  for (const copy of copies) await copy[Symbol.asyncDispose]();
});

Deno.test("Intake counts what was delivered before a document that is too large, for a file that is lost then", async () => {
  await using folder = await OutboxFolder.create();
  const outbox = await folder.open({ documentBytesMax: 5_000 });
  for (let index = 0; index < 3; index++) await outbox.put(draftOf(`${index}`));
  for (let index = 0; index < 3; index++) await folder.deliver(outbox);
  assert.equal((await outbox.put(draftOf("too large", 10_000))).kind, "too_large");
  await using lost = await folder.copy();
  await removeDatabase(lost.file);
  const next = await lost.open();
  const { deliveredRecords, loss: { untold } } = next.status();
  assert.equal(deliveredRecords, 3);
  for (const { from, to, records } of untold.ranges) assert(records <= to - from + 1, `${records} of ${from} to ${to}`);
  await next.close();
  await outbox.close();
});

Deno.test("Intake stores much that comes at once sooner, and not as small", async () => {
  await using folder = await OutboxFolder.create();
  const outbox = await folder.open();
  const draft = new AgentDocuments(1).draft(1, 250_000);
  const [alone] = await Promise.all([outbox.put(draft)]);
  const [first] = await Promise.all(Array.from({ length: 5 }, () => outbox.put(draft)));
  assert(alone.bytes * 1.1 < first!.bytes, `${alone.bytes} and ${first!.bytes}`);
  const { delivered, unexplained } = await folder.drain(outbox);
  assert.deepEqual([delivered, unexplained], [7, 0]);
  await outbox.close();
});

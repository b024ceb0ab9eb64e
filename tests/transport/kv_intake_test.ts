/**
 * What comes while a commit is under way, and what was delivered since: together in the next commit, without one harming
 * another.
 *
 * @module
 */

import assert from "node:assert/strict";
import * as limits from "../../limits.ts";
import type { Outbox } from "../../transport/outbox.ts";
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

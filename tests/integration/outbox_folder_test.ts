/**
 * The outbox against a model of it, and in folders that hold what it did not put there: cases that the tests of other
 * queues on disk have (docs/decisions/peers_tests.md).
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Outbox } from "../../transport/outbox.ts";
import { draftOf, readEntry } from "../support/drafts.ts";
import { OutboxFolder } from "../support/outbox_folder.ts";
import { seededRandom, takeSeed } from "../support/seeded_random.ts";

/** What an outbox without losses holds: numbers that wait, with the name of each. */
class Model {
  readonly waiting = new Map<number, string>();
  next = 1;

  lowest(from = 0): number | null {
    return [...this.waiting.keys()].find((sequence) => sequence >= from) ?? null;
  }
}

async function step(outbox: Outbox, model: Model, random: () => number): Promise<void> {
  const drawn = random();
  if (drawn < 0.45) {
    const name = `${model.next}`;
    const put = await outbox.put(draftOf(name, Math.floor(random() ** 6 * 1_000_000)));
    assert.deepEqual([put.kind, put.sequence], ["stored", model.next]);
    model.waiting.set(model.next++, name);
    return;
  }
  const from = drawn < 0.7 ? 0 : Math.floor(random() * model.next);
  const entry = await outbox.oldest(from);
  assert.equal(entry?.sequence ?? null, model.lowest(from), `oldest(${from})`);
  if (entry === null) return;
  assert.equal((await readEntry(entry)).data.name, model.waiting.get(entry.sequence));
  if (drawn > 0.95) await outbox.reject(entry.sequence, "drawn");
  else if (drawn > 0.55) await outbox.acknowledge(entry.sequence);
  else return;
  model.waiting.delete(entry.sequence);
}

Deno.test("openKvOutbox does what a model of it does, also when it is closed and opened at any step", async () => {
  const seed = takeSeed();
  const random = seededRandom(seed);
  await using folder = await OutboxFolder.create();
  const model = new Model();
  let outbox = await folder.open();
  try {
    for (let index = 0; index < 200; index++) {
      if (random() < 0.15) {
        await outbox.close();
        outbox = await folder.open();
      }
      await step(outbox, model, random);
      const { records, nextSequence } = outbox.status();
      assert.deepEqual([records, nextSequence], [model.waiting.size, model.next], `seed ${seed}, step ${index}`);
    }
  } finally {
    await outbox.close();
  }
});

Deno.test("openKvOutbox gives back what was put in when it is closed and opened around every document", async () => {
  await using folder = await OutboxFolder.create();
  for (let sequence = 1; sequence <= 20; sequence++) await folder.fill([1_000]);
  for (let sequence = 1; sequence <= 20; sequence++) {
    const outbox = await folder.open();
    assert.equal((await outbox.oldest())?.sequence, sequence);
    await outbox.acknowledge(sequence);
    assert.equal(outbox.status().records, 20 - sequence);
    await outbox.close();
  }
});

Deno.test("openKvOutbox leaves files and folders alone that it did not make", async () => {
  await using folder = await OutboxFolder.create();
  await Deno.writeTextFile(`${folder.path}/notes.txt`, "keep");
  await Deno.mkdir(`${folder.path}/outbox.kv.old`);
  await folder.fill([1_000, 1_000]);
  assert.equal((await folder.openAndDrain()).unexplained, 0);
  assert.equal(await Deno.readTextFile(`${folder.path}/notes.txt`), "keep");
  assert((await Deno.stat(`${folder.path}/outbox.kv.old`)).isDirectory);
});

Deno.test("openKvOutbox holds documents in memory while a folder is where its file should be", async () => {
  await using folder = await OutboxFolder.create();
  await Deno.mkdir(folder.file);
  const outbox = await folder.open();
  assert.equal((await outbox.put(draftOf("one"))).kind, "held");
  assert.deepEqual(folder.log.events, ["buffer_unwritable"]);
  await outbox.close();
});

Deno.test("openKvOutbox gives no number to a document that cannot be written as JSON", async () => {
  await using folder = await OutboxFolder.create();
  const outbox = await folder.open();
  await outbox.put(draftOf("one"));
  await assert.rejects(outbox.put({ ...draftOf("bad"), data: { number: 1n } }), TypeError);
  assert.equal((await outbox.put(draftOf("two"))).sequence, 2);
  const result = await folder.drain(outbox);
  await outbox.close();
  assert.deepEqual([result.delivered, result.unexplained], [3, 0]);
});

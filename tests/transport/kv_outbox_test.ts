/**
 * The outbox's contract on Deno KV, and what only a file can show: restarts, crashes, a second owner, damage.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import * as limits from "../../limits.ts";
import { BufferInUseError } from "../../transport/buffer_directory.ts";
import { ReadyJson } from "../../transport/envelope.ts";
import type { Outbox } from "../../transport/outbox.ts";
import { testOutboxContract } from "../contracts/outbox.ts";
import { draftOf, readEntry } from "../support/drafts.ts";
import { openTestOutbox } from "../support/test_outbox.ts";
import { withFolder } from "../support/with_folder.ts";

testOutboxContract("openKvOutbox", async (options) => {
  const folder = await Deno.makeTempDir();
  const outbox = await openTestOutbox(folder, options);
  const close = outbox.close.bind(outbox);
  outbox.close = async () => {
    await close();
    await Deno.remove(folder, { recursive: true });
  };
  return outbox;
});

function open(path: string, maxBytes = 10_000_000): Promise<Outbox> {
  return openTestOutbox(path, { maxBytes });
}

Deno.test("openKvOutbox gives documents back after a restart, with ids, numbers and counts as they were", () =>
  withFolder(async (folder) => {
    const before = await open(folder);
    const puts = [await before.put(draftOf("one")), await before.put(draftOf("two", 100_000))];
    const status = before.status();
    await before.close();
    const after = await open(folder);
    assert.deepEqual(after.status(), status);
    for (const put of puts) {
      const entry = await after.oldest();
      assert(put.kind === "stored" && entry !== null);
      assert.equal(entry.id, put.id);
      assert.equal((await readEntry(entry)).id, put.id);
      await after.acknowledge(entry.sequence);
    }
    assert.equal((await after.put(draftOf("three"))).sequence, 3);
    await after.close();
  }));

Deno.test("openKvOutbox keeps nothing of a block that a draft has lent it", () =>
  withFolder(async (folder) => {
    const outbox = await open(folder);
    const names = ["one", "two", "three"];
    const drafts = names.map((name) => {
      const bytes = new TextEncoder().encode(JSON.stringify(name.padEnd(limits.lentJsonBytesMin)));
      const block = new Uint8Array(bytes.length + 4_096);
      block.set(bytes, 2_048);
      const entries = new ReadyJson(block, { start: 2_048, end: 2_048 + bytes.length });
      return { block, draft: { ...draftOf(name), data: { name, entries } }, checkpoints: [] };
    });
    await outbox.putInOrder(drafts.slice(0, 2));
    await outbox.put(drafts[2]!.draft);
    for (const { block } of drafts) block.fill(0);
    const stored: unknown[] = [];
    for (let entry = await outbox.oldest(); entry !== null; entry = await outbox.oldest()) {
      stored.push([(await readEntry(entry)).data.name, entry.json === undefined]);
      await outbox.acknowledge(entry.sequence);
    }
    await outbox.close();
    assert.deepEqual(stored, names.map((name) => [name, true]));
  }));

Deno.test("openKvOutbox stores checkpoints with their document or not at all", () =>
  withFolder(async (folder) => {
    const before = await open(folder);
    await before.put(draftOf("one"), [{ name: "log", value: 1 }]);
    const tooLarge = { name: "log", value: "x".repeat(70_000) };
    await assert.rejects(before.put(draftOf("two"), [tooLarge]));
    await before.close();
    const after = await open(folder);
    assert.deepEqual(await after.checkpoints("log"), new Map([["log", 1]]));
    assert.equal((await after.put(draftOf("three"))).sequence, 2, "what was not stored has no number");
    await after.close();
  }));

Deno.test("openKvOutbox refuses a folder that another agent uses, and takes it when that one is gone", () =>
  withFolder(async (folder) => {
    const first = await open(folder);
    await assert.rejects(open(folder), (error: Error) => {
      assert(error instanceof BufferInUseError);
      assert.match(error.message, /another agent/);
      return true;
    });
    await first.close();
    await (await open(folder)).close();
  }));

Deno.test("openKvOutbox creates its folder for nobody else to read", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a", "buffer");
    await (await open(path)).close();
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o700);
  }));

Deno.test("openKvOutbox keeps its files private in a folder that was there before", () =>
  withFolder(async (folder) => {
    await Deno.chmod(folder, 0o755);
    const outbox = await open(folder);
    await outbox.put(draftOf("one"));
    for await (const { name } of Deno.readDir(folder)) {
      assert.equal((await Deno.stat(join(folder, name))).mode! & 0o777, 0o600, name);
    }
    await outbox.close();
  }));

Deno.test("openKvOutbox removes the pieces of a document that a crash left without its header", () =>
  withFolder(async (folder) => {
    const before = await open(folder);
    await before.put(draftOf("whole"));
    await before.close();
    await editKv(folder, async (kv) => {
      for (let index = 0; index < 30; index++) await kv.set(["chunk", 2, index], new Uint8Array(60_000));
    });
    const after = await open(folder);
    await after.put(draftOf("next", 100_000));
    await after.oldest().then((entry) => after.acknowledge(entry!.sequence));
    assert.equal((await readEntry((await after.oldest())!)).data.name, "next");
    await after.close();
    await editKv(folder, async (kv) => assert.equal(await countKeys(kv, ["chunk"]), 2));
  }));

Deno.test("openKvOutbox lets no pieces of a document that could not be stored get into the next", () =>
  withFolder(async (folder) => {
    const outbox = await open(folder);
    const tooLarge = { name: "log", value: "x".repeat(70_000) };
    const bytes = limits.chunkBytesMax * (limits.chunksPerCommitMax + 1);
    await assert.rejects(outbox.put(draftOf("not stored", bytes), [tooLarge]));
    assert.equal((await outbox.put(draftOf("next"))).sequence, 1);
    assert.equal((await readEntry((await outbox.oldest())!)).data.name, "next");
    await outbox.close();
    await editKv(folder, async (kv) => assert.equal(await countKeys(kv, ["chunk"]), 1));
  }));

Deno.test("openKvOutbox sets a document with a missing piece aside and goes on with the next", () =>
  withFolder(async (folder) => {
    const before = await open(folder);
    await before.put(draftOf("damaged", 200_000));
    await before.put(draftOf("sound"));
    await before.close();
    await editKv(folder, (kv) => kv.delete(["chunk", 1, 1]));
    const after = await open(folder);
    assert.equal((await readEntry((await after.oldest())!)).data.name, "sound");
    assert.equal(after.status().loss.rejectedRecords, 1);
    assert.equal(after.status().records, 1);
    await after.close();
  }));

Deno.test("openKvOutbox sets a document aside that the disk has changed", () =>
  withFolder(async (folder) => {
    const before = await open(folder);
    await before.put(draftOf("changed", 2_000));
    await before.put(draftOf("sound"));
    await before.close();
    await editKv(folder, async (kv) => {
      const piece = (await kv.get<Uint8Array>(["chunk", 1, 0])).value!;
      piece[1_000]! ^= 1;
      await kv.set(["chunk", 1, 0], piece);
    });
    const after = await open(folder);
    assert.equal((await readEntry((await after.oldest())!)).data.name, "sound");
    assert.equal(after.status().loss.rejectedRecords, 1);
    await after.close();
  }));

Deno.test("openKvOutbox keeps rejected documents within their number and their share of the cap", () =>
  withFolder(async (folder) => {
    const outbox = await open(folder, 1_000_000);
    for (let index = 1; index <= 20; index++) {
      await outbox.put(draftOf(`${index}`, 20_000));
      await outbox.reject(index, "The listener answered 422");
    }
    const { bytes, loss } = outbox.status();
    assert.equal(loss.rejectedRecords, 20);
    assert(bytes <= 1_000_000 * limits.rejectedShareMax, `bytes is ${bytes}`);
    assert(bytes > 0, "the last ones are kept for a look");
    await outbox.close();
    await editKv(folder, async (kv) => assert.equal(await countKeys(kv, ["rejected"]), await countKeys(kv, ["chunk"])));
  }));

Deno.test("openKvOutbox evicts down to a cap that was lowered, counted, when it is opened", () =>
  withFolder(async (folder) => {
    const before = await open(folder, 1_000_000);
    for (let index = 0; index < 10; index++) await before.put(draftOf(`${index}`, 50_000));
    await before.close();
    const after = await open(folder, 200_000);
    const { records, bytes, loss } = after.status();
    assert.deepEqual([records, loss.evictedRecords], [3, 7]);
    assert(bytes <= 200_000);
    assert.deepEqual(loss.untold.ranges.map(({ reason, from, to }) => [reason, from, to]), [["evicted", 1, 7]]);
    assert.equal((await after.oldest())?.sequence, 8);
    await after.close();
  }));

Deno.test("openKvOutbox evicts rejected documents before any that wait", () =>
  withFolder(async (folder) => {
    const outbox = await open(folder, 100_000);
    await outbox.put(draftOf("rejected", 9_000));
    await outbox.reject(1, "The listener answered 422");
    for (let index = 0; index < 3; index++) await outbox.put(draftOf(`${index}`, 30_000));
    const { records, loss } = outbox.status();
    assert.deepEqual([records, loss.evictedRecords], [3, 0]);
    await outbox.close();
  }));

Deno.test("openKvOutbox loses no acknowledged write and gives no number twice when it is killed again and again", () =>
  withFolder(async (folder) => {
    const seen = new Map<number, string>();
    let deaths = 0;
    for (let round = 0; round < 5; round++) {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", new URL("../support/outbox_writer.ts", import.meta.url).pathname, folder],
        stdout: "piped",
      }).spawn();
      for await (const line of lines(child.stdout)) {
        const { sequence, id } = JSON.parse(line);
        assert(!seen.has(sequence), `number ${sequence} was given twice`);
        seen.set(sequence, id);
        if (sequence % 7 === round) break;
      }
      child.kill("SIGKILL");
      deaths += (await child.status).signal === "SIGKILL" ? 1 : 0;
    }
    assert.equal(deaths, 5);
    const outbox = await open(folder, 1_000_000_000);
    const stored = new Map<number, string>();
    for (let entry = await outbox.oldest(); entry !== null; entry = await outbox.oldest()) {
      stored.set(entry.sequence, (await readEntry(entry)).id);
      await outbox.acknowledge(entry.sequence);
    }
    for (const [sequence, id] of seen) assert.equal(stored.get(sequence), id, `document ${sequence} is there`);
    assert.deepEqual([...stored.keys()], Array.from({ length: stored.size }, (_, index) => index + 1));
    assert.equal(outbox.status().bytes, 0);
    await outbox.close();
  }));

async function editKv(folder: string, edit: (kv: Deno.Kv) => Promise<unknown>): Promise<void> {
  const kv = await Deno.openKv(join(folder, "outbox.kv"));
  await edit(kv);
  kv.close();
}

async function countKeys(kv: Deno.Kv, prefix: Deno.KvKey): Promise<number> {
  let count = 0;
  for await (const _ of kv.list({ prefix })) count += 1;
  return count;
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)) {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}

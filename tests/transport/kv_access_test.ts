/**
 * Disks that take no writes, on real file systems: what is captured meanwhile is sent from memory, and stored when there
 * is room again.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { Outbox } from "../../transport/outbox.ts";
import { draftOf } from "../support/drafts.ts";
import { assertExplained } from "../support/ledger.ts";
import { OutboxFolder } from "../support/outbox_folder.ts";
import { FileDisk, SmallDisk, smallDiskUnavailable } from "../support/small_disk.ts";
import { waitFor } from "../support/wait_for.ts";

const missing = smallDiskUnavailable();
const options = { probeMs: 20 };

function test(name: string, body: () => Promise<void>): void {
  Deno.test({ name: missing === null ? name : `${name} (skipped: ${missing})`, ignore: missing !== null, fn: body });
}

async function folderOn(disk: SmallDisk): Promise<OutboxFolder> {
  return await OutboxFolder.create(join(disk.path, "buffer"));
}

/** Puts until the disk takes no more. */
async function putUntilHeld(outbox: Outbox, bytes: number): Promise<void> {
  for (let count = 0; count < 2_000; count++) {
    if ((await outbox.put(draftOf(`until held ${count}`, bytes))).kind === "held") return;
  }
  assert.fail("the disk never got full");
}

async function writable(folder: OutboxFolder, times = 1): Promise<void> {
  await waitFor("writing to work again", () => folder.log.of("buffer_writable").length >= times);
}

test("KvAccess goes on in memory on a full disk, delivers from there, and stores again when there is room", async () => {
  await using disk = await SmallDisk.mount("size=4m");
  await using folder = await folderOn(disk);
  const outbox = await folder.open(options);
  for (let index = 0; index < 5; index++) await outbox.put(draftOf(`${index}`, 20_000));
  await disk.fill();
  await putUntilHeld(outbox, 20_000);
  for (let index = 0; index < 30; index++) assert.equal((await outbox.put(draftOf("more", 5_000))).kind, "held");
  const { records } = outbox.status();
  for (let index = 0; index < records - 10; index++) await folder.deliver(outbox);
  const numbers = folder.delivered.map(({ sequence }) => sequence);
  assert.deepEqual(numbers, numbers.map((_, index) => index + 1), "in order, each once, though no delete works");
  await disk.empty();
  await writable(folder);
  assert.equal((await outbox.put(draftOf("after"))).kind, "stored");
  const { doubles } = assertExplained("full disk", await folder.drain(outbox));
  assert.equal(doubles, 0);
  assert.deepEqual(folder.log.events, ["buffer_unwritable", "buffer_writable"]);
  await outbox.close();
  assert.equal((await folder.openAndDrain()).unexplained, 0);
});

test("KvAccess gives no number twice when it is killed on a full disk", async () => {
  await using disk = await SmallDisk.mount("size=4m");
  await using folder = await folderOn(disk);
  const outbox = await folder.open(options);
  await disk.fill();
  await putUntilHeld(outbox, 20_000);
  for (let index = 0; index < 45; index++) await outbox.put(draftOf("in memory", 1_000));
  while (folder.delivered.length < 30 && await folder.deliver(outbox));
  await using dead = await folder.copy();
  await disk.empty();
  await outbox.close();
  const { unstored } = assertExplained("killed on a full disk", await dead.openAndDrain());
  assert(unstored >= 10, "those in memory are counted");
});

test("KvAccess starts on a full disk and in a folder that cannot be written", async () => {
  await using disk = await SmallDisk.mount("size=3m");
  await using folder = await folderOn(disk);
  await folder.fill([10_000, 10_000]);
  await disk.fill();
  const full = await folder.open(options);
  assert.equal((await full.put(draftOf("on the full disk"))).kind, "held");
  await disk.empty();
  await writable(folder);
  await full.close();
  await disk.remount("ro");
  const readOnly = await folder.open(options);
  assert.deepEqual(await readOnly.put(draftOf("read only")).then(({ kind, sequence }) => [kind, sequence]), [
    "held",
    null,
  ]);
  assert.equal(await readOnly.oldest(), null, "without a safe number nothing is sent");
  await disk.remount("rw");
  await writable(folder, 2);
  const { captured } = assertExplained("started without a disk", await folder.drain(readOnly));
  assert(captured >= 5);
  await readOnly.close();
});

test("KvAccess goes on when there are no inodes", async () => {
  await using disk = await SmallDisk.mount("size=4m,nr_inodes=9");
  await using folder = await folderOn(disk);
  await folder.fill([10_000, 10_000]);
  const taken = await disk.fillInodes();
  const outbox = await folder.open(options);
  assert.equal((await outbox.put(draftOf("no inodes"))).kind, "held");
  for (let index = 0; index < taken; index++) await Deno.remove(join(disk.path, `inode${index}`));
  await writable(folder);
  const { captured } = assertExplained("no inodes", await folder.drain(outbox));
  assert(captured >= 4);
  await outbox.close();
});

test("KvAccess holds no more than its bound, and counts what had to go", async () => {
  await using disk = await SmallDisk.mount("size=2m");
  await using folder = await folderOn(disk);
  const outbox = await folder.open({ ...options, heldBytesMax: 100_000 });
  await disk.fill();
  await putUntilHeld(outbox, 20_000);
  for (let index = 0; index < 20; index++) await outbox.put(draftOf("too many", 20_000));
  const checkpoint = { name: "log:a", value: 1 };
  await assert.rejects(outbox.put(draftOf("lines"), [checkpoint]), /Cannot hold more in memory/);
  await disk.empty();
  await writable(folder);
  await outbox.put(draftOf("lines"), [checkpoint]);
  const { unstored } = assertExplained("more than the memory holds", await folder.drain(outbox));
  assert(unstored >= 15);
  await outbox.close();
});

test("KvAccess counts what had to go before it had a number", async () => {
  await using disk = await SmallDisk.mount("size=2m");
  await using folder = await folderOn(disk);
  await folder.fill([1_000]);
  await disk.remount("ro");
  const outbox = await folder.open({ ...options, heldBytesMax: 100_000 });
  for (let index = 0; index < 20; index++) await outbox.put(draftOf("too many", 20_000));
  await disk.remount("rw");
  await writable(folder);
  const { unstored } = assertExplained("more than the memory holds, without numbers", await folder.drain(outbox));
  assert(unstored >= 14);
  await outbox.close();
});

test("KvAccess has whoever listens woken for what could not be sent before the disk took writes again", async () => {
  await using disk = await SmallDisk.mount("size=2m");
  await using folder = await folderOn(disk);
  await folder.fill([]);
  await disk.remount("ro");
  const outbox = await folder.open(options);
  const put = await outbox.put(draftOf("no number"));
  assert.equal(put.kind === "held" && put.sequence, null);
  const own = Promise.withResolvers<void>();
  let wakes = 0;
  void outbox.listen(() => {
    wakes += 1;
    own.resolve();
  });
  await own.promise;
  assert.equal(await outbox.oldest(), null, "what has no number is not handed out");
  await disk.remount("rw");
  await waitFor("another wake-up", () => wakes > 1);
  assertExplained("a disk that was read-only at the start", await folder.drain(outbox));
  await outbox.close();
});

test("KvAccess keeps positions of logs through an episode, in order", async () => {
  await using disk = await SmallDisk.mount("size=2m");
  await using folder = await folderOn(disk);
  const outbox = await folder.open(options);
  await outbox.put(draftOf("before"), [{ name: "log:a", value: 1 }]);
  await disk.fill();
  await putUntilHeld(outbox, 20_000);
  await outbox.put(draftOf("lines"), [{ name: "log:a", value: 2 }]);
  await outbox.saveCheckpoints([{ name: "log:a", value: 3 }, { name: "log:b", value: 1 }]);
  assert.deepEqual(await outbox.checkpoints("log:"), new Map([["log:a", 3], ["log:b", 1]]));
  await folder.deliverAll(outbox);
  await disk.empty();
  await writable(folder);
  await outbox.close();
  const after = await folder.open();
  assert.deepEqual(await after.checkpoints("log:"), new Map([["log:a", 3], ["log:b", 1]]));
  await after.close();
});

test("KvAccess remembers on a full disk what the listener refused", async () => {
  await using disk = await SmallDisk.mount("size=2m");
  await using folder = await folderOn(disk);
  const outbox = await folder.open(options);
  await outbox.put(draftOf("stored and refused"));
  await outbox.put(draftOf("stored"));
  await disk.fill();
  await putUntilHeld(outbox, 20_000);
  await outbox.oldest();
  await outbox.reject(1, "The listener answered 422");
  const held = outbox.status().nextSequence - 1;
  await outbox.reject(held, "The listener answered 422");
  await disk.empty();
  await writable(folder);
  const { rejected } = assertExplained("refused on a full disk", await folder.drain(outbox));
  assert.equal(rejected, 2);
  await outbox.close();
});

test("KvAccess goes on when the file system turns read-only under it, and when it is mounted again", async () => {
  await using disk = await FileDisk.mount(16);
  if (disk === null) return console.log("left out: no loop device or ext4 here");
  await using folder = await OutboxFolder.create(join(disk.path, "buffer"));
  const outbox = await folder.open(options);
  for (let index = 0; index < 5; index++) await outbox.put(draftOf(`${index}`, 20_000));
  await disk.fail();
  for (let index = 0; index < 5; index++) {
    assert.equal((await outbox.put(draftOf("read only", 20_000))).kind, "held");
  }
  await folder.deliver(outbox);
  assert.equal(folder.delivered.length, 1, "what is stored is sent");
  await disk.mend();
  await writable(folder);
  const { captured, doubles } = assertExplained("a file system that failed", await folder.drain(outbox));
  assert.deepEqual([captured, doubles], [11, 0]);
  await outbox.close();
});

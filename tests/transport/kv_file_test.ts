// The outbox's file as a file: leftovers of an earlier version's queue, damage told from refusal, what is kept for a look.
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import * as limits from "../../limits.ts";
import { boundDamaged, damagedPath, isDamage, NewerFormatError, readyFile } from "../../transport/kv_file.ts";
import { draftOf } from "../support/drafts.ts";
import { OutboxFolder } from "../support/outbox_folder.ts";
import { withFolder } from "../support/with_folder.ts";

Deno.test("readyFile takes away messages that an earlier version has piled up", async () => {
  await using folder = await OutboxFolder.create();
  await folder.fill([1_000]);
  const kv = await Deno.openKv(folder.file);
  for (let index = 0; index < 200; index++) await kv.enqueue({ wake: true }, { delay: 3_600_000 });
  kv.close();
  const outbox = await folder.open();
  assert.equal((await outbox.put(draftOf("after"))).sequence, 2);
  await outbox.close();
  using file = new DatabaseSync(folder.file);
  assert.equal(file.prepare("select count(*) as n from queue").get()?.n, 0);
});

Deno.test("readyFile finds damage that would end the process when Deno KV met it", async () => {
  await using folder = await OutboxFolder.create();
  await folder.fill([1_000, 1_000]);
  await folder.overwriteRoot("queue");
  const { delivered, quarantined, unexplained } = await folder.openAndDrain();
  assert.deepEqual([delivered, quarantined, unexplained], [3, 0, 0]);
  assert.equal(folder.log.of("outbox_quarantined").length, 1);
});

Deno.test("readyFile makes a file of small pages, and leaves that of an earlier version as it is", async () => {
  for (const isOfBefore of [false, true]) {
    await using folder = await OutboxFolder.create();
    if (isOfBefore) await folder.makeAsBefore();
    await folder.fill([1_000, 100_000], 1);
    assert.equal(folder.pageBytes(), isOfBefore ? 4_096 : limits.outboxPageBytes);
    const { delivered, unexplained } = await folder.openAndDrain();
    assert.deepEqual([delivered, unexplained], [3, 0]);
  }
});

Deno.test("readyFile takes a file for a new one that a crash has left before Deno KV's first commit", async () => {
  const leave: Record<string, (folder: OutboxFolder) => Promise<void>> = {
    "without a byte": (folder) => Deno.writeFile(folder.file, new Uint8Array()),
    "without a table": (folder) => readyFile(folder.file),
    "without a table, its size not set": async (folder) => {
      using file = new DatabaseSync(folder.file);
      file.exec("pragma journal_mode = wal");
      await Promise.resolve();
    },
  };
  for (const [name, make] of Object.entries(leave)) {
    await using folder = await OutboxFolder.create();
    await make(folder);
    const outbox = await folder.open();
    assert.equal((await outbox.put(draftOf("first"))).sequence, 1, name);
    await outbox.close();
    assert.deepEqual(folder.log.events, [], name);
  }
});

Deno.test("isDamage tells damage from a disk that takes no writes, and from a newer agent", () => {
  for (
    const text of ["database disk image is malformed", "file is not a database", "The value encoding 9 is unknown."]
  ) {
    assert(isDamage(new TypeError(text)), text);
  }
  for (const text of ["database or disk is full", "disk I/O error", "unable to open database file"]) {
    assert(!isDamage(new Error(text)), text);
  }
  assert(!isDamage(new NewerFormatError({ format: 9, known: 2, nextSequence: 1 })));
});

Deno.test("boundDamaged keeps the latest of the files that were set aside", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "outbox.kv");
    for (let day = 1; day <= 6; day++) {
      const name = damagedPath(path, new Date(Date.UTC(2026, 10, day, 8, 23)));
      await Deno.writeFile(name, new Uint8Array(1_000));
      await Deno.writeFile(`${name}-wal`, new Uint8Array(10));
    }
    await boundDamaged(path, 1_000_000);
    const left = (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).filter((name) => name.endsWith("Z"));
    assert.deepEqual(left.sort(), [4, 5, 6].map((day) => `outbox.kv.damaged-2026110${day}T082300Z`));
    assert.equal(left.length, limits.quarantinedFilesMax);
    await boundDamaged(path, 1_500);
    assert.equal((await Array.fromAsync(Deno.readDir(folder))).length, 2, "the last one stays, with its log of writes");
  });
});

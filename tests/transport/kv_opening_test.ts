/**
 * Damaged outboxes: what is readable is delivered, the rest is set aside and accounted for, and no number is given twice.
 *
 * @module
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { removeDatabase } from "../../transport/kv_file.ts";
import { chunkKey, documentKey, type Header, lossesKey } from "../../transport/kv_records.ts";
import { assertExplained } from "../support/ledger.ts";
import { OutboxFolder, putStatus } from "../support/outbox_folder.ts";
import { draftOf } from "../support/drafts.ts";
import { seededRandom, takeSeed } from "../support/seeded_random.ts";

const sizes = Array.from({ length: 60 }, (_, index) => index % 3 === 0 ? 150_000 : 3_000);

async function damagedFiles(folder: OutboxFolder): Promise<string[]> {
  const names = await Array.fromAsync(Deno.readDir(folder.path), ({ name }) => name);
  return names.filter((name) => /^outbox\.kv\.damaged-\d{8}T\d{6}Z$/.test(name));
}

/** Fills an outbox, delivers ten, harms it, and holds that the next run accounts for everything. */
async function survive(
  name: string,
  harm: (folder: OutboxFolder) => Promise<void>,
  { isOfBefore = false } = {},
): Promise<OutboxFolder> {
  const folder = await OutboxFolder.create();
  if (isOfBefore) await folder.makeAsBefore();
  await folder.fill(sizes, 10);
  await harm(folder);
  const startedMs = performance.now();
  const outbox = await folder.open();
  assert(performance.now() - startedMs < 10_000, "it starts within 10 s");
  await outbox.put(draftOf("after the damage"));
  // Damage that shows only now is told by the status after.
  await folder.drain(outbox);
  assertExplained(name, await folder.drain(outbox));
  await outbox.close();
  return folder;
}

const harms: Record<string, (folder: OutboxFolder) => Promise<void>> = {
  "a file of garbage": (folder) => Deno.writeFile(folder.file, crypto.getRandomValues(new Uint8Array(50_000))),
  "a file cut in half": async (folder) => Deno.truncate(folder.file, (await Deno.stat(folder.file)).size / 2),
  "a file cut within its first page": (folder) => Deno.truncate(folder.file, 1_000),
  "a header of zeros": async ({ file }) => {
    using opened = await Deno.open(file, { write: true });
    await opened.write(new Uint8Array(100));
  },
  "a value that passes for a number": (folder) => {
    using file = new DatabaseSync(folder.file);
    file.exec("update kv set v_encoding = 2 where k = (select k from kv where length(v) > 1000 limit 1)");
    return Promise.resolve();
  },
  "a damaged root of the keys": (folder) => folder.overwriteRoot("kv"),
};
for (const [name, harm] of Object.entries(harms)) {
  Deno.test(`openStore sets ${name} aside, says so, and gives no number twice`, async () => {
    await using folder = await survive(name, harm);
    assert.equal((await damagedFiles(folder)).length, 1);
    assert.equal(folder.log.of("outbox_quarantined").length, 1);
  });
}

Deno.test("openStore accounts for a file that is gone, and for one without a byte in it", async () => {
  await using _gone = await survive("no file", (folder) => Deno.remove(folder.file));
  await using _empty = await survive("an empty file", (folder) => Deno.truncate(folder.file, 0));
});

Deno.test("openStore accounts for every number whichever page is damaged, and delivers what is readable", async () => {
  const seed = takeSeed();
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  let delivered = 0;
  for (let round = 0; round < 16; round++) {
    const isOfBefore = round > 11;
    const at = round < 9 ? round + 1 : Math.floor(random() * 700) + 1;
    const harm = async (folder: OutboxFolder) => {
      const pageBytes = folder.pageBytes();
      await folder.overwrite(at * pageBytes, pageBytes);
    };
    await using folder = await survive(`page ${at}${isOfBefore ? " of a file of before" : ""}`, harm, { isOfBefore });
    delivered = Math.max(delivered, folder.delivered.length);
  }
  assert(delivered >= sizes.length, "most pages take only a few documents with them");
});

Deno.test("openStore takes a log of writes that is torn or gone for what it holds", async () => {
  for (const keep of [0, 0.3, 0.9]) {
    await using folder = await OutboxFolder.create();
    const outbox = await folder.open();
    for (const [index, bytes] of sizes.entries()) await outbox.put(draftOf(`${index}`, bytes));
    for (let index = 0; index < 10; index++) await folder.deliver(outbox);
    await using copy = await folder.copy();
    const { size } = await Deno.stat(`${copy.path}/outbox.kv-wal`);
    await Deno.truncate(`${copy.path}/outbox.kv-wal`, Math.floor(size * keep));
    await outbox.close();
    assertExplained(`log of writes cut to ${keep * 100} %`, await copy.openAndDrain());
  }
});

Deno.test("replaceStore is repeated or finished by the next start wherever it is killed", async () => {
  await using folder = await OutboxFolder.create();
  await folder.fill(sizes, 10);
  await folder.overwriteRoot("queue", 100);
  const copies: OutboxFolder[] = [];
  const outbox = await folder.open({ step: async () => void copies.push(await folder.copy()) });
  await outbox.close();
  assert(copies.length > 6, "several commits and both moves");
  for (const [index, copy] of copies.entries()) {
    const { delivered, unexplained } = await copy.openAndDrain();
    assert.deepEqual([delivered, unexplained], [sizes.length + 1, 0], `copy ${index}`);
    await copy[Symbol.asyncDispose]();
  }
});

Deno.test("openStore tells what went with a damaged file until the listener has been told, and never again", async () => {
  await using folder = await survive("garbage", harms["a file of garbage"]!);
  const outbox = await folder.open();
  assert.deepEqual(outbox.status().loss.untold.ranges, []);
  assert.equal(outbox.status().loss.quarantinedFiles, 1);
  assert(outbox.status().loss.quarantinedRecords >= sizes.length - 10);
  await outbox.close();
});

for (const isDamaged of [false, true]) {
  const what = isDamaged ? "a damaged file" : "a file";
  Deno.test(`openStore takes no loss for a delivery in ${what} of before documents went out past the backlog`, async () => {
    await using folder = await OutboxFolder.create();
    await folder.fill([1_000, 1_000, 1_000, 1_000, 1_000]);
    const before = await Deno.readFile(folder.file);
    const outbox = await folder.open();
    for (const name of ["lost", "lost, too"]) await outbox.put(draftOf(name));
    // As the fresh lane does; the listener gets them again with those before.
    for (const sequence of [4, 5]) {
      await outbox.oldest(sequence);
      await outbox.acknowledge(sequence);
    }
    await outbox.close();
    await removeDatabase(folder.file);
    await Deno.writeFile(folder.file, before);
    if (isDamaged) {
      using file = new DatabaseSync(folder.file);
      file.exec("insert into kv (k, v, v_encoding, version) values (x'00', x'01', 2, 1)");
    }
    const result = await folder.openAndDrain();
    assertExplained("of before the fresh lane", result);
    assert.deepEqual([result.delivered, result.captured], [6, 8]);
  });
}

Deno.test("openStore tells of losses anew whose ledger cannot be read before anybody was told", async () => {
  await using folder = await OutboxFolder.create();
  const outbox = await folder.open();
  for (let sequence = 1; sequence <= 9; sequence++) await outbox.put(draftOf(`${sequence}`));
  for (const sequence of [1, 3, 5]) await outbox.reject(sequence, "untold");
  await outbox.close();
  const kv = await Deno.openKv(folder.file);
  await kv.set(lossesKey, "unreadable");
  kv.close();
  const again = await folder.open();
  assertExplained("an untold ledger that cannot be read", await folder.drain(again));
  await again.close();
});

Deno.test("openStore does not take a status from before the damage for having told of it", async () => {
  await using folder = await OutboxFolder.create();
  const outbox = await folder.open();
  for (let sequence = 1; sequence <= 9; sequence++) await outbox.put(draftOf(`${sequence}`));
  for (const sequence of [1, 3, 5]) await outbox.reject(sequence, "marks");
  await putStatus(outbox);
  await outbox.close();
  const kv = await Deno.openKv(folder.file);
  await kv.set(lossesKey, "unreadable");
  await kv.delete(chunkKey(7, 0));
  kv.close();
  const again = await folder.open();
  while (await folder.deliver(again));
  assertExplained("a ledger that cannot be read", await folder.drain(again));
  await again.close();
});

Deno.test("openStore keeps the file of a newer agent untouched and begins a new one behind it", async () => {
  await using folder = await survive("a newer format", (folder) => setFormat(folder, 99));
  const [name] = await damagedFiles(folder);
  using file = new DatabaseSync(`${folder.path}/${name}`, { readOnly: true });
  assert.equal(file.prepare("select count(*) as n from kv where hex(k) like '02646F63756D656E74%'").get()?.n, 50);
  assert.match(String(folder.log.of("outbox_quarantined")[0]?.fields.error), /newer agent: format is 99/);
});

Deno.test("openStore delivers from a file that was set aside and is moved back, and takes it out of the losses", async () => {
  await using folder = await survive("a newer format", (folder) => setFormat(folder, 99));
  const [name] = await damagedFiles(folder);
  await Deno.rename(`${folder.path}/${name}`, folder.file);
  await setFormat(folder, 2);
  const result = await folder.openAndDrain();
  assertExplained("moved back", result);
  assert.equal(result.quarantined, 0);
  assert(result.delivered >= sizes.length);
});

Deno.test("openStore reads the format before this one, with its figures", async () => {
  await using folder = await OutboxFolder.create();
  await folder.fill([1_000, 1_000, 1_000], 1);
  await Deno.remove(`${folder.path}/sequence`);
  await setFormat(folder, 1);
  const outbox = await folder.open();
  const { records, deliveredRecords, nextSequence } = outbox.status();
  assert.deepEqual({ records, deliveredRecords, nextSequence }, { records: 2, deliveredRecords: 1, nextSequence: 4 });
  assertExplained("format 1", await folder.drain(outbox));
  await outbox.close();
});

Deno.test("replaceStore cures damage that shows while the agent runs, and loses no more than what is unreadable", async () => {
  await using folder = await OutboxFolder.create();
  await folder.fill(sizes, 0);
  const outbox = await folder.open();
  await folder.deliver(outbox);
  await folder.overwrite(160_000, 250_000);
  // What it costs is told by the status after it was found.
  await folder.drain(outbox);
  assertExplained("damage while running", await folder.drain(outbox));
  const { loss } = outbox.status();
  assert(loss.quarantinedRecords + loss.rejectedRecords > 0 && loss.quarantinedRecords < sizes.length / 2);
  await outbox.close();
});

Deno.test("replaceStore carries a document over that was cut into other pieces", async () => {
  await using folder = await OutboxFolder.create();
  await folder.fill(sizes);
  const kv = await Deno.openKv(folder.file);
  const { value: piece } = await kv.get<Uint8Array>(chunkKey(2, 0));
  const { value: header } = await kv.get<Header>(documentKey(2));
  await kv.set(chunkKey(2, 0), piece!.slice(0, 1_000));
  await kv.set(chunkKey(2, 1), piece!.slice(1_000));
  await kv.set(documentKey(2), { ...header, chunks: 2 });
  kv.close();
  await folder.overwriteRoot("queue", 100);
  const result = await folder.openAndDrain();
  assertExplained("other pieces", result);
  assert.deepEqual([folder.log.of("outbox_quarantined").length, result.delivered], [1, sizes.length + 1]);
});

Deno.test("openStore carries 100 MB over from a damaged file within 10 s", async () => {
  await using folder = await OutboxFolder.create();
  await folder.fill(Array.from({ length: 450 }, () => 220_000));
  await folder.overwriteRoot("queue", 100);
  const startedMs = performance.now();
  await using file = { [Symbol.asyncDispose]: () => outbox.close() };
  const outbox = await folder.open();
  const tookMs = Math.round(performance.now() - startedMs);
  console.log(`${tookMs} ms, ${JSON.stringify(folder.log.of("outbox_quarantined")[0]?.fields)}`);
  assert(tookMs < 10_000);
  assert.equal(outbox.status().records, 450);
  void file;
});

async function setFormat({ file }: OutboxFolder, format: number): Promise<void> {
  const kv = await Deno.openKv(file);
  const { value } = await kv.get<Record<string, number>>(["state"]);
  await kv.set(["state"], { ...value, format });
  kv.close();
}

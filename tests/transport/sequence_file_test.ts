// The file of the numbers: what it says after torn writes, on a full disk, and cut short.
import assert from "node:assert/strict";
import { join } from "node:path";
import { SequenceFile, type SequenceNote } from "../../transport/sequence_file.ts";
import { SmallDisk, smallDiskUnavailable } from "../support/small_disk.ts";
import { withFolder } from "../support/with_folder.ts";

const totals = {
  deliveredRecords: 1,
  evictedRecords: 2,
  evictedBytes: 3,
  rejectedRecords: 4,
  quarantinedRecords: 5,
  unstoredRecords: 6,
  quarantinedFiles: 7,
};

function noteOf(next: number): SequenceNote {
  return { next, stored: next, ceiling: next + 20, settled: next - 1, exact: false, totals };
}

async function withFile(body: (path: string) => Promise<void>): Promise<void> {
  await withFolder((folder) => body(join(folder, "sequence")));
}

async function readNote(path: string): Promise<SequenceNote | null> {
  using file = await SequenceFile.open(path);
  return file.note;
}

Deno.test("SequenceFile says what was written last, and is private", () =>
  withFile(async (path) => {
    assert.equal(await readNote(path), null);
    using file = await SequenceFile.open(path);
    for (let next = 1; next <= 7; next++) await file.write(noteOf(next), { durable: next % 2 === 0 });
    assert.deepEqual(file.note, noteOf(7));
    assert.deepEqual(await readNote(path), noteOf(7));
    const { size, mode } = await Deno.stat(path);
    assert.deepEqual([size, mode! & 0o777], [1_024, 0o600]);
  }));

Deno.test("SequenceFile falls back to the write before one that is torn, wherever it is torn", () =>
  withFile(async (path) => {
    {
      using file = await SequenceFile.open(path);
      for (let next = 1; next <= 6; next++) await file.write(noteOf(next), { durable: false });
    }
    const whole = await Deno.readFile(path);
    for (let torn = 0; torn < 512; torn += 7) {
      const bytes = whole.slice();
      // The sixth write went into the first half; its rest is of the fourth.
      bytes.fill(0, torn, 512);
      await Deno.writeFile(path, bytes);
      const { next } = (await readNote(path))!;
      assert(next === 5 || (torn > 400 && next === 6), `torn at ${torn}: ${next}`);
    }
    await Deno.writeFile(path, new Uint8Array(1_024).fill(7));
    assert.equal(await readNote(path), null);
  }));

Deno.test("SequenceFile keeps its first half when it is cut short, and gets its full size again", () =>
  withFile(async (path) => {
    {
      using file = await SequenceFile.open(path);
      for (let next = 1; next <= 2; next++) await file.write(noteOf(next), { durable: false });
    }
    await Deno.truncate(path, 600);
    assert.deepEqual(await readNote(path), noteOf(2));
    assert.equal((await Deno.stat(path)).size, 1_024);
  }));

Deno.test({
  name: `SequenceFile can be written on a full disk${smallDiskUnavailable() === null ? "" : " (skipped: not root)"}`,
  ignore: smallDiskUnavailable() !== null,
  fn: async () => {
    await using disk = await SmallDisk.mount("size=64k");
    const path = join(disk.path, "sequence");
    using file = await SequenceFile.open(path);
    await disk.fill();
    for (let next = 1; next <= 5; next++) await file.write(noteOf(next), { durable: true });
    assert.deepEqual(await readNote(path), noteOf(5));
  },
});

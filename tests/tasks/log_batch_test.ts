// Entries on their way into one document.
import assert from "node:assert/strict";
import fc from "fast-check";
import { emptyEntry, type LogEntry } from "../../collectors/logs/entry.ts";
import * as limits from "../../limits.ts";
import { LogBatch, type TakenBatch } from "../../tasks/log_batch.ts";
import { createSeal, type ReadyJson } from "../../transport/envelope.ts";

const state = { path: "postgresql.log", generations: [], done: [], atMs: 0 };

function entriesOf(count: number, text: string): LogEntry[] {
  return Array.from({ length: count }, (_, index) => emptyEntry("LOG", `${text} ${index}`, null));
}

/** As a run does with the entries of each read. */
function addAll(batch: LogBatch, entries: readonly LogEntry[]): void {
  for (const entry of entries) batch.add(entry, 0);
  batch.note(state);
}

Deno.test("LogBatch gives the entries of several reads as one array, whatever characters they have", () => {
  const batch = new LogBatch();
  const entries = [
    ...entriesOf(3, 'quoted "é"'),
    ...entriesOf(1, "语句\n\ud83d\ude00 \ud800"),
    ...entriesOf(90, "語".repeat(500)),
  ];
  for (const [from, to] of [[0, 3], [3, 4], [4, 4], [4, 94]]) addAll(batch, entries.slice(from, to));
  const { data, count } = batch.take();
  assert.equal(count, 94);
  const { entries: carried, levels } = JSON.parse(JSON.stringify(data));
  assert.deepEqual(carried, JSON.parse(JSON.stringify(entries)));
  assert.deepEqual(levels, { LOG: 94 });
});

/** What a server may write into a log, and what breaks JSON that is put together by hand. */
const hostileText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.array(
    fc.constantFrom('"', "\\", "\0", "\x1f", "\x7f", "\ud83d", "\ude00", "\u2028", "\u2029", "\ufeff", "😀", "]", ","),
  )
    .map((units) => units.join("")),
);
const hostileEntry = fc.record({ message: hostileText, user: fc.option(hostileText), pid: fc.option(fc.nat()) })
  .map((fields): LogEntry => ({ ...emptyEntry("LOG", "", "/var/log/ü.log"), ...fields }));

Deno.test("LogBatch and the envelope around it mean what JSON.stringify would have written, whatever the texts", () => {
  const batch = new LogBatch();
  const seal = createSeal({ project: "p", host: 'h"', version: "1" }, { now: () => new Date(0) });
  const filling = emptyEntry("LOG", "é".repeat(limits.lentJsonBytesMin / 2), null);
  fc.assert(fc.property(fc.array(fc.array(hostileEntry)), fc.boolean(), (reads, isLarge) => {
    const entries = [...isLarge ? [filling] : [], ...reads.flat()];
    if (isLarge) batch.add(filling, 0);
    for (const read of reads) addAll(batch, read);
    const { data, release } = batch.take();
    const { json, isLent } = seal({ type: "pg_log", timestamp: new Date(0), data }, 1);
    assert.equal(isLent, isLarge);
    const document = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json));
    assert.deepEqual(document.data.entries, JSON.parse(JSON.stringify(entries)));
    assert.equal(document.data.count, entries.length);
    release();
  }));
});

Deno.test("LogBatch leaves what was taken as it is until it is released, and uses its bytes again in a flood", () => {
  const batch = new LogBatch();
  const parsed = ({ data }: TakenBatch) => JSON.parse(JSON.stringify(data)).entries as LogEntry[];
  const take = (count: number, text: string) => {
    addAll(batch, entriesOf(count, text));
    return batch.take();
  };
  const full = limits.logBatchEntriesMax;
  const taken = ["first", "second", "the third"].map((text) => take(full, text));
  const { buffer } = bytesOf(taken[1]!);
  taken[1]!.release();
  const next = [take(full, "4"), take(full, "5")];
  assert.deepEqual(next.map((one) => bytesOf(one).buffer === buffer), [false, true]);
  for (const [one, message] of [[taken[0]!, "first 499"], [taken[2]!, "the third 499"], [next[1]!, "5 499"]] as const) {
    assert.deepEqual([parsed(one).length, parsed(one).at(-1)?.message], [full, message]);
  }
  taken[0]!.release();
  const calm = take(3, "calm");
  for (const one of [taken[2]!, ...next]) one.release();
  const old = new Set([...taken, ...next].map((one) => bytesOf(one).buffer));
  assert(!old.has(bytesOf(take(1, "later")).buffer), "nothing is kept of a flood that is over");
  assert.deepEqual(parsed(calm).map(({ message }) => message), ["calm 0", "calm 1", "calm 2"]);
  assert.deepEqual(parsed(batch.take()), []);
});

function bytesOf({ data }: TakenBatch): Uint8Array {
  return (data.entries as ReadyJson).bytes;
}

// Entries on their way into one document.
import assert from "node:assert/strict";
import { emptyEntry, type LogEntry } from "../../collectors/logs/entry.ts";
import * as limits from "../../limits.ts";
import { LogBatch, type TakenBatch } from "../../tasks/log_batch.ts";
import type { ReadyJson } from "../../transport/envelope.ts";

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

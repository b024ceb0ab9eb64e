// Entries on their way into one document.
import assert from "node:assert/strict";
import { emptyEntry, type LogEntry } from "../../collectors/logs/entry.ts";
import { LogBatch } from "../../tasks/log_batch.ts";

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

Deno.test("LogBatch leaves what was taken as it is until the next batch is taken", () => {
  const batch = new LogBatch();
  addAll(batch, entriesOf(5, "first"));
  const { data } = batch.take();
  addAll(batch, entriesOf(7, "second, and longer"));
  assert.equal(JSON.parse(JSON.stringify(data)).entries[4].message, "first 4");
  assert.equal(JSON.parse(JSON.stringify(batch.take().data)).entries.length, 7);
  assert.deepEqual(JSON.parse(JSON.stringify(batch.take().data)).entries, []);
});

// Entries on their way into one document.
import assert from "node:assert/strict";
import { emptyEntry, type LogEntry } from "../../collectors/logs/entry.ts";
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

Deno.test("LogBatch leaves what was taken as it is until it is released, and then uses its bytes again", () => {
  const batch = new LogBatch();
  const parsed = (data: unknown) => JSON.parse(JSON.stringify(data)).entries.map(({ message }: LogEntry) => message);
  const taken = ["first", "second", "third", "last"].map((text, index) => {
    addAll(batch, entriesOf(5 + index, `${text} `.repeat(1 + index)));
    return batch.take();
  });
  assert.deepEqual(taken.map(({ data }) => parsed(data).at(-1)), [
    "first  4",
    "second second  5",
    "third third third  6",
    "last last last last  7",
  ]);
  const { buffer } = bytesOf(taken[1]!);
  taken[1]!.release();
  addAll(batch, entriesOf(1, "fits what is there"));
  const next = [batch.take()];
  addAll(batch, entriesOf(1, "after that"));
  next.push(batch.take());
  assert(next.some((one) => bytesOf(one).buffer === buffer), "it was let go");
  assert.deepEqual(next.map(({ data }) => parsed(data)), [["fits what is there 0"], ["after that 0"]]);
  assert.deepEqual(parsed(taken[3]!.data).length, 8);
  assert.deepEqual(parsed(batch.take().data), []);
});

function bytesOf({ data }: TakenBatch): Uint8Array {
  return (data.entries as ReadyJson).bytes;
}

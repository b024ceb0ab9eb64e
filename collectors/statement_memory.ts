/**
 * All entries as they are now, from those that the server sends and those that are known.
 *
 * - What is known is only what belongs to a stored document; a document that is lost has changed nothing.
 * - An entry that is not sent is as it was known (`statement_counters.ts` says why); its record is the same string.
 * - The server tells how many entries it has. What is known and what is new must come to that number, or to more by
 *   those that it has dropped. Where entries tell when they began (`stats_since`), one that was dropped and returns is
 *   seen to be new, so that a bounded number of them may stay; they are never reported. Elsewhere all are read at once,
 *   and again until a read in which none was dropped.
 * - Where server and memory may differ in anything else, all are read: another server, a reset, other privileges, a
 *   failure in between, and once in {@link limits.fullReadEvery} reads.
 *
 * @module
 */

import * as limits from "../limits.ts";
import type { Counters } from "./statement_counters.ts";
import type { Snapshot } from "./statement_deltas.ts";
import type { Extension } from "./statement_extension.ts";
import { emptyTable, layOutTable, type Mark, type MarkTable } from "./statement_marks.ts";

/** All entries, and what it takes to ask for changes alone the next time. */
export interface Remembered extends Snapshot {
  marks: ReadonlyMap<string, Mark>;
  dealloc: number | null;
  /** Entries in `records` that the server has no more; of a full read, those that it had before. */
  dropped: number;
  /** Reads since the last full one. */
  partialReads: number;
}

/** How to read, and what is known already. */
export interface ReadingOptions {
  ask: (table: MarkTable) => Promise<Counters>;
  nowMs: () => number;
  extension: Extension;
  previous: Remembered | null;
  /** How many statements the report may need. */
  wanted: number;
}

/** Reads what has changed, and everything where that does not suffice. */
export async function readEntries({ ask, nowMs, ...options }: ReadingOptions): Promise<Remembered> {
  const { extension, previous, wanted } = options;
  if (previous !== null && maySuffice(previous, extension)) {
    const takenMs = nowMs();
    const counters = await ask(layOutTable([...previous.marks.values()]));
    const merged = merge(previous, counters, takenMs);
    if (suffices(merged, { previous, counters, extension, wanted })) return merged;
  }
  const takenMs = nowMs();
  const counters = await ask(emptyTable);
  const dropped = previous === null ? 0 : countMissing(previous.records, counters.records);
  return { ...counters, takenMs, dropped, partialReads: 0 };
}

function maySuffice({ dropped, partialReads }: Remembered, { sharesKeys, layout }: Extension): boolean {
  return !sharesKeys && partialReads + 1 < limits.fullReadEvery && (layout.hasStatsSince || dropped === 0);
}

function merge(previous: Remembered, counters: Counters, takenMs: number): Remembered {
  const { visible, ...rest } = counters;
  const records = withUnsent(counters.records, previous.records);
  const dropped = records.size - visible;
  return {
    ...rest,
    ...{ records, takenMs, dropped },
    // With entries in between that are no more, only those that were sent are known to be there.
    ...(dropped === 0 ? {} : { present: counters.records }),
    marks: withUnsent(counters.marks, previous.marks),
    partialReads: previous.partialReads + 1,
  };
}

function suffices(
  merged: Remembered,
  { previous, counters, extension, wanted }: {
    previous: Remembered;
    counters: Counters;
    extension: Extension;
    wanted: number;
  },
): boolean {
  const { serverStart, statsReset, hidden, dropped } = merged;
  const isSame = serverStart === previous.serverStart && statsReset === previous.statsReset &&
    hidden === previous.hidden;
  if (!isSame || dropped <= 0) return isSame && dropped === 0;
  return extension.layout.hasStatsSince && dropped <= counters.visible * limits.droppedEntriesShareMax &&
    counters.records.size >= wanted;
}

/** The changed ones first: a ranking is done sooner. */
function withUnsent<T>(sent: ReadonlyMap<string, T>, known: ReadonlyMap<string, T>): Map<string, T> {
  const all = new Map(sent);
  for (const [key, value] of known) if (!all.has(key)) all.set(key, value);
  return all;
}

function countMissing(known: ReadonlyMap<string, unknown>, now: ReadonlyMap<string, unknown>): number {
  let missing = 0;
  for (const key of known.keys()) if (!now.has(key)) missing++;
  return missing;
}

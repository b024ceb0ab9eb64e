/**
 * Opening the outbox's file: as it is, behind its numbers, or damaged. A damaged or newer one is replaced by what can be
 * saved of it and set aside.
 *
 * Invariants:
 *
 * - the replacement is complete before the damaged file is moved: a crash at any point repeats it or finds it done;
 * - afterwards the books add up: what is neither in the file nor counted otherwise is delivered as far as is known, and
 *   otherwise lost, in one range that reaches to the next number;
 * - the next number is above all that may have been given.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import { errorMessage, type Log } from "../log.ts";
import type { Books } from "./kv_books.ts";
import { boundDamaged, damagedPath, isDamage, moveDatabase, NewerFormatError, removeDatabase } from "./kv_file.ts";
import { emptyState, lossesKey, type OutboxState, parseState, stateKey } from "./kv_records.ts";
import { DamagedFile, type SavedDocument } from "./kv_salvage.ts";
import type { Step, StoredBooks } from "./kv_state.ts";
import { KvStore } from "./kv_store.ts";
import { emptyLedger, parseLedger } from "./loss_ledger.ts";
import { nextOf, type SequenceNote } from "./sequence_file.ts";
import type { Settled } from "./settled.ts";

/** What an opening works with. */
export interface OpeningOptions {
  /** Of the file. */
  path: string;
  maxBytes: () => number;
  books: Books;
  step: Step;
  clock: Clock;
  log: Log;
}

/** What is known beside the file. */
export interface Known {
  /** Whether the books are of this run; at the start they are empty. */
  isRunning: boolean;
  note: SequenceNote | null;
  /** Documents in memory that have a number. */
  held: number;
  /** Documents that need no delivery any more although the file has them. */
  settled: Settled;
}

/** Opens the file and brings the books in line with it. Throws when it cannot be opened or written now. */
export async function openStore(options: OpeningOptions, known: Known): Promise<KvStore> {
  await finishReplacement(options.path);
  try {
    const { store, stored } = await KvStore.open(options);
    try {
      await reconcile(store, { ...options, ...known, stored });
      return store;
    } catch (error) {
      store.close();
      throw error;
    }
  } catch (error) {
    if (!(error instanceof NewerFormatError) && !isDamage(error)) throw error;
    return await replaceStore(error as Error, { ...options, ...known });
  }
}

/** The ordinary way takes over what the file says. A file that is behind, or new, leaves numbers to account for. */
async function reconcile(
  store: KvStore,
  { stored, isRunning, note, held, books, log }: OpeningOptions & Known & { stored: StoredBooks | null },
): Promise<void> {
  if (!isRunning) {
    if (stored !== null && (note === null || note.next <= stored.value.nextSequence)) {
      books.enter({ change: stored.value, losses: stored.losses });
      return await store.removeUnfinishedFrom(stored.value.nextSequence);
    }
    if (note === null || nextOf(note) <= 1) return await store.save();
    books.merge(note.totals);
  }
  const from = stored?.value.nextSequence ?? (note?.settled ?? 0) + 1;
  if (stored !== null) {
    books.merge(totalsOf(stored.value), stored.losses);
    await store.removeUnfinishedFrom(stored.value.nextSequence);
  }
  books.enter({ change: { nextSequence: nextAfter(books, note, { isRunning, stored: stored?.value ?? null }) } });
  books.enter({ change: await store.count() });
  // Not of a file that could not be written: it is what it was.
  if (!isRunning && note !== null && stored !== null && stored.value.nextSequence < note.stored) {
    books.takeBack(await waitingAgain(store, { note, records: books.state.records }));
  }
  const to = books.state.nextSequence - 1;
  const lost = books.balance(held, { reason: "unstored", from, to });
  await store.save();
  if (lost > 0) log.error("buffer_behind", { from, to, unstored_records: lost });
}

/**
 * How many documents of a file of an earlier time are counted otherwise already: delivered since, or told as lost. Up to
 * `settled` all are; of those beyond it that are, any may be in the file, so that no loss is taken for a delivery.
 */
async function waitingAgain(
  store: KvStore,
  { note, records }: { note: SequenceNote; records: number },
): Promise<number> {
  const { deliveredRecords, evictedRecords, rejectedRecords, quarantinedRecords, unstoredRecords } = note.totals;
  const counted = deliveredRecords + evictedRecords + rejectedRecords + quarantinedRecords + unstoredRecords;
  const settled = await store.countUpTo(note.settled);
  const beyond = counted - note.settled;
  return Math.max(0, settled + Math.min(beyond, records - settled));
}

function nextAfter(
  books: Books,
  note: SequenceNote | null,
  { isRunning, stored }: { isRunning: boolean; stored: OutboxState | null },
): number {
  const known = Math.max(books.state.nextSequence, stored?.nextSequence ?? 1);
  if (isRunning || note === null) return known;
  return Math.max(known, nextOf(note));
}

function totalsOf(state: OutboxState): Partial<OutboxState> {
  const { deliveredRecords, evictedRecords, evictedBytes, rejectedRecords } = state;
  const { quarantinedRecords, unstoredRecords, quarantinedFiles } = state;
  const lost = { evictedRecords, evictedBytes, rejectedRecords, quarantinedRecords, unstoredRecords, quarantinedFiles };
  return { deliveredRecords, ...lost };
}

/** Where the replacement grows. */
function savedPath(path: string): string {
  return `${path}.saved`;
}

/** After a crash between the two moves the replacement is complete; at any other time it is not. */
async function finishReplacement(path: string): Promise<void> {
  if (await exists(path) || !await exists(savedPath(path))) return await removeDatabase(savedPath(path));
  await moveDatabase(savedPath(path), path);
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * Writes what can be read into a new file, sets the old one, which must be closed, aside, and puts the new one in its
 * place. Throws when that cannot be written; then everything is as before.
 */
export async function replaceStore(cause: Error, options: OpeningOptions & Known): Promise<KvStore> {
  const { path, books, clock, log, settled, step } = options;
  const before = { change: books.state, losses: books.losses };
  try {
    const outcome = await saveInto(savedPath(path), { cause, ...options });
    const aside = damagedPath(path, clock.now());
    await step("before the damaged file is set aside");
    await moveDatabase(path, aside);
    await step("after the damaged file is set aside");
    await moveDatabase(savedPath(path), path);
    settled.clear();
    log.error("outbox_quarantined", { file: aside, error: errorMessage(cause), ...outcome });
    await boundDamaged(path, options.maxBytes() * limits.quarantinedShareMax);
    return (await KvStore.open(options)).store;
  } catch (error) {
    books.enter(before);
    throw error;
  }
}

/** Answers with what is said in the log. */
async function saveInto(
  path: string,
  { cause, isRunning, note, held, settled, ...options }: OpeningOptions & Known & { cause: Error },
): Promise<Record<string, unknown>> {
  const { books, clock } = options;
  const isNewer = cause instanceof NewerFormatError;
  using damaged = isNewer ? null : DamagedFile.open(options.path);
  const from = (note?.settled ?? 0) + 1;
  const newerNext = isNewer ? cause.nextSequence : 0;
  const isCurrent = isRunning || takeBooks(books, { note, damaged, newerNext });
  const { nextSequence, quarantinedFiles, deliveredRecords } = books.state;
  const nothing = { records: 0, bytes: 0, rejectedKept: 0, rejectedBytes: 0 };
  const counts = {
    quarantinedFiles: quarantinedFiles + 1,
    deliveredRecords: deliveredRecords + settled.deliveredRecords,
  };
  books.enter({ change: { ...nothing, ...counts } });
  await removeDatabase(path);
  const { store } = await KvStore.open({ ...options, path });
  try {
    const checkpoints = damaged?.checkpoints() ?? null;
    await store.save(checkpoints ?? []);
    const deadlineMs = clock.monotonicMs() + limits.salvageMs;
    if (damaged !== null) {
      const documents = damaged.documents({ from, to: nextSequence - 1 });
      const saved = until(documents, () => clock.monotonicMs() > deadlineMs, settled);
      await store.restore(withMarks(saved, books));
      if (!isCurrent && note !== null) {
        books.takeBack(await waitingAgain(store, { note, records: books.state.records }));
      }
    }
    // Without a note the last document that was saved tells at least how far numbers went.
    const last = await store.lastSequence();
    if (last >= nextSequence) books.enter({ change: { nextSequence: last + 1 + limits.sequenceBlock } });
    const to = books.state.nextSequence - 1;
    const lost = books.balance(held, { reason: "quarantined", from: Math.min(from, to), to });
    await store.save();
    return { saved_records: books.state.records, lost_records: lost, checkpoints_saved: checkpoints !== null };
  } finally {
    store.close();
  }
}

/** At the start: what the damaged file says of itself if it is up to date (true), else what is noted beside it. */
function takeBooks(
  books: Books,
  { note, damaged, newerNext }: { note: SequenceNote | null; damaged: DamagedFile | null; newerNext: number },
): boolean {
  const stored = readState(damaged);
  const losses = parseLedger(damaged?.value(lossesKey));
  if (stored !== null && losses !== null && (note === null || note.next <= stored.nextSequence)) {
    books.enter({ change: stored, losses });
    return true;
  }
  if (note !== null) books.merge(note.totals);
  if (stored !== null) {
    const { deliveredRecords } = stored;
    // Without its ledger its totals would count as told what nobody has been told.
    books.merge(losses === null ? { deliveredRecords } : totalsOf(stored), losses ?? emptyLedger);
  }
  const known = Math.max(stored?.nextSequence ?? 1, Number.isSafeInteger(newerNext) ? newerNext : 1);
  const next = note === null ? (known > 1 ? known + limits.sequenceBlock : 1) : nextOf(note);
  books.enter({ change: { nextSequence: Math.max(known, next) } });
  return false;
}

function readState(damaged: DamagedFile | null): OutboxState | null {
  try {
    return { ...emptyState, ...parseState(damaged?.value(stateKey)) };
  } catch {
    return null;
  }
}

/**
 * Has the ledger's mark follow those that the documents bear: they may be of a ledger that could not be read, and must
 * not pass for having told what is found lost only now.
 */
function* withMarks(documents: Iterable<SavedDocument>, books: Books): Generator<SavedDocument> {
  for (const document of documents) {
    const mark = Math.max(books.losses.mark, document.header.tells ?? 0);
    books.enter({ change: {}, losses: { ...books.losses, mark } });
    yield document;
  }
}

function* until(
  documents: Iterable<SavedDocument>,
  isLate: () => boolean,
  settled: Settled,
): Generator<SavedDocument> {
  for (const document of documents) {
    if (isLate()) return;
    if (!settled.has(document.header.sequence)) yield document;
  }
}

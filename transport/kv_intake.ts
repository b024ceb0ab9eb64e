/**
 * The way into the outbox: drafts that come while a commit is under way share the next one, and the first after a quiet
 * time waits a moment for those that come with it.
 *
 * Invariants:
 *
 * - drafts get their numbers in the order in which they came, and each its answer after the commit that has it;
 * - a draft that cannot be stored for a reason of its own uses up no number, and takes no other with it;
 * - of drafts that were added together none is stored behind one that could not be;
 * - documents share a commit only if all goes smoothly: what is large, needs room made or fails is stored alone.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import type { Log } from "../log.ts";
import type { KvAccess } from "./kv_access.ts";
import type { Books } from "./kv_books.ts";
import type { EncodedDraft, Holding, SealedDraft } from "./kv_holding.ts";
import type { Evicted, Put, SourcedDraft } from "./outbox.ts";
import type { Settled } from "./settled.ts";

/** What an intake works with. */
export interface IntakeOptions {
  books: Books;
  access: KvAccess;
  holding: Holding;
  settled: Settled;
  leased: () => number | null;
  clock: Clock;
  log: Log;
  /** Ends waiting for company. */
  closing: AbortSignal;
}

interface Waiting extends SourcedDraft {
  answer: PromiseWithResolvers<Put>;
  /** Of all that were added together. */
  series: { hasFailed: boolean };
  /** Under a number that may have become another's since. */
  sealed: SealedDraft | null;
}

const nothing: Evicted = { records: 0, bytes: 0 };

/** Drafts on their way into the outbox. */
export class Intake {
  readonly #options: IntakeOptions;
  #line: Waiting[] = [];
  /** At the start nobody waits: the first document is overdue. */
  #lastAddedMs = Number.POSITIVE_INFINITY;
  #company: Promise<void> | null = null;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** Takes drafts into the line; `storeNext` has to be called for each. Answers what became of them, one by one. */
  add(puts: readonly SourcedDraft[]): Promise<Put>[] {
    const series = { hasFailed: false };
    return puts.map((put) => {
      const answer = Promise.withResolvers<Put>();
      this.#line.push({ ...put, answer, series, sealed: null });
      return answer.promise;
    });
  }

  /**
   * What the draft that was added last waits for before it is stored: the others of its tick. Null when it need not, as
   * one with checkpoints, whose source waits for it; it takes along whoever waits.
   */
  company(): Promise<void> | null {
    const { clock, closing } = this.#options;
    const nowMs = clock.monotonicMs();
    const wasQuiet = nowMs - this.#lastAddedMs >= limits.companyAfterMs;
    this.#lastAddedMs = nowMs;
    const isUrgent = this.#line.length >= limits.documentsPerCommitMax || this.#line.at(-1)!.checkpoints.length > 0;
    if (isUrgent) return null;
    if (wasQuiet) this.#company ??= clock.sleep(limits.companyMs, closing).then(() => void (this.#company = null));
    return this.#company;
  }

  /** Stores the whole line: nothing more comes. One call at a time. */
  async storeAll(): Promise<void> {
    while (this.#line.length > 0) await this.storeNext();
  }

  /** Stores the first of the line, if there is one, and with it as many as one commit takes. One call at a time. */
  async storeNext(): Promise<void> {
    const group = this.#line.splice(0, limits.documentsPerCommitMax).filter(isStillWanted);
    if (group.length > 1 && this.#options.access.isWritable && await this.#storeTogether(group)) return;
    for (const one of group) {
      if (!isStillWanted(one)) continue;
      try {
        one.answer.resolve(await this.#storeAlone(one));
      } catch (error) {
        one.series.hasFailed = true;
        one.answer.reject(error);
      }
    }
  }

  /** Notes how far the outbox is: up to which number everything is delivered, or lost and told. */
  async follow(): Promise<void> {
    const { access, books, settled } = this.#options;
    const first = await access.attempt((store) => store.firstSequence(settled));
    const untold = books.losses.ranges[0]?.from ?? Number.POSITIVE_INFINITY;
    await access.numbers.follow(Math.min(first ?? books.state.nextSequence, untold) - 1);
  }

  /** Whether that worked; nothing has changed otherwise. Puts back into the line what is too much at once. */
  async #storeTogether(group: Waiting[]): Promise<boolean> {
    const { access, leased, settled } = this.#options;
    try {
      // The disk is waited for while the documents are compressed.
      const reserving = access.numbers.reserve(group.length);
      await this.#sealAll(group).finally(() => reserving);
      const bytes = group.reduce((sum, { sealed }) => sum + sealed!.bytes, 0);
      if (bytes > limits.chunkBytesMax * limits.chunksPerCommitMax) return false;
      if (group.some(({ sealed }) => sealed!.isTooLarge)) return false;
      const documents = group.map(({ sealed }) => ({ ...sealed!.document, json: sealed!.json }));
      const stored = await access.attempt(async (store) =>
        store.fits(bytes, settled) ? await store.put(documents, { leased: leased(), settled }) : null
      );
      if (stored === null) return false;
    } catch {
      // One of them is to blame, and is told so when it is stored alone.
      return false;
    }
    await this.follow();
    for (const { answer, sealed } of group) {
      const { document: { id, sequence }, bytes } = sealed!;
      answer.resolve({ kind: "stored", id, sequence, bytes, evicted: nothing });
    }
    return true;
  }

  async #sealAll(group: Waiting[]): Promise<void> {
    const { holding, books } = this.#options;
    const { nextSequence } = books.state;
    const encoded: EncodedDraft[] = [];
    let bytes = 0;
    for (const [index, { draft }] of group.entries()) {
      if (bytes > limits.readiedBytesMax) {
        this.#line.unshift(...group.splice(index));
        break;
      }
      encoded.push(holding.encode(draft, nextSequence + index));
      bytes += encoded[index]!.document.json.length;
    }
    const isHurried = bytes > limits.hurriedBytes;
    await Promise.all(group.map(async (one, index) => {
      one.sealed = await holding.seal(encoded[index]!, one.checkpoints, { isHurried });
    }));
  }

  async #storeAlone(one: Waiting): Promise<Put> {
    const { access, holding, books, leased, log } = this.#options;
    const { draft, checkpoints } = one;
    // A commit that failed for all of them may have taken effect: what has an id keeps it.
    let { sealed } = one;
    if (access.isWritable) {
      await access.numbers.reserve(1);
      const { nextSequence } = books.state;
      if (sealed?.document.sequence !== nextSequence) {
        sealed = await holding.seal(holding.encode(draft, nextSequence), checkpoints);
      }
      const put = await this.#store(sealed);
      if (put !== null) return put;
    }
    const hadRoom = holding.droppedRecords === 0;
    const put = await holding.hold(draft, checkpoints, { sealed, leased: leased() });
    if (hadRoom && holding.droppedRecords > 0) log.error("buffer_memory_full", holding.figures);
    return put;
  }

  async #store({ document, json, bytes, isTooLarge }: SealedDraft): Promise<Put | null> {
    const { access, leased, settled } = this.#options;
    const { id, sequence } = document;
    const put = await access.attempt<Put>(async (store) => {
      if (!isTooLarge) {
        const evicted = await store.put([{ ...document, json }], { leased: leased(), settled });
        return { kind: "stored", id, sequence, bytes, evicted };
      }
      // What the note calls settled has left the file.
      await store.settle(settled);
      await store.refuse({ ...document, bytes }, document.checkpoints);
      return { kind: "too_large", sequence, bytes };
    });
    if (put !== null) await this.follow();
    return put;
  }
}

/** Nothing may pass what came before it and could not be stored. */
function isStillWanted({ series, answer }: Waiting): boolean {
  if (series.hasFailed) answer.reject(new Error("Cannot store what comes behind a document that could not be stored"));
  return !series.hasFailed;
}

/** The answers before the first failure; throws that one when there are none. */
export async function inOrder(answers: readonly Promise<Put>[]): Promise<Put[]> {
  const puts: Put[] = [];
  for (const end of await Promise.allSettled(answers)) {
    if (end.status === "fulfilled") puts.push(end.value);
    else if (puts.length === 0) throw end.reason;
    else break;
  }
  return puts;
}

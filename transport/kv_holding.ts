/**
 * Documents while the outbox cannot be written: held in memory within a bound, numbered as soon as a number is safe, and
 * stored in their order when writing works again.
 *
 * @module
 */

import * as limits from "../limits.ts";
import type { Draft, Seal, SealedDocument } from "./envelope.ts";
import { compress, decompress } from "./gzip.ts";
import { type Held, HeldDocuments, type HeldDraft } from "./held_documents.ts";
import type { Books } from "./kv_books.ts";
import type { Numbers } from "./kv_numbers.ts";
import { storedBytes } from "./kv_records.ts";
import type { KvStore } from "./kv_store.ts";
import type { ReadyDocument } from "./kv_writer.ts";
import { emptyLedger, type LossLedger, type LossReason, withLost, withoutTold, withRange } from "./loss_ledger.ts";
import type { Checkpoint, OutboxEntry, Put } from "./outbox.ts";
import type { Settled } from "./settled.ts";

/** What holding works with. */
export interface HoldingOptions {
  books: Books;
  numbers: Numbers;
  seal: Seal;
  maxBytes: () => number;
  documentBytesMax: number;
  heldBytesMax: number;
}

/** A draft with its number and id, in JSON. */
export interface EncodedDraft {
  document: SealedDocument;
  tells: number | undefined;
}

/** The same, compressed. */
export interface SealedDraft {
  document: ReadyDocument;
  /** Its JSON, where that stays as it is: what is sent right after it was stored. */
  json: Uint8Array<ArrayBuffer> | null;
  /** As it counts against the cap. */
  bytes: number;
  isTooLarge: boolean;
}

/** The documents in memory. */
export class Holding {
  readonly #options: HoldingOptions;
  readonly #held: HeldDocuments;
  /** Drafts that had to go before they had a number: under numbers of their own, from 1. */
  #dropped: LossLedger = emptyLedger;
  #droppedRecords = 0;

  constructor(options: HoldingOptions) {
    this.#options = options;
    this.#held = new HeldDocuments(options.heldBytesMax);
  }

  /** Documents with a number. */
  get numbered(): number {
    return this.#held.numbered;
  }

  /** Documents that had to go in this episode. */
  get droppedRecords(): number {
    return this.#droppedRecords;
  }

  /** What the log says of an episode. */
  get figures(): Record<string, number> {
    const [held_records, held_bytes] = [this.#held.numbered, this.#held.bytes];
    return { held_records, held_bytes, dropped_records: this.#droppedRecords };
  }

  /** Gives a draft its number and id. Throws what cannot be written as JSON. */
  encode(draft: Draft, sequence: number): EncodedDraft {
    return { document: this.#options.seal(draft, sequence), tells: draft.tells };
  }

  /** Makes a document of it that is ready to be stored. */
  async seal(
    { document: { json, isLent, ...document }, tells }: EncodedDraft,
    checkpoints: readonly Checkpoint[],
    options: { isHurried?: boolean } = {},
  ): Promise<SealedDraft> {
    const gzip = await compress(json, options);
    const stored = storedBytes({ gzipBytes: gzip.length });
    const isTooLarge = json.length > this.#options.documentBytesMax || stored > this.#options.maxBytes();
    return {
      document: { ...document, gzip, tells, checkpoints },
      json: isLent ? null : json,
      bytes: stored,
      isTooLarge,
    };
  }

  /**
   * Takes a document in, sealed already if it got as far. Throws when it comes with checkpoints and there is much in
   * memory: its source keeps it.
   */
  async hold(
    draft: Draft,
    checkpoints: readonly Checkpoint[],
    { sealed, leased }: { sealed: SealedDraft | null; leased: number | null },
  ): Promise<Put> {
    const { books, heldBytesMax } = this.#options;
    if (checkpoints.length > 0 && this.#held.bytes > heldBytesMax * limits.heldShareOfSourced) {
      throw new Error("Cannot hold more in memory of what can be read again: the outbox cannot be written");
    }
    const sequence = books.state.nextSequence;
    const isSafe = await this.numberAll() && await this.#advance(1);
    if (!isSafe) return await this.#holdDraft(draft, checkpoints, leased);
    const { document, bytes, isTooLarge } = sealed?.document.sequence === books.state.nextSequence - 1
      ? sealed
      : await this.seal(this.encode(draft, books.state.nextSequence - 1), checkpoints);
    if (isTooLarge) {
      this.#lose("too_large", document, bytes);
      this.#held.add({ document: null, draft: null, checkpoints });
      return { kind: "too_large", sequence, bytes };
    }
    this.#held.add({ document, draft: null, checkpoints });
    this.#makeRoom(leased);
    return { kind: "held", sequence: document.sequence, bytes };
  }

  /** Keeps the positions of sources. */
  keep(checkpoints: readonly Checkpoint[]): void {
    this.#held.add({ document: null, draft: null, checkpoints });
  }

  /** Positions that are not in the file yet. */
  checkpoints(): readonly Checkpoint[] {
    return this.#held.checkpoints();
  }

  /** The document with the lowest number from one on; null when none has such a number. */
  oldest(from: number): OutboxEntry | null {
    const document = this.#held.oldest(from);
    if (document === null) return null;
    const { id, sequence, type, timestamp, gzip } = document;
    return { id, sequence, type, timestamp, gzip };
  }

  /** The listener has it. False when it is not here. */
  settle(sequence: number): boolean {
    const { books } = this.#options;
    const document = this.#held.take(sequence);
    if (document === null) return false;
    const losses = document.tells === undefined ? books.losses : withoutTold(books.losses, document.tells);
    books.enter({ change: { deliveredRecords: books.state.deliveredRecords + 1 }, losses });
    return true;
  }

  /** The listener refused it; there is no place to keep it for a look. False when it is not here. */
  reject(sequence: number): boolean {
    const document = this.#held.take(sequence);
    if (document === null) return false;
    this.#lose("rejected", document, storedBytes({ gzipBytes: document.gzip.length }));
    return true;
  }

  /** Gives numbers to what has none, if that is safe or said to be. Whether all have one. */
  async numberAll(options: { isSafe?: boolean } = {}): Promise<boolean> {
    const drafts = this.#held.drafts;
    const [dropped] = this.#dropped.ranges;
    const count = drafts + (dropped?.records ?? 0);
    if (count === 0) return true;
    const { books } = this.#options;
    let next = books.state.nextSequence;
    if (options.isSafe) books.enter({ change: { nextSequence: next + count } });
    else if (!await this.#advance(count)) return false;
    if (dropped !== undefined) {
      const range = { ...dropped, from: next, to: next + dropped.records - 1 };
      const change = { unstoredRecords: books.state.unstoredRecords + dropped.records };
      books.enter({ change, losses: withRange(books.losses, range) });
      this.#dropped = emptyLedger;
      next += dropped.records;
    }
    await this.#held.number(async (draft, checkpoints) => {
      const { document } = await this.seal(this.encode(await reopen(draft), next), checkpoints);
      next += 1;
      return document;
    });
    return true;
  }

  /** Writes all that is held into the file, in order. What is written is not held any more, also when it throws then. */
  async flush(store: KvStore, beside: { leased: number | null; settled: Settled }): Promise<void> {
    await this.numberAll({ isSafe: true });
    for (let first = this.#held.first(); first !== null; first = this.#held.first()) {
      await write(first, store, beside);
      this.#held.shift();
    }
    this.#droppedRecords = 0;
  }

  /** Moves the next number on if that can be noted durably. */
  async #advance(count: number): Promise<boolean> {
    const { books, numbers } = this.#options;
    const { nextSequence } = books.state;
    books.enter({ change: { nextSequence: nextSequence + count } });
    if (await numbers.runAhead({ durable: true })) return true;
    books.enter({ change: { nextSequence } });
    return false;
  }

  async #holdDraft(draft: Draft, checkpoints: readonly Checkpoint[], leased: number | null): Promise<Put> {
    const { type, timestamp, tells } = draft;
    const gzip = await compress(new TextEncoder().encode(JSON.stringify(draft.data)));
    this.#held.add({ document: null, draft: { type, timestamp, tells, gzip }, checkpoints });
    this.#makeRoom(leased);
    return { kind: "held", sequence: null, bytes: gzip.length };
  }

  #makeRoom(leased: number | null): void {
    for (let held = this.#held.takeExcess(leased); held !== null; held = this.#held.takeExcess(leased)) {
      this.#droppedRecords += 1;
      if (held.document !== null) {
        this.#lose("unstored", held.document, storedBytes({ gzipBytes: held.document.gzip.length }));
      } else if (held.draft !== null) {
        const { type, timestamp, gzip } = held.draft;
        const sequence = (this.#dropped.ranges[0]?.to ?? 0) + 1;
        const lost = { sequence, type, timestamp: timestamp.toISOString(), bytes: gzip.length };
        this.#dropped = withLost(this.#dropped, "unstored", [lost]);
      }
    }
  }

  #lose(reason: LossReason, { sequence, type, timestamp }: ReadyDocument, bytes: number): void {
    const { books } = this.#options;
    const { evictedRecords, evictedBytes, rejectedRecords, unstoredRecords } = books.state;
    const change = reason === "too_large"
      ? { evictedRecords: evictedRecords + 1, evictedBytes: evictedBytes + bytes }
      : reason === "rejected"
      ? { rejectedRecords: rejectedRecords + 1 }
      : { unstoredRecords: unstoredRecords + 1 };
    books.enter({ change, losses: withLost(books.losses, reason, [{ sequence, type, timestamp, bytes }]) });
  }
}

async function write(
  { document, checkpoints }: Held,
  store: KvStore,
  beside: { leased: number | null; settled: Settled },
): Promise<void> {
  if (document === null) return await store.save(checkpoints);
  // A commit that was thought to have failed may have stored it.
  const stored = await store.header(document.sequence);
  if (stored?.id === document.id) return await store.save(checkpoints);
  await store.put([{ ...document, checkpoints }], beside);
}

async function reopen({ type, timestamp, tells, gzip }: HeldDraft): Promise<Draft> {
  const json = await decompress(gzip, limits.documentBytesMax);
  const data = JSON.parse(new TextDecoder().decode(json)) as Record<string, unknown>;
  return { type, timestamp, data, ...(tells === undefined ? {} : { tells }) };
}

/**
 * Documents in one open file of Deno KV, a SQLite file. Everything throws what KV throws; what to do then is
 * `kv_outbox.ts`'s business. Keys and values are in `kv_records.ts`.
 *
 * Invariants:
 *
 * - the books are written in the same commit as whatever they count (`kv_state.ts`);
 * - a document becomes visible with its header (`kv_writer.ts`), and what is known of it without asking the file is
 *   what the file says, or nothing (`recent_documents.ts`);
 * - the file never shrinks, so the cap counts stored bytes, never the file's size;
 * - the queue is not used: its thread ends the whole process when it cannot write (Deno 2.9.6).
 *
 * @module
 */

import * as limits from "../limits.ts";
import type { Books, Entry } from "./kv_books.ts";
import { readyFile } from "./kv_file.ts";
import * as records from "./kv_records.ts";
import type { Header } from "./kv_records.ts";
import { KvRoom } from "./kv_room.ts";
import type { SavedDocument } from "./kv_salvage.ts";
import { KvState, type Step, type StoredBooks } from "./kv_state.ts";
import { type FreshDocument, KvWriter, withCheckpoints } from "./kv_writer.ts";
import { type LostDocument, withLost } from "./loss_ledger.ts";
import type { NumberRanges } from "./number_ranges.ts";
import type { Checkpoint, Evicted, OutboxEntry } from "./outbox.ts";
import { RecentDocuments } from "./recent_documents.ts";
import type { Settled } from "./settled.ts";

/** What a store is opened with. */
export interface KvStoreOptions {
  path: string;
  /** The cap, which a reload may change. */
  maxBytes: () => number;
  books: Books;
  step: Step;
}

/** An open file. Close it. */
export class KvStore {
  readonly #kv: Deno.Kv;
  readonly #state: KvState;
  readonly #room: KvRoom;
  readonly #writer: KvWriter;
  readonly #recent = new RecentDocuments({
    bytesMax: limits.recentBytesMax,
    jsonBytesMax: limits.recentJsonBytesMax,
  });

  private constructor(kv: Deno.Kv, options: KvStoreOptions) {
    this.#kv = kv;
    this.#state = new KvState(kv, options);
    this.#room = new KvRoom(kv, this.#state, {
      maxBytes: options.maxBytes,
      recent: this.#recent,
      header: (sequence) => this.header(sequence),
    });
    this.#writer = new KvWriter(kv, { state: this.#state, room: this.#room, step: options.step });
  }

  /** Opens a file, or makes one. The books are not touched; `stored` is null for a new file. */
  static async open(options: KvStoreOptions): Promise<{ store: KvStore; stored: StoredBooks | null }> {
    await readyFile(options.path);
    const kv = await Deno.openKv(options.path);
    try {
      const store = new KvStore(kv, options);
      return { store, stored: await store.#state.read() };
    } catch (error) {
      kv.close();
      throw error;
    }
  }

  /** Whether `bytes` more fit, once what is settled has left, without anything else having to go. */
  fits(bytes: number, settled: Settled): boolean {
    return this.#room.fits(bytes - settled.deliveredBytes);
  }

  /**
   * Stores documents in one commit, with their checkpoints and the deletion of what is settled, and makes room first.
   * Several must fit into one commit, and into what room there is. A large one is written in pieces before.
   */
  async put(
    documents: readonly FreshDocument[],
    { leased, settled }: { leased: number | null; settled: Settled },
  ): Promise<Evicted> {
    await this.#writer.removeUnfinished();
    const bytes = documents.reduce((sum, { gzip }) => sum + records.storedBytes({ gzipBytes: gzip.length }), 0);
    // Before any goes for room: what is settled must not count as evicted.
    const done = this.fits(bytes, settled) ? await this.#room.headersOf(settled) : null;
    if (done === null) await this.settle(settled);
    const evicted = done === null ? await this.#room.make(bytes, { leased }) : { records: 0, bytes: 0 };
    const stored = await this.#writer.write(documents, done ?? []);
    settled.clear();
    for (const document of stored) this.#recent.stored(document);
    return evicted;
  }

  /** Stores documents saved from another file, many in a commit, in order. They are counted as waiting. */
  async restore(documents: Iterable<SavedDocument>): Promise<void> {
    await this.#writer.restore(documents);
  }

  /** Counts a document that is larger than what can be stored; its number is used up. */
  async refuse(document: LostDocument, checkpoints: readonly Checkpoint[]): Promise<void> {
    const { nextSequence, evictedRecords, evictedBytes } = this.#state.value;
    const change = {
      nextSequence: Math.max(nextSequence, document.sequence + 1),
      evictedRecords: evictedRecords + 1,
      evictedBytes: evictedBytes + document.bytes,
    };
    const losses = withLost(this.#state.losses, "too_large", [document]);
    await this.#state.commit(withCheckpoints(this.#kv.atomic(), checkpoints), { change, losses });
  }

  /** Writes the books, with checkpoints if there are any. */
  async save(checkpoints: readonly Checkpoint[] = [], entry: Entry = { change: {} }): Promise<void> {
    await this.#state.commit(withCheckpoints(this.#kv.atomic(), checkpoints), entry);
  }

  async checkpoints(): Promise<Map<string, unknown>> {
    const found = new Map<string, unknown>();
    for await (const { key, value } of this.#kv.list({ prefix: ["checkpoint"] })) found.set(String(key[1]), value);
    return found;
  }

  /** The oldest document from a number on that is not among `settled`; null for none. Damaged ones have no entry. */
  async oldest(
    settled: NumberRanges,
    from: number,
  ): Promise<{ sequence: number; entry: OutboxEntry | null } | null> {
    const sequence = await this.firstSequence(settled, from);
    if (sequence === null) return null;
    return { sequence, entry: this.#recent.get(sequence)?.entry ?? await this.#read(sequence) };
  }

  /** The lowest number that waits, from one on. */
  async firstSequence(settled: NumberRanges, from = 0): Promise<number | null> {
    for (let next = settled.nextOutside(from);;) {
      const first = await this.#firstFrom(next);
      if (first === null || !settled.has(first)) return first;
      next = settled.nextOutside(first);
    }
  }

  /** The highest number that waits, or 0. */
  async lastSequence(): Promise<number> {
    for await (const { key } of this.#kv.list({ prefix: ["document"] }, { limit: 1, reverse: true })) {
      return Number(key[1]);
    }
    return 0;
  }

  /** How many documents up to a number wait. */
  async countUpTo(sequence: number): Promise<number> {
    let count = 0;
    const end = records.documentKey(sequence + 1);
    for await (const _ of this.#kv.list({ prefix: ["document"], end })) count += 1;
    return count;
  }

  async #firstFrom(sequence: number): Promise<number | null> {
    const known = this.#recent.firstFrom(sequence);
    if (known !== undefined) return known;
    let first: number | null = null;
    const waiting = { prefix: ["document"], start: records.documentKey(sequence) };
    for await (const { key } of this.#kv.list(waiting, { limit: 1 })) first = Number(key[1]);
    this.#recent.found(sequence, first);
    return first;
  }

  /** The header of a waiting document; null when there is none. */
  async header(sequence: number): Promise<Header | null> {
    const known = this.#recent.get(sequence);
    if (known !== null) return known.header;
    const { value } = await this.#kv.get(records.documentKey(sequence));
    return value === null ? null : records.parseHeader(value) ?? records.unreadableHeader(sequence);
  }

  /** Sets aside what the listener refused, and forgets what it has. */
  async settle(settled: Settled): Promise<void> {
    for (const [sequence, reason] of settled.refused) await this.setAside(sequence, reason);
    await this.#room.settleAll(settled);
  }

  /** Evicts down to the cap: it may have been lowered since the documents were stored. */
  async shrink(): Promise<Evicted> {
    return await this.#room.make(0, { leased: null });
  }

  /** Moves a document that the listener refused to those that are kept for a look. */
  async setAside(sequence: number, reason: string): Promise<void> {
    const { value } = await this.#kv.get(records.documentKey(sequence));
    if (value !== null) await this.#room.setAside(sequence, value, reason);
  }

  /** Counts anew what is in the file. */
  async count(): Promise<Entry["change"]> {
    const change = { records: 0, bytes: 0, rejectedKept: 0, rejectedBytes: 0 };
    for (const kind of ["document", "rejected"] as const) {
      for await (const { value } of this.#kv.list({ prefix: [kind] })) {
        const bytes = records.storedBytes(records.parseHeader(value) ?? { gzipBytes: 0 });
        change.bytes += bytes;
        if (kind === "document") change.records += 1;
        else {
          change.rejectedKept += 1;
          change.rejectedBytes += bytes;
        }
      }
    }
    return change;
  }

  /** Removes chunks that a crash has left without their header: those of numbers that were not given. */
  async removeUnfinishedFrom(sequence: number): Promise<void> {
    const unfinished = { prefix: ["chunk"], start: ["chunk", sequence] };
    for await (const { key } of this.#kv.list(unfinished)) await this.#kv.delete(key);
  }

  close(): void {
    this.#kv.close();
  }

  async #read(sequence: number): Promise<OutboxEntry | null> {
    const header = await this.header(sequence);
    if (header === null) return null;
    const chunks: unknown[] = [];
    for await (const chunk of this.#kv.list({ prefix: ["chunk", sequence] })) chunks.push(chunk.value);
    const entry = records.joinChunks(header, chunks);
    this.#recent.read(entry === null ? null : { header, entry });
    return entry;
  }
}

/**
 * Documents in one open file of Deno KV, a SQLite file. Everything throws what KV throws; what to do then is
 * `kv_outbox.ts`'s business. Keys and values are in `kv_records.ts`.
 *
 * Invariants:
 *
 * - the books are written in the same commit as whatever they count (`kv_state.ts`);
 * - a document becomes visible with its header. Chunks that did not fit the header's commit are written before it, so
 *   a crash or a failed put leaves chunks of a number without a header, which the next start or put removes: they must
 *   not end up in another document;
 * - the file never shrinks, so the cap counts stored bytes, never the file's size;
 * - the queue is not used: its thread ends the whole process when it cannot write (Deno 2.9.6).
 *
 * @module
 */

import * as limits from "../limits.ts";
import type { SealedDocument } from "./envelope.ts";
import type { Books, Entry } from "./kv_books.ts";
import { readyFile } from "./kv_file.ts";
import * as records from "./kv_records.ts";
import type { Header } from "./kv_records.ts";
import { KvRoom } from "./kv_room.ts";
import type { SavedDocument } from "./kv_salvage.ts";
import { KvState, type Step, type StoredBooks } from "./kv_state.ts";
import { type LostDocument, withLost } from "./loss_ledger.ts";
import type { NumberRanges } from "./number_ranges.ts";
import type { Checkpoint, Evicted, OutboxEntry } from "./outbox.ts";

/** What a store is opened with. */
export interface KvStoreOptions {
  path: string;
  /** The cap, which a reload may change. */
  maxBytes: () => number;
  books: Books;
  step: Step;
}

/** A document that is ready to be stored. */
export interface ReadyDocument extends Omit<SealedDocument, "json"> {
  gzip: Uint8Array<ArrayBuffer>;
  tells: number | undefined;
  checkpoints: readonly Checkpoint[];
}

/** An open file. Close it. */
export class KvStore {
  readonly #kv: Deno.Kv;
  readonly #state: KvState;
  readonly #room: KvRoom;
  readonly #step: Step;
  /** The number of a put that has failed: chunks of it may be in the file. */
  #unfinished: number | null = null;

  private constructor(kv: Deno.Kv, options: KvStoreOptions) {
    this.#kv = kv;
    this.#step = options.step;
    this.#state = new KvState(kv, options);
    this.#room = new KvRoom(kv, this.#state, options.maxBytes);
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

  /** Makes room and stores a document with its checkpoints. */
  async put(document: ReadyDocument, { leased }: { leased: number | null }): Promise<Evicted> {
    await this.#removeUnfinished();
    const evicted = await this.#room.make(records.storedBytes({ gzipBytes: document.gzip.length }), { leased });
    this.#unfinished = document.sequence;
    const { operation, entry } = await this.#writeChunks(document);
    await this.#state.commit(withCheckpoints(operation, document.checkpoints), entry);
    this.#unfinished = null;
    return evicted;
  }

  /** Stores documents saved from another file, many in a commit, in order. They are counted as waiting. */
  async restore(documents: Iterable<SavedDocument>): Promise<void> {
    let [operation, bytes, count, mutations] = [this.#kv.atomic(), 0, 0, 0];
    const commit = async () => {
      const { records: waiting, bytes: before } = this.#state.value;
      await this.#state.commit(operation, { change: { records: waiting + count, bytes: before + bytes } });
      [operation, bytes, count, mutations] = [this.#kv.atomic(), 0, 0, 0];
    };
    for (const { header, entry } of documents) {
      const chunks = records.cutIntoChunks(entry.gzip, limits.chunkBytesMax);
      const size = records.storedBytes(header);
      const isFull = bytes + size > limits.chunkBytesMax * limits.chunksPerCommitMax ||
        mutations + chunks.length >= limits.mutationsPerCommitMax;
      if (count > 0 && isFull) await commit();
      if (chunks.length > limits.chunksPerCommitMax) {
        await this.put({ ...entry, tells: header.tells, checkpoints: [] }, { leased: null });
        continue;
      }
      operation.set(records.documentKey(header.sequence), header);
      for (const [index, chunk] of chunks.entries()) operation.set(records.chunkKey(header.sequence, index), chunk);
      bytes += size;
      count += 1;
      mutations += chunks.length + 1;
    }
    if (count > 0) await commit();
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
    return { sequence, entry: await this.#read(sequence) };
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
    const waiting = { prefix: ["document"], start: records.documentKey(sequence) };
    for await (const { key } of this.#kv.list(waiting, { limit: 1 })) return Number(key[1]);
    return null;
  }

  /** The header of a waiting document; null when there is none. */
  async header(sequence: number): Promise<Header | null> {
    const { value } = await this.#kv.get(records.documentKey(sequence));
    return value === null ? null : records.parseHeader(value) ?? records.unreadableHeader(sequence);
  }

  /** Forgets documents that the listener has. */
  async settle(sequences: Iterable<number>): Promise<void> {
    let batch: Header[] = [];
    let mutations = 0;
    for (const sequence of sequences) {
      const header = await this.header(sequence);
      if (header === null) continue;
      mutations += header.chunks + 1;
      if (batch.length > 0 && mutations > limits.mutationsPerCommitMax) {
        await this.#room.settle(batch);
        [batch, mutations] = [[], header.chunks + 1];
      }
      batch.push(header);
    }
    if (batch.length > 0) await this.#room.settle(batch);
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

  /** Writes what does not fit the last commit, and answers with what does. */
  async #writeChunks(document: ReadyDocument): Promise<{ operation: Deno.AtomicOperation; entry: Entry }> {
    const { sequence, gzip } = document;
    const chunks = records.cutIntoChunks(gzip, limits.chunkBytesMax);
    const header = records.headerOf(document, document);
    let operation = this.#kv.atomic();
    for (const [index, chunk] of chunks.entries()) {
      if (index > 0 && index % limits.chunksPerCommitMax === 0) {
        await this.#step("before pieces are written");
        await operation.commit();
        await this.#step("after pieces are written");
        operation = this.#kv.atomic();
      }
      operation.set(records.chunkKey(sequence, index), chunk);
    }
    const { nextSequence, records: waiting, bytes } = this.#state.value;
    const change = {
      nextSequence: Math.max(nextSequence, sequence + 1),
      records: waiting + 1,
      bytes: bytes + records.storedBytes(header),
    };
    return { operation: operation.set(records.documentKey(sequence), header), entry: { change } };
  }

  async #removeUnfinished(): Promise<void> {
    if (this.#unfinished === null) return;
    // A commit that was reported as failed may have taken effect, and then keeps its chunks.
    const { value } = await this.#kv.get(records.documentKey(this.#unfinished));
    if (value === null) {
      for await (const { key } of this.#kv.list({ prefix: ["chunk", this.#unfinished] })) await this.#kv.delete(key);
    }
    this.#unfinished = null;
  }

  async #read(sequence: number): Promise<OutboxEntry | null> {
    const header = await this.header(sequence);
    if (header === null) return null;
    const chunks: unknown[] = [];
    for await (const chunk of this.#kv.list({ prefix: ["chunk", sequence] })) chunks.push(chunk.value);
    return records.joinChunks(header, chunks);
  }
}

function withCheckpoints(operation: Deno.AtomicOperation, checkpoints: readonly Checkpoint[]): Deno.AtomicOperation {
  for (const { name, value } of checkpoints) {
    const key = records.checkpointKey(name);
    if (value === undefined) operation.delete(key);
    else operation.set(key, value);
  }
  return operation;
}

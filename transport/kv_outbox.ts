/**
 * The outbox in Deno KV, a SQLite file. Keys and values are in `kv_records.ts`.
 *
 * Invariants beside those of `outbox.ts`:
 *
 * - the state is written in the same commit as whatever it counts (`kv_state.ts`);
 * - a document becomes visible with its header. Chunks that did not fit the header's commit are written before it, so
 *   a crash leaves chunks of numbers not yet given, which the next start removes;
 * - queue messages are wake-ups: they carry nothing, and losing one loses nothing, because every start drains;
 * - the file never shrinks, so the cap counts stored bytes, never the file's size.
 *
 * @module
 */

import { join } from "node:path";
import * as limits from "../limits.ts";
import { claimBufferDirectory } from "./buffer_directory.ts";
import type { BufferDirectory } from "./buffer_directory.ts";
import type { Draft, Seal, SealedDocument } from "./envelope.ts";
import { compress } from "./gzip.ts";
import * as records from "./kv_records.ts";
import type { Header, OutboxState } from "./kv_records.ts";
import { KvState } from "./kv_state.ts";
import { Mutex } from "./mutex.ts";
import type { Evicted, Outbox, OutboxEntry, OutboxStatus, Put } from "./outbox.ts";

/** What an outbox is opened with. */
export interface KvOutboxOptions {
  /** A folder; created private, and locked against a second agent. */
  path: string;
  /** The cap, in bytes as stored. */
  maxBytes: number;
  seal: Seal;
  /** Smaller in tests. */
  documentBytesMax?: number;
}

/** Opens the outbox of a folder. Throws `BufferInUseError`, or why the file cannot be used. Close it. */
export async function openKvOutbox(options: KvOutboxOptions): Promise<Outbox> {
  const directory = await claimBufferDirectory(options.path);
  try {
    const kv = await Deno.openKv(join(options.path, "outbox.kv"));
    try {
      const state = await KvState.read(kv);
      await removeUnfinishedChunks(kv, state.value.nextSequence);
      return new KvOutbox(kv, directory, { ...options, state });
    } catch (error) {
      kv.close();
      throw error;
    }
  } catch (error) {
    directory[Symbol.dispose]();
    throw error;
  }
}

/** Delivered once or not at all: it carries nothing. */
const wakeOptions = { backoffSchedule: [], keysIfUndelivered: [] };

class KvOutbox implements Outbox {
  readonly #kv: Deno.Kv;
  readonly #directory: BufferDirectory;
  readonly #maxBytes: number;
  readonly #documentBytesMax: number;
  readonly #seal: Seal;
  readonly #state: KvState;
  readonly #mutex = new Mutex();
  /** The document that is being sent; it must not be evicted under the sender's hands. */
  #leased: number | null = null;
  /** A wake-up is on its way: another would say the same. */
  #wakeQueued = false;

  constructor(kv: Deno.Kv, directory: BufferDirectory, options: KvOutboxOptions & { state: KvState }) {
    this.#kv = kv;
    this.#directory = directory;
    this.#maxBytes = options.maxBytes;
    this.#documentBytesMax = options.documentBytesMax ?? limits.documentBytesMax;
    this.#seal = options.seal;
    this.#state = options.state;
  }

  put(draft: Draft): Promise<Put> {
    return this.#mutex.run(async () => {
      const document = this.#seal(draft, this.#state.value.nextSequence);
      const json = new TextEncoder().encode(document.json);
      if (json.length > this.#documentBytesMax) return this.#refuse(document, json.length);
      const gzip = await compress(json);
      const bytes = records.storedBytes({ gzipBytes: gzip.length });
      if (bytes > this.#maxBytes) return this.#refuse(document, bytes);
      const evicted = await this.#makeRoom(bytes);
      await this.#store(document, gzip);
      return { kind: "stored", id: document.id, sequence: document.sequence, bytes, evicted };
    });
  }

  oldest(): Promise<OutboxEntry | null> {
    return this.#mutex.run(async () => {
      this.#leased = null;
      for await (const { key, value } of this.#kv.list({ prefix: ["document"] })) {
        const entry = await this.#read(value);
        if (entry !== null) {
          this.#leased = entry.sequence;
          return entry;
        }
        await this.#setAside(Number(key[1]), value, "Damaged in the outbox");
      }
      return null;
    });
  }

  acknowledge(sequence: number): Promise<void> {
    return this.#mutex.run(async () => {
      const header = await this.#header(sequence);
      if (header !== null) await this.#remove([header], "document");
      this.#leased = null;
    });
  }

  reject(sequence: number, reason: string): Promise<void> {
    return this.#mutex.run(async () => {
      const { value } = await this.#kv.get(records.documentKey(sequence));
      if (value !== null) await this.#setAside(sequence, value, reason);
      this.#leased = null;
    });
  }

  listen(wake: () => void): Promise<void> {
    return this.#kv.listenQueue(() => {
      this.#wakeQueued = false;
      wake();
    });
  }

  async oldestAt(): Promise<string | null> {
    for await (const { value } of this.#kv.list({ prefix: ["document"] }, { limit: 1 })) {
      return records.parseHeader(value)?.timestamp ?? null;
    }
    return null;
  }

  status(): OutboxStatus {
    const { nextSequence, bytes, evictedRecords, evictedBytes, rejectedRecords } = this.#state.value;
    const loss = { evictedRecords, evictedBytes, rejectedRecords };
    return { records: this.#state.value.records, bytes, maxBytes: this.#maxBytes, nextSequence, loss };
  }

  close(): Promise<void> {
    return this.#mutex.run(() => {
      this.#kv.close();
      this.#directory[Symbol.dispose]();
      return Promise.resolve();
    });
  }

  /** Writes the chunks, and with the last of them the header, the state and the wake-up. */
  async #store(document: SealedDocument, gzip: Uint8Array): Promise<void> {
    const { id, sequence, type, timestamp } = document;
    const chunks = records.cutIntoChunks(gzip, limits.chunkBytesMax);
    const header: Header = { id, sequence, type, timestamp, chunks: chunks.length, gzipBytes: gzip.length };
    let operation = this.#kv.atomic();
    for (const [index, chunk] of chunks.entries()) {
      if (index > 0 && index % limits.chunksPerCommitMax === 0) {
        await operation.commit();
        operation = this.#kv.atomic();
      }
      operation.set(records.chunkKey(sequence, index), chunk);
    }
    operation.set(records.documentKey(sequence), header);
    const { nextSequence, records: waiting, bytes } = this.#state.value;
    const change = { nextSequence: nextSequence + 1, records: waiting + 1, bytes: bytes + records.storedBytes(header) };
    if (this.#wakeQueued) return await this.#state.commit(operation, change);
    // Noted before the commit: the wake-up may come before the commit has answered.
    this.#wakeQueued = true;
    try {
      await this.#state.commit(operation.enqueue({ wake: true }, wakeOptions), change);
    } catch (error) {
      this.#wakeQueued = false;
      throw error;
    }
  }

  /** Uses up the document's number and counts it, so that the listener can tell the hole from a delay. */
  async #refuse(document: SealedDocument, bytes: number): Promise<Put> {
    const { nextSequence, evictedRecords, evictedBytes } = this.#state.value;
    await this.#state.commit(this.#kv.atomic(), {
      nextSequence: nextSequence + 1,
      evictedRecords: evictedRecords + 1,
      evictedBytes: evictedBytes + bytes,
    });
    return { kind: "too_large", sequence: document.sequence, bytes };
  }

  /** Evicts until `bytes` more fit: first what was rejected, then the oldest documents. */
  async #makeRoom(bytes: number): Promise<Evicted> {
    const evicted = { records: 0, bytes: 0 };
    for (const kind of ["rejected", "document"] as const) {
      while (this.#state.value.bytes + bytes > this.#maxBytes) {
        const batch = await this.#oldestHeaders(kind, this.#state.value.bytes + bytes - this.#maxBytes);
        if (batch.length === 0) break;
        await this.#remove(batch, kind, { evicting: kind === "document" });
        if (kind === "rejected") continue;
        evicted.records += batch.length;
        evicted.bytes += sum(batch.map(records.storedBytes));
      }
    }
    return evicted;
  }

  /** The oldest headers that together hold `bytes`, as many as one commit can remove, without the leased one. */
  async #oldestHeaders(kind: "document" | "rejected", bytes: number): Promise<Header[]> {
    const batch: Header[] = [];
    let missing = bytes;
    let mutations = 0;
    for await (const { key, value } of this.#kv.list({ prefix: [kind] }, { batchSize: 100 })) {
      const header = records.parseHeader(value) ?? records.unreadableHeader(Number(key[1]));
      if (header.sequence === this.#leased) continue;
      mutations += header.chunks + 1;
      if (batch.length > 0 && mutations > limits.mutationsPerCommitMax) break;
      batch.push(header);
      missing -= records.storedBytes(header);
      if (missing <= 0) break;
    }
    return batch;
  }

  /** Deletes documents with their chunks and subtracts them from the state. */
  async #remove(batch: Header[], kind: "document" | "rejected", options = { evicting: false }): Promise<void> {
    const operation = this.#kv.atomic();
    for (const header of batch) {
      operation.delete([kind, header.sequence]);
      for (let index = 0; index < header.chunks; index++) operation.delete(records.chunkKey(header.sequence, index));
    }
    const state = this.#state.value;
    const bytes = sum(batch.map(records.storedBytes));
    const change: Partial<OutboxState> = { bytes: Math.max(0, state.bytes - bytes) };
    if (kind === "document") change.records = state.records - batch.length;
    else Object.assign(change, lessRejected(state, batch.length, bytes));
    if (options.evicting) {
      change.evictedRecords = state.evictedRecords + batch.length;
      change.evictedBytes = state.evictedBytes + bytes;
    }
    await this.#state.commit(operation, change);
  }

  /** Moves a document from those that wait to those that were rejected, and keeps these within their bounds. */
  async #setAside(sequence: number, value: unknown, reason: string): Promise<void> {
    const header = { ...records.parseHeader(value) ?? records.unreadableHeader(sequence), reason };
    const operation = this.#kv.atomic().delete(records.documentKey(sequence));
    operation.set(records.rejectedKey(sequence), header);
    const state = this.#state.value;
    await this.#state.commit(operation, {
      records: state.records - 1,
      rejectedRecords: state.rejectedRecords + 1,
      rejectedKept: state.rejectedKept + 1,
      rejectedBytes: state.rejectedBytes + records.storedBytes(header),
    });
    while (this.#rejectedExcess() > 0) {
      const batch = await this.#oldestHeaders("rejected", this.#rejectedExcess());
      if (batch.length === 0) return;
      await this.#remove(batch, "rejected");
    }
  }

  /** Bytes by which the rejected documents pass their share; 1 when there are just too many of them. */
  #rejectedExcess(): number {
    const { rejectedKept, rejectedBytes } = this.#state.value;
    const excess = rejectedBytes - this.#maxBytes * limits.rejectedShareMax;
    return rejectedKept > limits.rejectedRecordsMax ? Math.max(1, excess) : excess;
  }

  async #header(sequence: number): Promise<Header | null> {
    return records.parseHeader((await this.#kv.get(records.documentKey(sequence))).value);
  }

  async #read(value: unknown): Promise<OutboxEntry | null> {
    const header = records.parseHeader(value);
    if (header === null) return null;
    const chunks: unknown[] = [];
    for await (const chunk of this.#kv.list({ prefix: ["chunk", header.sequence] })) chunks.push(chunk.value);
    return records.joinChunks(header, chunks);
  }
}

async function removeUnfinishedChunks(kv: Deno.Kv, nextSequence: number): Promise<void> {
  const unfinished = { prefix: ["chunk"], start: ["chunk", nextSequence] };
  for await (const { key } of kv.list(unfinished)) await kv.delete(key);
}

function lessRejected(state: OutboxState, count: number, bytes: number): Partial<OutboxState> {
  return { rejectedKept: state.rejectedKept - count, rejectedBytes: Math.max(0, state.rejectedBytes - bytes) };
}

function sum(figures: readonly number[]): number {
  return figures.reduce((total, figure) => total + figure, 0);
}

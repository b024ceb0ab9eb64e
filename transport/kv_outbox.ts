/**
 * The outbox in Deno KV, a SQLite file. Keys and values are in `kv_records.ts`.
 *
 * Invariants beside those of `outbox.ts`:
 *
 * - the state is written in the same commit as whatever it counts (`kv_state.ts`);
 * - a document becomes visible with its header. Chunks that did not fit the header's commit are written before it, so
 *   a crash or a failed put leaves chunks of numbers not yet given, which the next start or put removes: they must not
 *   end up in another document;
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
import type { Header } from "./kv_records.ts";
import { KvRoom } from "./kv_room.ts";
import { KvState } from "./kv_state.ts";
import { withLost } from "./loss_ledger.ts";
import { Mutex } from "./mutex.ts";
import type { Checkpoint, Outbox, OutboxEntry, OutboxStatus, Put } from "./outbox.ts";

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
    const kv = await openFile(join(options.path, "outbox.kv"));
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

async function openFile(path: string): Promise<Deno.Kv> {
  try {
    // SQLite gives its other files this one's mode.
    (await Deno.open(path, { create: true, write: true, mode: 0o600 })).close();
    return await Deno.openKv(path);
  } catch (cause) {
    const message = `Cannot open the outbox "${path}": if it is damaged, move it away and the agent begins a new one`;
    throw new Error(message, { cause });
  }
}

class KvOutbox implements Outbox {
  readonly #kv: Deno.Kv;
  readonly #directory: BufferDirectory;
  #maxBytes: number;
  readonly #documentBytesMax: number;
  readonly #seal: Seal;
  readonly #state: KvState;
  readonly #room: KvRoom;
  readonly #mutex = new Mutex();
  /** The document that is being sent; it must not be evicted under the sender's hands. */
  #leased: number | null = null;
  readonly #closed = Promise.withResolvers<void>();
  #wake: () => void = () => undefined;
  /** A put has failed: chunks of it may be in the file. */
  #hasUnfinished = false;

  constructor(kv: Deno.Kv, directory: BufferDirectory, options: KvOutboxOptions & { state: KvState }) {
    this.#kv = kv;
    this.#directory = directory;
    this.#maxBytes = options.maxBytes;
    this.#documentBytesMax = options.documentBytesMax ?? limits.documentBytesMax;
    this.#seal = options.seal;
    this.#state = options.state;
    this.#room = new KvRoom(kv, options.state, options.maxBytes);
  }

  put(draft: Draft, checkpoints: readonly Checkpoint[] = []): Promise<Put> {
    return this.#mutex.run(async () => {
      if (this.#hasUnfinished) await this.#removeUnfinished();
      const document = this.#seal(draft, this.#state.value.nextSequence);
      const json = new TextEncoder().encode(document.json);
      if (json.length > this.#documentBytesMax) return await this.#refuse(document, json.length, checkpoints);
      const gzip = await compress(json);
      const bytes = records.storedBytes({ gzipBytes: gzip.length });
      if (bytes > this.#maxBytes) return await this.#refuse(document, bytes, checkpoints);
      const evicted = await this.#room.make(bytes, { leased: this.#leased });
      this.#hasUnfinished = true;
      await this.#store(document, gzip, { checkpoints, tells: draft.tells });
      this.#hasUnfinished = false;
      queueMicrotask(this.#wake);
      return { kind: "stored", id: document.id, sequence: document.sequence, bytes, evicted };
    });
  }

  saveCheckpoints(checkpoints: readonly Checkpoint[]): Promise<void> {
    return this.#mutex.run(() => this.#state.commit(withCheckpoints(this.#kv.atomic(), checkpoints), {}));
  }

  async checkpoints(prefix: string): Promise<Map<string, unknown>> {
    const found = new Map<string, unknown>();
    for await (const { key, value } of this.#kv.list({ prefix: ["checkpoint"] })) {
      if (String(key[1]).startsWith(prefix)) found.set(String(key[1]), value);
    }
    return found;
  }

  oldest(from = 0): Promise<OutboxEntry | null> {
    return this.#mutex.run(async () => {
      this.#leased = null;
      const selector = { prefix: ["document"], start: records.documentKey(from) };
      for await (const { key, value } of this.#kv.list(selector, { batchSize: 1 })) {
        const entry = await this.#read(value);
        if (entry !== null) {
          this.#leased = entry.sequence;
          return entry;
        }
        await this.#room.setAside(Number(key[1]), value, "Damaged in the outbox");
      }
      return null;
    });
  }

  acknowledge(sequence: number): Promise<void> {
    return this.#mutex.run(async () => {
      const header = await this.#header(sequence);
      if (header !== null) await this.#room.settle(header);
      this.#leased = null;
    });
  }

  reject(sequence: number, reason: string): Promise<void> {
    return this.#mutex.run(async () => {
      const { value } = await this.#kv.get(records.documentKey(sequence));
      if (value !== null) await this.#room.setAside(sequence, value, reason);
      this.#leased = null;
    });
  }

  listen(wake: () => void): Promise<void> {
    this.#wake = wake;
    return this.#closed.promise;
  }

  async oldestAt(): Promise<string | null> {
    for await (const { value } of this.#kv.list({ prefix: ["document"] }, { limit: 1 })) {
      return records.parseHeader(value)?.timestamp ?? null;
    }
    return null;
  }

  status(): OutboxStatus {
    return statusOf(this.#state, this.#maxBytes);
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#room.resize(maxBytes);
  }

  close(): Promise<void> {
    return this.#mutex.run(() => {
      this.#kv.close();
      this.#directory[Symbol.dispose]();
      this.#closed.resolve();
      return Promise.resolve();
    });
  }

  /** Writes the chunks, and with the last of them the header and the state. */
  async #store(
    document: SealedDocument,
    gzip: Uint8Array,
    { checkpoints, tells }: { checkpoints: readonly Checkpoint[]; tells: number | undefined },
  ): Promise<void> {
    const { id, sequence, type, timestamp } = document;
    const chunks = records.cutIntoChunks(gzip, limits.chunkBytesMax);
    const header: Header = { id, sequence, type, timestamp, chunks: chunks.length, gzipBytes: gzip.length };
    if (tells !== undefined) header.tells = tells;
    let operation = this.#kv.atomic();
    for (const [index, chunk] of chunks.entries()) {
      if (index > 0 && index % limits.chunksPerCommitMax === 0) {
        await operation.commit();
        operation = this.#kv.atomic();
      }
      operation.set(records.chunkKey(sequence, index), chunk);
    }
    withCheckpoints(operation, checkpoints).set(records.documentKey(sequence), header);
    const { nextSequence, records: waiting, bytes } = this.#state.value;
    const change = { nextSequence: nextSequence + 1, records: waiting + 1, bytes: bytes + records.storedBytes(header) };
    await this.#state.commit(operation, change);
  }

  /** The state is read first: a commit that was reported as failed may have taken effect, and then keeps its chunks. */
  async #removeUnfinished(): Promise<void> {
    await this.#state.readAgain();
    await removeUnfinishedChunks(this.#kv, this.#state.value.nextSequence);
    this.#hasUnfinished = false;
  }

  /** Uses up the document's number and counts it, so that the listener can tell the hole from a delay. */
  async #refuse(document: SealedDocument, bytes: number, checkpoints: readonly Checkpoint[]): Promise<Put> {
    const { nextSequence, evictedRecords, evictedBytes } = this.#state.value;
    const change = {
      nextSequence: nextSequence + 1,
      evictedRecords: evictedRecords + 1,
      evictedBytes: evictedBytes + bytes,
    };
    const losses = withLost(this.#state.losses, "too_large", [{ ...document, bytes }]);
    await this.#state.commit(withCheckpoints(this.#kv.atomic(), checkpoints), change, losses);
    return { kind: "too_large", sequence: document.sequence, bytes };
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

function statusOf({ value, losses: untold }: KvState, maxBytes: number): OutboxStatus {
  const { records: waiting, bytes, nextSequence, deliveredRecords } = value;
  const { evictedRecords, evictedBytes, rejectedRecords, quarantinedRecords, unstoredRecords, quarantinedFiles } =
    value;
  const lost = { evictedRecords, evictedBytes, rejectedRecords, quarantinedRecords, unstoredRecords, quarantinedFiles };
  return { records: waiting, bytes, maxBytes, nextSequence, deliveredRecords, loss: { ...lost, untold } };
}

function withCheckpoints(operation: Deno.AtomicOperation, checkpoints: readonly Checkpoint[]): Deno.AtomicOperation {
  for (const { name, value } of checkpoints) {
    const key = records.checkpointKey(name);
    if (value === undefined) operation.delete(key);
    else operation.set(key, value);
  }
  return operation;
}

async function removeUnfinishedChunks(kv: Deno.Kv, nextSequence: number): Promise<void> {
  const unfinished = { prefix: ["chunk"], start: ["chunk", nextSequence] };
  for await (const { key } of kv.list(unfinished)) await kv.delete(key);
}

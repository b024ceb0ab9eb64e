/**
 * The outbox on Deno KV, and what keeps it going when its file is damaged or cannot be written.
 *
 * Invariants beside those of `outbox.ts`:
 *
 * - while the file takes writes, documents are in it and nowhere else; while it does not, new ones wait in memory
 *   (`held_documents.ts`), numbers in the file are below those in memory, and one probe at a time tries again;
 * - a document in memory can be sent once its number is safe (`kv_numbers.ts`);
 * - a document that is settled and cannot be deleted is not handed out again by this process.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import type { Log } from "../log.ts";
import type { Draft, Seal } from "./envelope.ts";
import { KvAccess } from "./kv_access.ts";
import { Books } from "./kv_books.ts";
import { Holding, type SealedDraft } from "./kv_holding.ts";
import { parseHeader } from "./kv_records.ts";
import type { Step } from "./kv_state.ts";
import type { KvStore } from "./kv_store.ts";
import { Mutex } from "./mutex.ts";
import { NumberRanges } from "./number_ranges.ts";
import type { Checkpoint, Outbox, OutboxEntry, OutboxStatus, Put } from "./outbox.ts";
import { WakeQueue } from "./wake_queue.ts";

/** What an outbox is opened with. */
export interface KvOutboxOptions {
  /** A folder; created private, and locked against a second agent. */
  path: string;
  /** The cap, in bytes as stored. */
  maxBytes: number;
  seal: Seal;
  clock: Clock;
  log: Log;
  /** Smaller in tests. */
  documentBytesMax?: number;
  heldBytesMax?: number;
  probeMs?: number;
  /** Called before and after each step that a crash could fall between: tests die there. */
  step?: Step;
}

/**
 * Opens the outbox of a folder. A damaged file is replaced, and one that cannot be written now is done without until it
 * can. Throws `BufferInUseError`, or why the folder can never be one. Close it.
 */
export async function openKvOutbox(options: KvOutboxOptions): Promise<Outbox> {
  const wakeUps = await WakeQueue.open();
  try {
    const outbox = new KvOutbox(options, wakeUps);
    await outbox.open();
    return outbox;
  } catch (error) {
    wakeUps.close();
    throw error;
  }
}

class KvOutbox implements Outbox {
  #maxBytes: number;
  readonly #log: Log;
  readonly #books = new Books();
  readonly #mutex = new Mutex();
  readonly #access: KvAccess;
  readonly #holding: Holding;
  /** Settled, and still in the file because it could not be written; those that were refused with the reason. */
  readonly #settled = new NumberRanges();
  readonly #refused = new Map<number, string>();
  readonly #wakeUps: WakeQueue;
  /** The document that is being sent; it must not be evicted under the sender's hands. */
  #leased: number | null = null;
  /** Whether the last look into the file brought an answer. */
  #isReadable = false;

  constructor(options: KvOutboxOptions, wakeUps: WakeQueue) {
    this.#wakeUps = wakeUps;
    const { path: folder, clock, log, step = () => undefined } = options;
    const { documentBytesMax = limits.documentBytesMax, heldBytesMax = limits.heldBytesMax } = options;
    const books = this.#books;
    this.#maxBytes = options.maxBytes;
    const maxBytes = () => this.#maxBytes;
    this.#log = log;
    this.#access = new KvAccess({
      ...{ folder, maxBytes, books, clock, log, step },
      probeMs: options.probeMs ?? limits.outboxProbeMs,
      exclusively: (task) => this.#mutex.run(task),
      known: () => ({ held: this.#holding.numbered, settled: this.#settled }),
      flush: (store) => this.#flush(store),
      figures: () => this.#figures(),
    });
    const { numbers } = this.#access;
    const { seal } = options;
    this.#holding = new Holding({ books, numbers, seal, maxBytes, documentBytesMax, heldBytesMax });
  }

  /** Once, before anything else. */
  async open(): Promise<void> {
    await this.#access.open();
    this.#isReadable = this.#access.isOpen;
    const evicted = await this.#access.attempt((store) => store.shrink());
    if (evicted === null || evicted.records === 0) return;
    const fields = { evicted_count: evicted.records, evicted_bytes: evicted.bytes, max_bytes: this.#maxBytes };
    this.#log.error("buffer_eviction_complete", fields);
  }

  put(draft: Draft, checkpoints: readonly Checkpoint[] = []): Promise<Put> {
    return this.#mutex.run(async () => {
      const put = await this.#put(draft, checkpoints);
      this.#wakeUps.wake();
      return put;
    });
  }

  saveCheckpoints(checkpoints: readonly Checkpoint[]): Promise<void> {
    return this.#mutex.run(async () => {
      const saved = await this.#write(async (store) => {
        await store.save(checkpoints);
        return true;
      });
      if (saved === null) this.#holding.keep(checkpoints);
    });
  }

  checkpoints(prefix: string): Promise<Map<string, unknown>> {
    return this.#mutex.run(async () => {
      const found = await this.#access.attempt((store) => store.checkpoints()) ?? new Map<string, unknown>();
      for (const { name, value } of this.#holding.checkpoints()) {
        if (value === undefined) found.delete(name);
        else found.set(name, value);
      }
      return new Map([...found].filter(([name]) => name.startsWith(prefix)));
    });
  }

  oldest(from = 0): Promise<OutboxEntry | null> {
    return this.#mutex.run(async () => {
      this.#leased = null;
      const entry = await this.#oldestStored(from) ?? this.#holding.oldest(from);
      this.#leased = entry?.sequence ?? null;
      return entry;
    });
  }

  acknowledge(sequence: number): Promise<void> {
    return this.#mutex.run(async () => {
      this.#leased = null;
      if (this.#holding.settle(sequence)) {
        await this.#access.numbers.runAhead({ durable: false });
        return;
      }
      const settled = await this.#write(async (store) => {
        await store.settle([sequence]);
        return true;
      });
      if (settled === null) await this.#remember(sequence);
    });
  }

  reject(sequence: number, reason: string): Promise<void> {
    return this.#mutex.run(async () => {
      this.#leased = null;
      if (!this.#holding.reject(sequence)) await this.#setAside(sequence, reason);
    });
  }

  listen(wake: () => void): Promise<void> {
    return this.#wakeUps.listen(wake);
  }

  oldestAt(): Promise<string | null> {
    return this.#mutex.run(async () => {
      const header = await this.#access.attempt(async (store) => {
        const sequence = await store.firstSequence(this.#settled);
        return sequence === null ? null : await store.header(sequence);
      });
      return parseHeader(header)?.timestamp ?? this.#holding.oldest(0)?.timestamp ?? null;
    });
  }

  status(): OutboxStatus {
    const { records, bytes, nextSequence, deliveredRecords, ...state } = this.#books.state;
    const { evictedRecords, evictedBytes, rejectedRecords, quarantinedRecords, unstoredRecords } = state;
    const lost = { evictedRecords, evictedBytes, rejectedRecords, quarantinedRecords, unstoredRecords };
    const loss = { ...lost, quarantinedFiles: state.quarantinedFiles, untold: this.#books.losses };
    // Delivered, though the file could not be told.
    const settled = this.#settled.size - this.#refused.size;
    const waiting = Math.max(0, records - settled) + this.#holding.numbered;
    const figures = { nextSequence, deliveredRecords: deliveredRecords + Math.min(records, settled) };
    return { isReadable: this.#isReadable, records: waiting, bytes, maxBytes: this.#maxBytes, ...figures, loss };
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
  }

  close(): Promise<void> {
    return this.#mutex.run(async () => {
      await this.#access.close();
      this.#wakeUps.close();
    });
  }

  async #put(draft: Draft, checkpoints: readonly Checkpoint[]): Promise<Put> {
    const { numbers, isWritable } = this.#access;
    let sealed: SealedDraft | null = null;
    if (isWritable) {
      await numbers.reserve();
      sealed = await this.#holding.seal(draft, this.#books.state.nextSequence, checkpoints);
      const put = await this.#store(sealed);
      if (put !== null) return put;
    }
    const hadRoom = this.#holding.figures.droppedRecords === 0;
    const put = await this.#holding.hold(draft, checkpoints, { sealed, leased: this.#leased });
    if (hadRoom && this.#holding.figures.droppedRecords > 0) this.#log.error("buffer_memory_full", this.#figures());
    return put;
  }

  async #store({ document, bytes, isTooLarge }: SealedDraft): Promise<Put | null> {
    const { id, sequence } = document;
    const put = await this.#write<Put>(async (store) => {
      if (!isTooLarge) {
        const evicted = await store.put(document, { leased: this.#leased });
        return { kind: "stored", id, sequence, bytes, evicted };
      }
      await store.refuse({ ...document, bytes }, document.checkpoints);
      return { kind: "too_large", sequence, bytes };
    });
    if (put !== null) await this.#follow();
    return put;
  }

  /** Notes how far the outbox is: up to which number everything is delivered, or lost and told. */
  async #follow(): Promise<void> {
    const first = await this.#access.attempt((store) => store.firstSequence(this.#settled));
    const untold = this.#books.losses.ranges[0]?.from ?? Number.POSITIVE_INFINITY;
    await this.#access.numbers.follow(Math.min(first ?? this.#books.state.nextSequence, untold) - 1);
  }

  async #write<T>(task: (store: KvStore) => Promise<T>): Promise<T | null> {
    return this.#access.isWritable ? await this.#access.attempt(task) : null;
  }

  async #oldestStored(from: number): Promise<OutboxEntry | null> {
    for (;;) {
      const look = await this.#access.attempt(async (store) => ({ found: await store.oldest(this.#settled, from) }));
      this.#isReadable = look !== null;
      const found = look?.found ?? null;
      if (found === null) return null;
      if (found.entry !== null) return found.entry;
      await this.#setAside(found.sequence, "Damaged in the outbox");
    }
  }

  async #setAside(sequence: number, reason: string): Promise<void> {
    const done = await this.#write(async (store) => {
      await store.setAside(sequence, reason);
      return true;
    });
    if (done === null && await this.#remember(sequence)) this.#refused.set(sequence, reason);
  }

  /** What cannot be deleted is not handed out again. Whether it is in the file, as far as that can be told. */
  async #remember(sequence: number): Promise<boolean> {
    const found = await this.#access.attempt(async (store) => ({ isThere: await store.header(sequence) !== null }));
    const isThere = found?.isThere ?? true;
    if (isThere) this.#settled.add(sequence);
    return isThere;
  }

  /** First what leaves the file, for that makes room. */
  async #flush(store: KvStore): Promise<void> {
    for (const [sequence, reason] of this.#refused) await store.setAside(sequence, reason);
    this.#refused.clear();
    await store.settle(this.#settled.numbers());
    this.#settled.clear();
    await this.#holding.flush(store, { leased: this.#leased });
    await this.#follow();
    this.#isReadable = true;
    this.#wakeUps.wake();
  }

  #figures(): Record<string, unknown> {
    const { heldBytes, droppedRecords } = this.#holding.figures;
    return { held_records: this.#holding.numbered, held_bytes: heldBytes, dropped_records: droppedRecords };
  }
}

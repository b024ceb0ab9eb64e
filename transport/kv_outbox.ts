/**
 * The outbox on Deno KV, and what keeps it going when its file is damaged or cannot be written.
 *
 * Invariants beside those of `outbox.ts`:
 *
 * - while the file takes writes, every document that waits is in it; while it does not, new ones wait in memory
 *   (`held_documents.ts`), numbers in the file are below those in memory, and one probe at a time tries again;
 * - a document in memory can be sent once its number is safe (`kv_numbers.ts`);
 * - a document that is settled is not handed out again by this process, and counts as delivered although it is deleted
 *   only with a later commit, or when that can be done.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import type { Log } from "../log.ts";
import type { Draft, Seal } from "./envelope.ts";
import { KvAccess } from "./kv_access.ts";
import { Books } from "./kv_books.ts";
import { Holding } from "./kv_holding.ts";
import { inOrder, Intake } from "./kv_intake.ts";
import { type Header, parseHeader } from "./kv_records.ts";
import type { Step } from "./kv_state.ts";
import type { KvStore } from "./kv_store.ts";
import { withoutTold } from "./loss_ledger.ts";
import { Mutex } from "./mutex.ts";
import type { Checkpoint, Outbox, OutboxEntry, OutboxStatus, Put, SourcedDraft } from "./outbox.ts";
import { Settled } from "./settled.ts";
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
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #books = new Books();
  readonly #mutex = new Mutex();
  readonly #access: KvAccess;
  readonly #holding: Holding;
  readonly #intake: Intake;
  readonly #settled = new Settled();
  #isSettling = false;
  readonly #closing = new AbortController();
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
    this.#clock = clock;
    this.#log = log;
    this.#access = new KvAccess({
      ...{ folder, maxBytes, books, clock, log, step },
      probeMs: options.probeMs ?? limits.outboxProbeMs,
      exclusively: (task) => this.#mutex.run(task),
      known: () => ({ held: this.#holding.numbered, settled: this.#settled }),
      flush: (store) => this.#flush(store),
      figures: () => this.#holding.figures,
    });
    const [access, settled] = [this.#access, this.#settled];
    const { numbers } = access;
    const { seal } = options;
    const holding = new Holding({ books, numbers, seal, maxBytes, documentBytesMax, heldBytesMax });
    this.#holding = holding;
    this.#intake = new Intake({
      ...{ books, access, holding, settled, clock, log },
      leased: () => this.#leased,
      closing: this.#closing.signal,
    });
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
    const [put] = this.#add([{ draft, checkpoints }]);
    return put!;
  }

  async putInOrder(puts: readonly SourcedDraft[]): Promise<Put[]> {
    return await inOrder(this.#add(puts));
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
      const found = await this.#find(sequence);
      if (found === "absent") return;
      this.#settled.deliver(sequence, found);
      this.#books.enter({ change: {}, losses: withoutTold(this.#books.losses, found?.tells ?? 0) });
      await this.#settleSoon();
    });
  }

  reject(sequence: number, reason: string): Promise<void> {
    return this.#mutex.run(async () => {
      this.#leased = null;
      if (this.#settled.has(sequence) || this.#holding.reject(sequence)) return;
      await this.#setAside(sequence, reason);
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
    // Delivered, though the file has not been told.
    const { deliveredRecords: settled, deliveredBytes } = this.#settled;
    const waiting = Math.max(0, records - settled) + this.#holding.numbered;
    const figures = { nextSequence, deliveredRecords: deliveredRecords + Math.min(records, settled) };
    const size = { records: waiting, bytes: Math.max(0, bytes - deliveredBytes), maxBytes: this.#maxBytes };
    return { isReadable: this.#isReadable, ...size, ...figures, loss };
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
  }

  close(): Promise<void> {
    this.#closing.abort();
    return this.#mutex.run(async () => {
      await this.#intake.storeAll();
      await this.#settle();
      await this.#access.close();
      this.#wakeUps.close();
    });
  }

  #add(puts: readonly SourcedDraft[]): Promise<Put>[] {
    const answers = this.#intake.add(puts);
    const company = this.#intake.company();
    for (const _ of puts) {
      // Those that wait for no company keep their place before whatever is asked next.
      if (company === null) void this.#storeNext();
      else void company.then(() => this.#storeNext());
    }
    return answers;
  }

  #storeNext(): Promise<void> {
    return this.#mutex.run(async () => {
      await this.#intake.storeNext();
      this.#wakeUps.wake();
    });
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
    if (done === null && await this.#find(sequence) !== "absent") this.#settled.refuse(sequence, reason);
  }

  /** The header of a document in the file; null when it is there as far as that can be told. */
  async #find(sequence: number): Promise<Header | "absent" | null> {
    return await this.#access.attempt(async (store) => await store.header(sequence) ?? "absent");
  }

  /** With the next document that is stored, or after a short time, or at once when there are many. */
  async #settleSoon(): Promise<void> {
    if (this.#settled.size >= limits.settledTogetherMax) return await this.#settle();
    if (this.#isSettling || !this.#access.isWritable) return;
    this.#isSettling = true;
    void this.#clock.sleep(limits.settleDelayMs, this.#closing.signal).then(() =>
      this.#mutex.run(async () => {
        this.#isSettling = false;
        await this.#settle();
      })
    );
  }

  async #settle(): Promise<void> {
    if (!this.#settled.isEmpty) await this.#write((store) => store.settle(this.#settled));
  }

  /** First what leaves the file, for that makes room. */
  async #flush(store: KvStore): Promise<void> {
    await store.settle(this.#settled);
    await this.#holding.flush(store, { leased: this.#leased, settled: this.#settled });
    await this.#intake.follow();
    this.#isReadable = true;
    this.#wakeUps.wake();
  }
}

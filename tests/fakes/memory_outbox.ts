/**
 * An outbox without a disk: the same contract as the real one, and operations that fail on script.
 *
 * @module
 */

import * as limits from "../../limits.ts";
import type { Draft, Seal } from "../../transport/envelope.ts";
import { compress } from "../../transport/gzip.ts";
import { emptyLedger, type LossReason, type LostDocument, withLost, withoutTold } from "../../transport/loss_ledger.ts";
import { Mutex } from "../../transport/mutex.ts";
import type {
  Checkpoint,
  Evicted,
  Outbox,
  OutboxEntry,
  OutboxStatus,
  Put,
  SourcedDraft,
} from "../../transport/outbox.ts";

type Operation = "put" | "oldest" | "acknowledge" | "reject";

export class MemoryOutbox implements Outbox {
  readonly #seal: Seal;
  #maxBytes: number;
  readonly #documentBytesMax: number;
  readonly #mutex = new Mutex();
  readonly #entries = new Map<number, OutboxEntry>();
  readonly #checkpoints = new Map<string, unknown>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #loss = {
    evictedRecords: 0,
    evictedBytes: 0,
    rejectedRecords: 0,
    quarantinedRecords: 0,
    unstoredRecords: 0,
    quarantinedFiles: 0,
    untold: emptyLedger,
  };
  readonly #tells = new Map<number, number>();
  #delivered = 0;
  readonly #failing = new Map<Operation, { times: number; after: number }>();
  #nextSequence = 1;
  #leased: number | null = null;
  #wake: () => void = () => undefined;
  /** Set to false it behaves as a file that cannot be read any more: it hands out nothing. */
  isReadable = true;

  constructor(options: { seal: Seal; maxBytes: number; documentBytesMax?: number }) {
    this.#seal = options.seal;
    this.#maxBytes = options.maxBytes;
    this.#documentBytesMax = options.documentBytesMax ?? limits.documentBytesMax;
  }

  /** Has the next `times` calls of an operation, but for the first `after`, throw as a full disk does. */
  failNext(operation: Operation, times: number, { after = 0 } = {}): void {
    this.#failing.set(operation, { times, after });
  }

  async put(draft: Draft, checkpoints: readonly Checkpoint[] = []): Promise<Put> {
    const [put] = await this.putInOrder([{ draft, checkpoints }]);
    return put!;
  }

  putInOrder(puts: readonly SourcedDraft[]): Promise<Put[]> {
    return this.#mutex.run(async () => {
      const done: Put[] = [];
      for (const { draft, checkpoints } of puts) {
        try {
          done.push(await this.#put(draft));
        } catch (error) {
          if (done.length === 0) throw error;
          break;
        }
        this.#keep(checkpoints);
      }
      return done;
    });
  }

  saveCheckpoints(checkpoints: readonly Checkpoint[]): Promise<void> {
    return this.#mutex.run(() => Promise.resolve(this.#keep(checkpoints)));
  }

  checkpoints(prefix: string): Promise<Map<string, unknown>> {
    return Promise.resolve(new Map([...this.#checkpoints].filter(([name]) => name.startsWith(prefix))));
  }

  oldest(from = 0): Promise<OutboxEntry | null> {
    return this.#attempt("oldest", () => {
      const entries = this.isReadable ? this.#entries.values() : [].values();
      const entry = entries.find(({ sequence }) => sequence >= from) ?? null;
      this.#leased = entry?.sequence ?? null;
      return entry;
    });
  }

  acknowledge(sequence: number): Promise<void> {
    return this.#attempt("acknowledge", () => {
      if (!this.#entries.has(sequence)) return;
      this.#delivered += 1;
      const told = this.#tells.get(sequence);
      if (told !== undefined) this.#loss.untold = withoutTold(this.#loss.untold, told);
      this.#settle(sequence);
    });
  }

  reject(sequence: number, _reason: string): Promise<void> {
    return this.#attempt("reject", () => {
      const entry = this.#entries.get(sequence);
      if (entry === undefined) return;
      this.#loss.rejectedRecords += 1;
      this.#lose("rejected", entry, storedBytes(entry));
      this.#settle(sequence);
    });
  }

  listen(wake: () => void): Promise<void> {
    this.#wake = wake;
    return this.#closed.promise;
  }

  oldestAt(): Promise<string | null> {
    return Promise.resolve(this.#entries.values().next().value?.timestamp ?? null);
  }

  status(): OutboxStatus {
    const maxBytes = this.#maxBytes;
    const loss = { ...this.#loss };
    const figures = { nextSequence: this.#nextSequence, deliveredRecords: this.#delivered };
    const { isReadable } = this;
    return { isReadable, records: this.#entries.size, bytes: this.#bytes(), maxBytes, ...figures, loss };
  }

  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
  }

  close(): Promise<void> {
    this.#closed.resolve();
    return Promise.resolve();
  }

  async #put(draft: Draft): Promise<Put> {
    this.#failIfScripted("put");
    const { id, sequence, type, timestamp, json } = this.#seal(draft, this.#nextSequence);
    const gzip = await compress(json);
    const bytes = storedBytes({ gzip });
    this.#nextSequence += 1;
    if (json.length > this.#documentBytesMax || bytes > this.#maxBytes) {
      this.#count({ records: 1, bytes });
      this.#lose("too_large", { sequence, type, timestamp }, bytes);
      return { kind: "too_large", sequence, bytes };
    }
    const evicted = this.#makeRoom(bytes);
    this.#entries.set(sequence, { id, sequence, type, timestamp, gzip });
    if (draft.tells !== undefined) this.#tells.set(sequence, draft.tells);
    queueMicrotask(this.#wake);
    return { kind: "stored", id, sequence, bytes, evicted };
  }

  #keep(checkpoints: readonly Checkpoint[]): void {
    for (const { name, value } of checkpoints) {
      if (value === undefined) this.#checkpoints.delete(name);
      else this.#checkpoints.set(name, value);
    }
  }

  #makeRoom(bytes: number): Evicted {
    const evicted = { records: 0, bytes: 0 };
    for (const entry of this.#entries.values()) {
      if (this.#bytes() + bytes <= this.#maxBytes) break;
      if (entry.sequence === this.#leased) continue;
      this.#entries.delete(entry.sequence);
      this.#tells.delete(entry.sequence);
      this.#lose("evicted", entry, storedBytes(entry));
      evicted.records += 1;
      evicted.bytes += storedBytes(entry);
    }
    this.#count(evicted);
    return evicted;
  }

  #count(evicted: Evicted): void {
    this.#loss.evictedRecords += evicted.records;
    this.#loss.evictedBytes += evicted.bytes;
  }

  #lose(reason: LossReason, { sequence, type, timestamp }: Omit<LostDocument, "bytes">, bytes: number): void {
    this.#loss.untold = withLost(this.#loss.untold, reason, [{ sequence, type, timestamp, bytes }]);
  }

  #settle(sequence: number): void {
    this.#entries.delete(sequence);
    this.#tells.delete(sequence);
    this.#leased = null;
  }

  #bytes(): number {
    return [...this.#entries.values()].reduce((total, entry) => total + storedBytes(entry), 0);
  }

  #attempt<T>(operation: Operation, action: () => T): Promise<T> {
    return new Promise((resolve) => {
      this.#failIfScripted(operation);
      resolve(action());
    });
  }

  #failIfScripted(operation: Operation): void {
    const failing = this.#failing.get(operation);
    if (failing === undefined || failing.after-- > 0 || failing.times-- <= 0) return;
    throw new TypeError("database or disk is full");
  }
}

function storedBytes({ gzip }: { gzip: Uint8Array }): number {
  return gzip.length + limits.recordOverheadBytes;
}

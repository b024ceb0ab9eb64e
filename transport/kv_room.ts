/**
 * Who has to leave the outbox: evicted for room, settled, or set aside and kept within bounds.
 *
 * @module
 */

import * as limits from "../limits.ts";
import * as records from "./kv_records.ts";
import type { Header, OutboxState } from "./kv_records.ts";
import type { KvState } from "./kv_state.ts";
import { withLost, withoutTold } from "./loss_ledger.ts";
import type { Evicted } from "./outbox.ts";
import type { RecentDocuments } from "./recent_documents.ts";
import type { Settled } from "./settled.ts";

/** What the room of an outbox is kept by. */
export interface KvRoomOptions {
  maxBytes: () => number;
  recent: RecentDocuments;
  /** Of a waiting document; null when there is none. */
  header: (sequence: number) => Promise<Header | null>;
}

/** The room of an outbox: what is in it never passes the cap after a document was put in. */
export class KvRoom {
  readonly #kv: Deno.Kv;
  readonly #state: KvState;
  readonly #maxBytes: () => number;
  readonly #recent: RecentDocuments;
  readonly #header: KvRoomOptions["header"];

  constructor(kv: Deno.Kv, state: KvState, { maxBytes, recent, header }: KvRoomOptions) {
    this.#kv = kv;
    this.#state = state;
    this.#maxBytes = maxBytes;
    this.#recent = recent;
    this.#header = header;
  }

  /** Whether `bytes` more fit as it is. */
  fits(bytes: number): boolean {
    return this.#state.value.bytes + bytes <= this.#maxBytes();
  }

  /** Evicts until `bytes` more fit: first what was rejected, then the oldest documents. */
  async make(bytes: number, { leased }: { leased: number | null }): Promise<Evicted> {
    const evicted = { records: 0, bytes: 0 };
    for (const kind of ["rejected", "document"] as const) {
      while (!this.fits(bytes)) {
        const batch = await this.#oldestHeaders(kind, {
          bytes: this.#state.value.bytes + bytes - this.#maxBytes(),
          leased,
        });
        if (batch.length === 0) break;
        if (kind === "rejected") {
          await this.#forget(batch);
          continue;
        }
        await this.#evict(batch);
        evicted.records += batch.length;
        evicted.bytes += bytesOf(batch);
      }
    }
    return evicted;
  }

  /** The oldest headers that together hold `bytes`, as many as one commit can remove, without the leased one. */
  async #oldestHeaders(
    kind: "document" | "rejected",
    { bytes, leased }: { bytes: number; leased: number | null },
  ): Promise<Header[]> {
    const batch: Header[] = [];
    let missing = bytes;
    let mutations = 0;
    for await (const { key, value } of this.#kv.list({ prefix: [kind] }, { batchSize: 100 })) {
      const header = records.parseHeader(value) ?? records.unreadableHeader(Number(key[1]));
      if (header.sequence === leased) continue;
      mutations += header.chunks + 1;
      if (batch.length > 0 && mutations > limits.mutationsPerCommitMax) break;
      batch.push(header);
      missing -= records.storedBytes(header);
      if (missing <= 0) break;
    }
    return batch;
  }

  /** The listener has all of them. */
  async settleAll(settled: Settled): Promise<void> {
    let batch: Header[] = [];
    let mutations = 0;
    for await (const header of this.#headersOf(settled)) {
      mutations += header.chunks + 1;
      if (batch.length > 0 && mutations > limits.mutationsPerCommitMax) {
        await this.settle(batch);
        [batch, mutations] = [[], header.chunks + 1];
      }
      batch.push(header);
    }
    if (batch.length > 0) await this.settle(batch);
    settled.clear();
  }

  /** Headers of what the listener has, for a commit that has more in it; null when they are too many for that. */
  async headersOf(settled: Settled): Promise<Header[] | null> {
    if (settled.refused.size > 0 || settled.size > limits.settledTogetherMax) return null;
    const headers: Header[] = [];
    let mutations = 0;
    for await (const header of this.#headersOf(settled)) {
      headers.push(header);
      mutations += header.chunks + 1;
    }
    return mutations > limits.settledMutationsMax ? null : headers;
  }

  /** Of those that are still in the file. */
  async *#headersOf(settled: Settled): AsyncGenerator<Header> {
    for (const sequence of settled.numbers()) {
      const header = settled.header(sequence) ?? await this.#header(sequence);
      if (header !== null) yield header;
    }
  }

  /**
   * Commits an operation, and with it that the listener has the documents of a batch. What they told of losses needs no
   * telling any more. `added` are documents of the operation itself.
   */
  async settle(
    batch: readonly Header[],
    { operation = this.#kv.atomic(), change: further = {}, added = [] }: SettleOptions = {},
  ): Promise<void> {
    const { bytes, records: waiting, deliveredRecords } = this.#state.value;
    const change = {
      ...further,
      bytes: less(bytes, bytesOf(batch)) + bytesOf(added),
      records: less(waiting, batch.length) + added.length,
      deliveredRecords: deliveredRecords + batch.length,
    };
    const losses = withoutTold(this.#state.losses, Math.max(0, ...batch.map(({ tells }) => tells ?? 0)));
    await this.#state.commit(withDeletionOf(operation, "document", batch), { change, losses });
    this.#recent.removed(batch);
  }

  async #evict(batch: Header[]): Promise<void> {
    const { bytes, records: waiting, evictedRecords, evictedBytes } = this.#state.value;
    const freed = bytesOf(batch);
    const change = {
      bytes: less(bytes, freed),
      records: less(waiting, batch.length),
      evictedRecords: evictedRecords + batch.length,
      evictedBytes: evictedBytes + freed,
    };
    const losses = withLost(this.#state.losses, "evicted", batch.map(records.lostDocument));
    await this.#state.commit(withDeletionOf(this.#kv.atomic(), "document", batch), { change, losses });
    this.#recent.removed(batch);
  }

  /** Rejected documents are counted already. */
  async #forget(batch: Header[]): Promise<void> {
    const { bytes, rejectedKept, rejectedBytes } = this.#state.value;
    const freed = bytesOf(batch);
    const change = {
      bytes: less(bytes, freed),
      rejectedKept: less(rejectedKept, batch.length),
      rejectedBytes: less(rejectedBytes, freed),
    };
    await this.#state.commit(withDeletionOf(this.#kv.atomic(), "rejected", batch), { change });
  }

  /** Moves a document from those that wait to those that were rejected, and keeps these within their bounds. */
  async setAside(sequence: number, value: unknown, reason: string): Promise<void> {
    const header = { ...records.parseHeader(value) ?? records.unreadableHeader(sequence), reason };
    const operation = this.#kv.atomic().delete(records.documentKey(sequence));
    operation.set(records.rejectedKey(sequence), header);
    const state = this.#state.value;
    const change = {
      records: less(state.records, 1),
      rejectedRecords: state.rejectedRecords + 1,
      rejectedKept: state.rejectedKept + 1,
      rejectedBytes: state.rejectedBytes + records.storedBytes(header),
    };
    const losses = withLost(this.#state.losses, "rejected", [records.lostDocument(header)]);
    await this.#state.commit(operation, { change, losses });
    this.#recent.removed([header]);
    while (this.#rejectedExcess() > 0) {
      const batch = await this.#oldestHeaders("rejected", { bytes: this.#rejectedExcess(), leased: null });
      if (batch.length === 0) return;
      await this.#forget(batch);
    }
  }

  /** Bytes by which the rejected documents pass their share; 1 when there are just too many of them. */
  #rejectedExcess(): number {
    const { rejectedKept, rejectedBytes } = this.#state.value;
    const excess = rejectedBytes - this.#maxBytes() * limits.rejectedShareMax;
    return rejectedKept > limits.rejectedRecordsMax ? Math.max(1, excess) : excess;
  }
}

/** What is committed with documents that the listener has. */
export interface SettleOptions {
  operation?: Deno.AtomicOperation;
  change?: Partial<OutboxState>;
  added?: readonly Header[];
}

function withDeletionOf(
  operation: Deno.AtomicOperation,
  kind: "document" | "rejected",
  batch: readonly Header[],
): Deno.AtomicOperation {
  for (const { sequence, chunks } of batch) {
    operation.delete([kind, sequence]);
    for (let index = 0; index < chunks; index++) operation.delete(records.chunkKey(sequence, index));
  }
  return operation;
}

function bytesOf(batch: readonly Header[]): number {
  return batch.reduce((sum, header) => sum + records.storedBytes(header), 0);
}

/** Never below nothing: of a damaged document the size is not known. */
function less(figure: number, by: number): number {
  return Math.max(0, figure - by);
}

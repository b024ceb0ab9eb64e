/**
 * Who has to leave the outbox: evicted for room, settled, or set aside and kept within bounds.
 *
 * @module
 */

import * as limits from "../limits.ts";
import * as records from "./kv_records.ts";
import type { Header, OutboxState } from "./kv_records.ts";
import type { KvState } from "./kv_state.ts";
import type { Evicted } from "./outbox.ts";

/** The room of an outbox: what is in it never passes `maxBytes`. */
export class KvRoom {
  readonly #kv: Deno.Kv;
  readonly #state: KvState;
  readonly #maxBytes: number;

  constructor(kv: Deno.Kv, state: KvState, maxBytes: number) {
    this.#kv = kv;
    this.#state = state;
    this.#maxBytes = maxBytes;
  }

  /** Evicts until `bytes` more fit: first what was rejected, then the oldest documents. */
  async make(bytes: number, { leased }: { leased: number | null }): Promise<Evicted> {
    const evicted = { records: 0, bytes: 0 };
    for (const kind of ["rejected", "document"] as const) {
      while (this.#state.value.bytes + bytes > this.#maxBytes) {
        const batch = await this.#oldestHeaders(kind, {
          bytes: this.#state.value.bytes + bytes - this.#maxBytes,
          leased,
        });
        if (batch.length === 0) break;
        await this.remove(batch, kind, { evicting: kind === "document" });
        if (kind === "rejected") continue;
        evicted.records += batch.length;
        evicted.bytes += sum(batch.map(records.storedBytes));
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

  /** Deletes documents with their chunks and subtracts them from the state. */
  async remove(batch: Header[], kind: "document" | "rejected", options = { evicting: false }): Promise<void> {
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
  async setAside(sequence: number, value: unknown, reason: string): Promise<void> {
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
      const batch = await this.#oldestHeaders("rejected", { bytes: this.#rejectedExcess(), leased: null });
      if (batch.length === 0) return;
      await this.remove(batch, "rejected");
    }
  }

  /** Bytes by which the rejected documents pass their share; 1 when there are just too many of them. */
  #rejectedExcess(): number {
    const { rejectedKept, rejectedBytes } = this.#state.value;
    const excess = rejectedBytes - this.#maxBytes * limits.rejectedShareMax;
    return rejectedKept > limits.rejectedRecordsMax ? Math.max(1, excess) : excess;
  }
}

function lessRejected(state: OutboxState, count: number, bytes: number): Partial<OutboxState> {
  return { rejectedKept: state.rejectedKept - count, rejectedBytes: Math.max(0, state.rejectedBytes - bytes) };
}

function sum(figures: readonly number[]): number {
  return figures.reduce((total, figure) => total + figure, 0);
}

/**
 * Entries of the server's log on their way into one document, with what to store beside it.
 *
 * @module
 */

import type { LogEntry } from "../collectors/logs/entry.ts";
import type { FamilyState } from "../collectors/logs/log_family_state.ts";
import * as limits from "../limits.ts";
import { ReadyJson } from "../transport/envelope.ts";

/** What is stored of a batch. */
export interface TakenBatch {
  /** Of the document; good until it is released. */
  data: Record<string, unknown> & { dropped: number };
  /** Entries. */
  count: number;
  states: FamilyState[];
  /** The data is stored: what it takes may be used for another. */
  release: () => void;
}

/**
 * Collects entries until it is time to send them. Those of one read become JSON together, and are not kept; it is bytes
 * outside of V8's heap, for a text of this size would be collected with all that is old.
 */
export class LogBatch {
  /** Of what is being read. */
  #entries: LogEntry[] = [];
  /** JSON of those before: the array without its end. */
  #json = new JsonBytes();
  /** Of batches that have been stored, while entries come so fast that each is full. */
  #spares: JsonBytes[] = [];
  #count = 0;
  #levels: Record<string, number> = {};
  #bytes = 0;
  #dropped = 0;
  #firstMs: number | null = null;
  #correlatedMs: number | null = null;
  /** By path: what is true once the entries are stored. */
  #states = new Map<string, FamilyState>();

  /** Whether there is something to store, be it only a position. */
  get hasNews(): boolean {
    return this.#states.size > 0;
  }

  get isFull(): boolean {
    return this.#count >= limits.logBatchEntriesMax || this.#bytes >= limits.logBatchBytesMax;
  }

  add(entry: LogEntry, nowMs: number): void {
    this.#entries.push(entry);
    this.#count += 1;
    this.#levels[entry.level] = (this.#levels[entry.level] ?? 0) + 1;
    this.#bytes += sizeOf(entry);
    this.#firstMs ??= nowMs;
    if (entry.correlation_id !== null) this.#correlatedMs ??= nowMs;
  }

  /** An entry that cannot be carried: counted instead. */
  drop(nowMs: number): void {
    this.#dropped += 1;
    this.#firstMs ??= nowMs;
  }

  /** What to store for a log once everything added so far is safe. The entries and their block are let go. */
  note(state: FamilyState): void {
    this.#write();
    this.#states.set(state.path, state);
  }

  /** Whether it is time: full, waited long enough, or sooner with an entry of a web request. */
  isDue(nowMs: number): boolean {
    return this.isFull || (this.#correlatedMs !== null && nowMs - this.#correlatedMs >= limits.logBatchCorrelatedMs) ||
      (this.#firstMs !== null && nowMs - this.#firstMs >= limits.logBatchMs);
  }

  /** The document's data and what goes with it; the batch begins anew. */
  take(): TakenBatch {
    this.#write();
    const [count, dropped, json] = [this.#count, this.#dropped, this.#json];
    const data = { entries: json.end(), count, levels: this.#levels, dropped };
    const states = [...this.#states.values()];
    if (!this.isFull) this.#spares = [];
    this.#json = this.#spares.pop() ?? new JsonBytes();
    const release = () => void this.#spares.push(json);
    [this.#count, this.#levels, this.#bytes, this.#dropped] = [0, {}, 0, 0];
    [this.#firstMs, this.#correlatedMs] = [null, null];
    this.#states = new Map();
    return { data, count, states, release };
  }

  #write(): void {
    if (this.#entries.length === 0) return;
    this.#json.add(JSON.stringify(this.#entries));
    this.#entries = [];
  }
}

const [openBracket, comma, closeBracket] = [0x5b, 0x2c, 0x5d];
const encoder = new TextEncoder();
/** For what the envelope writes before and behind the entries; what is longer has it make a copy. */
const envelopeBytes = 2_048;

/** Arrays in JSON, one behind the other in one array. */
class JsonBytes {
  #bytes = new Uint8Array(0);
  #end = envelopeBytes;

  /** Takes an array in JSON that is not empty. */
  add(json: string): void {
    // UTF-8 has three bytes for each unit of UTF-16 at most.
    const length = this.#end + 3 * json.length + envelopeBytes;
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#bytes.length));
      larger.set(this.#bytes.subarray(0, this.#end));
      this.#bytes = larger;
    }
    // Over the end of what is there: `[a]` and `[b]` are `[a[b]`, and the bracket in the middle becomes a comma.
    const isFirst = this.#end === envelopeBytes;
    const start = isFirst ? this.#end : this.#end - 1;
    this.#end = start + encoder.encodeInto(json, this.#bytes.subarray(start)).written;
    if (!isFirst) this.#bytes[start] = comma;
  }

  /** The array; what is added afterwards begins a new one in its place. */
  end(): ReadyJson {
    const end = this.#end;
    this.#end = envelopeBytes;
    if (end === envelopeBytes) return new ReadyJson(Uint8Array.of(openBracket, closeBracket));
    return new ReadyJson(this.#bytes, { start: envelopeBytes, end });
  }
}

function sizeOf({ message, detail, hint, context, statement }: LogEntry): number {
  return entryBytes + message.length + (detail?.length ?? 0) + (hint?.length ?? 0) + (context?.length ?? 0) +
    (statement?.length ?? 0);
}

/** Of an entry beside its texts, about. */
const entryBytes = 400;

/**
 * Entries of the server's log on their way into one document, with what to store beside it.
 *
 * @module
 */

import { detachEntry, type LogEntry } from "../collectors/logs/entry.ts";
import type { FamilyState } from "../collectors/logs/log_family_state.ts";
import * as limits from "../limits.ts";

/** Collects entries until it is time to send them. */
export class LogBatch {
  #entries: LogEntry[] = [];
  #bytes = 0;
  #dropped = 0;
  #firstMs: number | null = null;
  #correlatedMs: number | null = null;
  /** By path: what is true once the entries are stored. */
  #states = new Map<string, FamilyState>();

  get isEmpty(): boolean {
    return this.#entries.length === 0 && this.#dropped === 0;
  }

  /** Whether there is something to store, be it only a position. */
  get hasNews(): boolean {
    return this.#states.size > 0;
  }

  get isFull(): boolean {
    return this.#entries.length >= limits.logBatchEntriesMax || this.#bytes >= limits.logBatchBytesMax;
  }

  add(entry: LogEntry, nowMs: number): void {
    // Between entries that are dropped, few keep many blocks of the file.
    this.#entries.push(this.#dropped > 0 ? detachEntry(entry) : entry);
    this.#bytes += sizeOf(entry);
    this.#firstMs ??= nowMs;
    if (entry.correlation_id !== null) this.#correlatedMs ??= nowMs;
  }

  /** An entry that cannot be carried: counted instead. */
  drop(nowMs: number): void {
    this.#dropped += 1;
    this.#firstMs ??= nowMs;
  }

  /** What to store for a log once everything added so far is safe. */
  note(state: FamilyState): void {
    this.#states.set(state.path, state);
  }

  /** Whether it is time: full, waited long enough, or sooner with an entry of a web request. */
  isDue(nowMs: number): boolean {
    return this.isFull || (this.#correlatedMs !== null && nowMs - this.#correlatedMs >= limits.logBatchCorrelatedMs) ||
      (this.#firstMs !== null && nowMs - this.#firstMs >= limits.logBatchMs);
  }

  /** The document's data and what goes with it; the batch begins anew. */
  take(): { data: Record<string, unknown>; count: number; states: FamilyState[] } {
    const levels: Record<string, number> = {};
    for (const { level } of this.#entries) levels[level] = (levels[level] ?? 0) + 1;
    const count = this.#entries.length;
    const data = { entries: this.#entries, count, levels, dropped: this.#dropped };
    const states = [...this.#states.values()];
    [this.#entries, this.#bytes, this.#dropped, this.#firstMs, this.#correlatedMs] = [[], 0, 0, null, null];
    this.#states = new Map();
    return { data, count, states };
  }
}

function sizeOf(entry: LogEntry): number {
  const { message, detail, hint, context, statement } = entry;
  return 400 + [message, detail, hint, context, statement].reduce((sum, text) => sum + (text?.length ?? 0), 0);
}

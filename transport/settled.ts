/**
 * Documents that need no delivery any more and are still in the outbox's file: their deletion goes along with the next
 * commit, or waits until the file takes writes again.
 *
 * Invariants:
 *
 * - a number is in it from its answer until its deletion is committed, so it is handed out once by this process;
 * - headers are kept of a bounded number of them; those of the others are read again.
 *
 * @module
 */

import * as limits from "../limits.ts";
import { type Header, storedBytes } from "./kv_records.ts";
import { NumberRanges } from "./number_ranges.ts";

/** The documents: what the listener has, and what it refused. */
export class Settled extends NumberRanges {
  readonly #headers = new Map<number, Header>();
  readonly #refused = new Map<number, string>();
  #deliveredBytes = 0;

  /** Documents that the listener has. */
  get deliveredRecords(): number {
    return this.size - this.#refused.size;
  }

  /** What these take in the file, as far as that is known. */
  get deliveredBytes(): number {
    return this.#deliveredBytes;
  }

  /** Numbers of those that the listener refused, each with the reason. */
  get refused(): ReadonlyMap<number, string> {
    return this.#refused;
  }

  /** The listener has it. The header is null when it cannot be read. */
  deliver(sequence: number, header: Header | null): void {
    if (this.has(sequence)) return;
    this.add(sequence);
    if (header === null) return;
    this.#deliveredBytes += storedBytes(header);
    if (this.#headers.size < limits.settledTogetherMax) this.#headers.set(sequence, header);
  }

  /** The listener refused it. */
  refuse(sequence: number, reason: string): void {
    if (this.has(sequence)) return;
    this.add(sequence);
    this.#refused.set(sequence, reason);
  }

  /** Of a document that the listener has; undefined when it has to be read. */
  header(sequence: number): Header | undefined {
    return this.#headers.get(sequence);
  }

  /** Their deletion is committed. */
  override clear(): void {
    super.clear();
    this.#headers.clear();
    this.#refused.clear();
    this.#deliveredBytes = 0;
  }
}

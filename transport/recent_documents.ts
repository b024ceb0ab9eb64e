/**
 * What is known of the documents that wait in a file without asking it: the last ones that were stored, whole, and the
 * lowest number. A document that is sent right after it was stored is never read back.
 *
 * Invariants:
 *
 * - every document that waits from `from` on is here, and none that does not wait;
 * - no more than `bytesMax`: the oldest goes first, and `from` rises above it; before that its JSON goes, of which there
 *   is no more than `jsonBytesMax`;
 * - no document waits below `floor`;
 * - it changes after commits only. One that was reported as failed and took effect ends the use of the open file, and of
 *   this with it, because the next commit finds another version (`kv_state.ts`).
 *
 * @module
 */

import { type Header, storedBytes } from "./kv_records.ts";
import type { OutboxEntry } from "./outbox.ts";

/** A document as it was stored. */
export interface RecentDocument {
  header: Header;
  entry: OutboxEntry;
}

/** The documents of one open file. */
export class RecentDocuments {
  readonly #bytesMax: number;
  readonly #jsonBytesMax: number;
  /** In the order of their numbers. */
  readonly #documents = new Map<number, RecentDocument>();
  #bytes = 0;
  #jsonBytes = 0;
  /** Of a file that was just opened nothing is known. */
  #from = Number.POSITIVE_INFINITY;
  #floor = 0;
  #isFloorWaiting = false;
  #lastRead: RecentDocument | null = null;

  constructor({ bytesMax, jsonBytesMax }: { bytesMax: number; jsonBytesMax: number }) {
    this.#bytesMax = bytesMax;
    this.#jsonBytesMax = jsonBytesMax;
  }

  /** A document that waits, if it is known. */
  get(sequence: number): RecentDocument | null {
    if (this.#lastRead?.header.sequence === sequence) return this.#lastRead;
    return this.#documents.get(sequence) ?? null;
  }

  /** What was read of the file last: what comes of it is told next. */
  read(document: RecentDocument | null): void {
    this.#lastRead = document;
  }

  /** The lowest number that waits, from one on; null for none, undefined when only the file can tell. */
  firstFrom(sequence: number): number | null | undefined {
    if (this.#isFloorWaiting && sequence <= this.#floor) return this.#floor;
    if (Math.max(sequence, this.#floor) < this.#from) return undefined;
    for (const number of this.#documents.keys()) if (number >= sequence) return number;
    return null;
  }

  /** What the file told: `first` is the lowest number that waits from `sequence` on. */
  found(sequence: number, first: number | null): void {
    if (sequence > this.#floor) return;
    // Nothing waits at all: all that will is going to be here.
    if (first === null) this.#from = 0;
    else [this.#floor, this.#isFloorWaiting] = [first, true];
  }

  /** A document was stored, behind all others. */
  stored(document: RecentDocument): void {
    const { sequence } = document.header;
    this.#from = Math.min(this.#from, sequence);
    this.#documents.set(sequence, document);
    this.#bytes += storedBytes(document.header);
    this.#jsonBytes += jsonBytesOf(document);
    for (const oldest of this.#documents.keys()) {
      if (this.#bytes <= this.#bytesMax) break;
      this.#forget(oldest);
      this.#from = oldest + 1;
    }
    for (const { header, entry: { json, ...entry } } of this.#documents.values()) {
      if (this.#jsonBytes <= this.#jsonBytesMax) return;
      if (json === undefined) continue;
      this.#jsonBytes -= json.length;
      this.#documents.set(header.sequence, { header, entry });
    }
  }

  /** Documents have left the file. */
  removed(headers: readonly Header[]): void {
    for (const { sequence } of headers) {
      this.#forget(sequence);
      if (this.#lastRead?.header.sequence === sequence) this.#lastRead = null;
      if (!this.#isFloorWaiting || sequence !== this.#floor) continue;
      this.#floor += 1;
      this.#isFloorWaiting = false;
    }
  }

  #forget(sequence: number): void {
    const document = this.#documents.get(sequence);
    if (document === undefined) return;
    this.#documents.delete(sequence);
    this.#bytes -= storedBytes(document.header);
    this.#jsonBytes -= jsonBytesOf(document);
  }
}

function jsonBytesOf({ entry }: RecentDocument): number {
  return entry.json?.length ?? 0;
}

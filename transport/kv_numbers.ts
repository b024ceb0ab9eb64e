/**
 * The numbers of documents: given in order, and noted beside the outbox, so that none is given twice even if the outbox is
 * lost or cannot be written (`sequence_file.ts`).
 *
 * Invariants:
 *
 * - a number that goes to a document in the outbox is safe by that commit; the note follows it;
 * - a number that goes to a document in memory is noted durably before the document can be sent;
 * - where neither is possible no number is given.
 *
 * @module
 */

import * as limits from "../limits.ts";
import type { Books } from "./kv_books.ts";
import type { Step } from "./kv_state.ts";
import { parseSlots, SequenceFile, type SequenceNote } from "./sequence_file.ts";

/** In the place of the outbox's folder there is another one: that of a disk that has been unmounted. */
export class OtherFolderError extends Error {
  constructor(path: string) {
    super(`Cannot go on with "${path}" because it is not the file of before`);
    this.name = "OtherFolderError";
  }
}

/** The numbers of one outbox. */
export class Numbers implements Disposable {
  readonly #path: string;
  readonly #books: Books;
  readonly #step: Step;
  #file: SequenceFile | null = null;
  /** What the file said when it could only be read, or when it was closed. */
  #read: SequenceNote | null = null;

  constructor(path: string, { books, step }: { books: Books; step: Step }) {
    this.#path = path;
    this.#books = books;
    this.#step = step;
  }

  /**
   * Opens the file if it is not open; one that cannot be written is read at least. Throws why it cannot be written.
   * Throws `OtherFolderError` when it says nothing though it has said something before.
   */
  async open(): Promise<void> {
    if (this.#file !== null) return;
    let file: SequenceFile;
    try {
      file = await SequenceFile.open(this.#path, { step: this.#step });
    } catch (error) {
      this.#read ??= await readNote(this.#path);
      throw error;
    }
    if (file.note === null && this.#read !== null) {
      file[Symbol.dispose]();
      throw new OtherFolderError(this.#path);
    }
    this.#file = file;
  }

  /** What is noted; null when nothing is. */
  get note(): SequenceNote | null {
    return this.#file?.note ?? this.#read;
  }

  /**
   * Reserves so many ahead that half a block is left behind them whatever happens. Without a file the outbox alone keeps
   * the numbers.
   */
  async reserve(count: number): Promise<void> {
    const last = this.#books.state.nextSequence + count - 1;
    const { note } = this;
    if (note !== null && last + limits.sequenceBlock / 2 <= note.ceiling) return;
    await this.#write({ exact: false }, { durable: true, last });
  }

  /** Notes where the outbox is, after it was written. */
  async follow(settled: number): Promise<void> {
    const stored = this.#books.state.nextSequence;
    // What says that it is exact must not outlive that.
    await this.#write({ exact: false, settled, stored }, { durable: this.note?.exact ?? false });
  }

  /** Notes that the numbers before the books' next one are given although the outbox cannot tell. Whether that worked. */
  async runAhead({ durable }: { durable: boolean }): Promise<boolean> {
    return await this.#write({ exact: true }, { durable });
  }

  /** Notes at the end of a run that nothing more was given. */
  async finish(): Promise<void> {
    await this.#write({ exact: true }, { durable: true });
  }

  /** What was noted last stays known. */
  [Symbol.dispose](): void {
    this.#read = this.note;
    this.#file?.[Symbol.dispose]();
    this.#file = null;
  }

  /** What is left out stays as it was noted. */
  async #write(change: Partial<SequenceNote>, options: { durable: boolean; last?: number }): Promise<boolean> {
    const file = this.#file;
    if (file === null) return false;
    const next = this.#books.state.nextSequence;
    const { last = next } = options;
    const isNear = last + limits.sequenceBlock / 2 > (file.note?.ceiling ?? 0);
    const ceiling = isNear ? last + limits.sequenceBlock : file.note!.ceiling;
    const before = file.note ?? { exact: false, stored: next, settled: 0 };
    try {
      await file.write({ ...before, ...change, next, ceiling, totals: this.#books.totals() }, {
        durable: options.durable || isNear,
      });
      return true;
    } catch {
      // What it said before holds: the outbox is the first to know the numbers, this is the second.
      return false;
    }
  }
}

async function readNote(path: string): Promise<SequenceNote | null> {
  try {
    return parseSlots(await Deno.readFile(path))?.note ?? null;
  } catch {
    return null;
  }
}

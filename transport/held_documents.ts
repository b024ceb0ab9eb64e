/**
 * What waits in memory because the outbox cannot be written: documents with and without a number, and positions of sources,
 * in the order in which they came.
 *
 * Invariants:
 *
 * - documents without a number come after all that have one;
 * - no more than `bytesMax` of compressed documents, unless one is larger alone;
 * - a document that leaves for the listener, or for room, leaves its checkpoints behind: the lines are accounted for.
 *
 * @module
 */

import type { ReadyDocument } from "./kv_writer.ts";
import type { Checkpoint } from "./outbox.ts";

/** A draft that has no number yet; its data compressed. */
export interface HeldDraft {
  type: string;
  timestamp: Date;
  tells: number | undefined;
  /** Of the data's JSON. */
  gzip: Uint8Array<ArrayBuffer>;
}

/** One place in the line; one of the first two may be there. */
export interface Held {
  document: ReadyDocument | null;
  draft: HeldDraft | null;
  checkpoints: readonly Checkpoint[];
}

/** The line. */
export class HeldDocuments {
  readonly #bytesMax: number;
  #line: Held[] = [];
  #bytes = 0;
  #numbered = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Documents that have a number. */
  get numbered(): number {
    return this.#numbered;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#line.length === 0;
  }

  /** Documents that have no number yet. */
  get drafts(): number {
    return this.#line.filter(({ draft }) => draft !== null).length;
  }

  /** Puts something at the end. */
  add(held: Held): void {
    const last = this.#line.at(-1);
    if (held.document === null && held.draft === null && last !== undefined) {
      this.#line[this.#line.length - 1] = { ...last, checkpoints: latest(last.checkpoints, held.checkpoints) };
      return;
    }
    this.#line.push(held);
    this.#bytes += bytesOf(held);
    if (held.document !== null) this.#numbered += 1;
  }

  /** The document with the lowest number from one on; null when none has such a number. */
  oldest(from: number): ReadyDocument | null {
    return this.#line.find(({ document }) => document !== null && document.sequence >= from)?.document ?? null;
  }

  /** The first in the line. */
  first(): Held | null {
    return this.#line[0] ?? null;
  }

  /** Removes the first in the line, checkpoints and all. */
  shift(): void {
    const [first] = this.#line;
    if (first === undefined) return;
    this.#forget(first);
    this.#line.shift();
  }

  /** Takes a document out; null when it is not there. */
  take(sequence: number): ReadyDocument | null {
    const index = this.#line.findIndex(({ document }) => document?.sequence === sequence);
    if (index < 0) return null;
    const { document } = this.#line[index]!;
    this.#empty(index);
    return document;
  }

  /** What is the oldest and has to go, for as long as there is too much; never the leased one nor the last of all. */
  takeExcess(leased: number | null): Held | null {
    if (this.#bytes <= this.#bytesMax) return null;
    const isOther = ({ document, draft }: Held) =>
      draft !== null || (document !== null && document.sequence !== leased);
    const index = this.#line.findIndex(isOther);
    if (index < 0 || index === this.#line.length - 1) return null;
    const held = this.#line[index]!;
    this.#empty(index);
    return held;
  }

  /** Gives drafts their numbers, in order. */
  async number(seal: (draft: HeldDraft, checkpoints: readonly Checkpoint[]) => Promise<ReadyDocument>): Promise<void> {
    for (const [index, held] of this.#line.entries()) {
      if (held.draft === null) continue;
      const document = await seal(held.draft, held.checkpoints);
      this.#bytes += document.gzip.length - held.draft.gzip.length;
      this.#numbered += 1;
      this.#line[index] = { document, draft: null, checkpoints: held.checkpoints };
    }
  }

  /** All checkpoints that wait, the latest of each name. */
  checkpoints(): readonly Checkpoint[] {
    return this.#line.reduce<readonly Checkpoint[]>((all, { checkpoints }) => latest(all, checkpoints), []);
  }

  /** Leaves only the checkpoints in a place, with the place before where that has no document either. */
  #empty(index: number): void {
    const held = this.#line[index]!;
    this.#forget(held);
    const before = this.#line[index - 1];
    if (before !== undefined && before.document === null && before.draft === null) {
      before.checkpoints = latest(before.checkpoints, held.checkpoints);
      this.#line.splice(index, 1);
    } else if (held.checkpoints.length === 0) this.#line.splice(index, 1);
    else this.#line[index] = { document: null, draft: null, checkpoints: held.checkpoints };
  }

  #forget(held: Held): void {
    this.#bytes -= bytesOf(held);
    if (held.document !== null) this.#numbered -= 1;
  }
}

function bytesOf({ document, draft }: Held): number {
  return document?.gzip.length ?? draft?.gzip.length ?? 0;
}

function latest(before: readonly Checkpoint[], after: readonly Checkpoint[]): readonly Checkpoint[] {
  return [...new Map([...before, ...after].map((checkpoint) => [checkpoint.name, checkpoint])).values()];
}

/**
 * Which document goes next. What waited for the listener, or from before the start, or in a file that could not be read,
 * is the backlog; what was captured since is fresh. They take turns, so that a backlog delays nothing new by more than
 * one request, and the backlog keeps to a pace.
 *
 * ```
 * sequence    1 ───────────────── boundary ─────────────── next
 *             │ backlog: paced    │ fresh: at once         │
 * ```
 *
 * Invariants:
 *
 * - each of the two goes out in the order of its numbers, so all that arrives is two ascending lines merged;
 * - while the listener fails there is one line, the oldest first; when it is back, all of it is backlog;
 * - the boundary only rises.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import type { Outbox, OutboxEntry } from "./outbox.ts";
import { Pace, type PaceOptions } from "./pace.ts";

/** What is to be done next. */
export type Turn =
  | { kind: "send"; entry: OutboxEntry }
  /** Nothing is fresh, and it is too early for the next of the backlog. */
  | { kind: "rest"; ms: number }
  | { kind: "empty" };

/** What lanes are made of. */
export interface LanesOptions {
  outbox: Pick<Outbox, "oldest" | "status">;
  clock: Pick<Clock, "monotonicMs">;
  pace: PaceOptions;
  /** A backlog is done: so many documents of it were settled. */
  onFlushed: (count: number) => void;
}

/** The order in which the documents of an outbox go out. */
export class Lanes {
  readonly #options: LanesOptions;
  readonly #pace: Pace;
  /** Documents below this number are backlog; 0 when there is none. */
  #boundary = 0;
  #failing = false;
  #freshIsNext = true;
  #flushed = 0;
  #isReadable: boolean;

  /** What is in the outbox already is backlog. */
  constructor(options: LanesOptions) {
    this.#options = options;
    this.#pace = new Pace(options.pace, options.clock);
    const { isReadable, records } = options.outbox.status();
    this.#isReadable = isReadable;
    if (records > 0) this.#beginBacklog();
  }

  /** The next document, or how long there is none. Throws what the outbox throws. */
  async next(): Promise<Turn> {
    const { outbox } = this.#options;
    const { isReadable, records } = outbox.status();
    if (isReadable && !this.#isReadable && records > 0) this.#beginBacklog();
    this.#isReadable = isReadable;
    if (this.#failing) return turnOf(await outbox.oldest());
    if (records === 0) this.#endBacklog();
    if (this.#boundary === 0) return turnOf(await outbox.oldest());
    const waitMs = this.#pace.waitMs();
    if (this.#freshIsNext || waitMs > 0) {
      const fresh = await outbox.oldest(this.#boundary);
      if (fresh !== null) {
        this.#freshIsNext = false;
        return { kind: "send", entry: fresh };
      }
    }
    if (waitMs > 0) return { kind: "rest", ms: waitMs };
    this.#freshIsNext = true;
    const oldest = await outbox.oldest();
    if (oldest === null || oldest.sequence >= this.#boundary) this.#endBacklog();
    return turnOf(oldest);
  }

  /** The listener did not take a document: whatever waits is one line again. */
  failed(): void {
    this.#failing = true;
  }

  /** The listener took a document, or refused it for good: it is there. */
  settled(entry: OutboxEntry): void {
    if (this.#failing) this.#beginBacklog();
    this.#failing = false;
    if (entry.sequence >= this.#boundary) return;
    this.#flushed += 1;
    this.#pace.sent(entry.gzip.length);
  }

  #beginBacklog(): void {
    const { nextSequence, records } = this.#options.outbox.status();
    this.#boundary = nextSequence;
    this.#pace.begin(records);
  }

  #endBacklog(): void {
    if (this.#boundary > 0) this.#options.onFlushed(this.#flushed);
    this.#boundary = 0;
    this.#flushed = 0;
  }
}

function turnOf(entry: OutboxEntry | null): Turn {
  return entry === null ? { kind: "empty" } : { kind: "send", entry };
}

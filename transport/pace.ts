/**
 * How fast a backlog goes out: a listener that has come back is asked for little at once, and not by all agents in the
 * same second.
 *
 * @module
 */

import type { Clock } from "../clock.ts";

/** The pace of a backlog (limits.ts has the agent's values). */
export interface PaceOptions {
  /** Never more documents in a second. */
  documentsPerS: number;
  /** Nor more bytes, as stored. */
  bytesPerS: number;
  /** A backlog of more than a second's documents begins after a random part of this. */
  startDelayMaxMs: number;
  /** In [0, 1): tells the agents of a fleet apart. */
  random: () => number;
}

/** Pauses vary by a quarter around their mean; the shortest keeps to the rate. */
const longestPause = 1.25 / 0.75;

/** Tells when the next document of a backlog may go. */
export class Pace {
  readonly #options: PaceOptions;
  readonly #clock: Pick<Clock, "monotonicMs">;
  /** On the monotonic clock. */
  #dueMs = 0;

  constructor(options: PaceOptions, clock: Pick<Clock, "monotonicMs">) {
    this.#options = options;
    this.#clock = clock;
  }

  /** A backlog of so many documents begins. */
  begin(documents: number): void {
    const { documentsPerS, startDelayMaxMs, random } = this.#options;
    const delayMs = documents > documentsPerS ? startDelayMaxMs * random() : 0;
    this.#dueMs = this.#clock.monotonicMs() + delayMs;
  }

  /** One of it was sent, of so many bytes. */
  sent(bytes: number): void {
    const { documentsPerS, bytesPerS, random } = this.#options;
    const shortestMs = 1_000 * Math.max(1 / documentsPerS, bytes / bytesPerS);
    const pauseMs = shortestMs * (1 + (longestPause - 1) * random());
    this.#dueMs = Math.max(this.#dueMs, this.#clock.monotonicMs()) + pauseMs;
  }

  /** Milliseconds until the next one may go; 0 when it may go now. */
  waitMs(): number {
    return Math.max(0, this.#dueMs - this.#clock.monotonicMs());
  }
}

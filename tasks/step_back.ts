/**
 * How a collector spares a server in trouble: each hard run doubles the distance to the next, each easy one halves it.
 *
 * @module
 */

import * as limits from "../limits.ts";

/** Counts ticks and says which of them are run. */
export class StepBack {
  #every = 1;
  #ticksSinceRun = 0;

  /** Runs on every n-th tick now: 1 is the usual pace. */
  get every(): number {
    return this.#every;
  }

  /** Whether the tick that has just come is to be run. */
  isDue(): boolean {
    this.#ticksSinceRun += 1;
    if (this.#ticksSinceRun < this.#every) return false;
    this.#ticksSinceRun = 0;
    return true;
  }

  /** Tells how hard the run was for the server. Returns whether the pace changed. */
  note(run: "easy" | "hard"): boolean {
    const before = this.#every;
    this.#every = run === "hard" ? Math.min(before * 2, limits.stepBackMax) : Math.max(1, before / 2);
    return this.#every !== before;
  }
}

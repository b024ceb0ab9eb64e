/**
 * A clock that stands still until a test moves it.
 *
 * @module
 */

import type { Clock } from "../../clock.ts";

interface Sleeper {
  untilMs: number;
  wake: () => void;
}

/** Time in the hands of a test. Both clocks move together with {@link advance}; the wall clock can also be set. */
export class FakeClock implements Clock {
  #wallMs: number;
  #monotonicMs = 0;
  readonly #sleepers = new Set<Sleeper>();

  constructor(start: Date | string = "2026-01-02T03:04:05.678Z") {
    this.#wallMs = new Date(start).getTime();
  }

  now(): Date {
    return new Date(this.#wallMs);
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (ms <= 0 || signal?.aborted) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => {
      this.#sleepers.delete(sleeper);
      signal?.removeEventListener("abort", wake);
      resolve();
    };
    // Whole milliseconds: sums of fractions would miss, by a little and seldom, the times that tests wait for.
    const sleeper: Sleeper = { untilMs: Math.ceil(this.#monotonicMs + ms), wake };
    this.#sleepers.add(sleeper);
    signal?.addEventListener("abort", wake, { once: true });
    return promise;
  }

  /** How many are asleep: a test waits for the sleeper before it moves the clock. */
  get sleepers(): number {
    return this.#sleepers.size;
  }

  /** Milliseconds until the next sleeper wakes, or null when nobody sleeps. */
  get nextWakeMs(): number | null {
    const untilMs = [...this.#sleepers].map((sleeper) => sleeper.untilMs);
    return untilMs.length === 0 ? null : Math.min(...untilMs) - this.#monotonicMs;
  }

  /**
   * Moves both clocks on. Sleepers wake in the order of their times, each at its own time, and what they do at once is
   * done before the next one wakes.
   */
  async advance(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms;
    for (;;) {
      await settle();
      const next = [...this.#sleepers].sort((one, other) => one.untilMs - other.untilMs)[0];
      if (next === undefined || next.untilMs > endMs) break;
      this.#move(next.untilMs - this.#monotonicMs);
      next.wake();
    }
    this.#move(endMs - this.#monotonicMs);
    await settle();
  }

  /** Sets the wall clock, as an operator or NTP does; the monotonic clock does not move. */
  setWall(time: Date | string): void {
    this.#wallMs = new Date(time).getTime();
  }

  #move(ms: number): void {
    this.#wallMs += ms;
    this.#monotonicMs += ms;
  }
}

/** Lets promises run whose values are already there. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

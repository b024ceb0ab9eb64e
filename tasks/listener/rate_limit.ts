/**
 * How fast each key may deliver: a token bucket a key.
 *
 * @module
 */

/** How much, and who tells the time. */
export interface RateLimitOptions {
  /** Taken in a second on the long run. */
  perS: number;
  /** Taken at once after a rest. */
  burst: number;
  /** A monotonic time. */
  nowMs: () => number;
}

/** Counts for each name. Names come from the configuration, so their number is bounded. */
export class RateLimit {
  readonly #options: RateLimitOptions;
  readonly #buckets = new Map<string, { tokens: number; atMs: number }>();

  constructor(options: RateLimitOptions) {
    this.#options = options;
  }

  /** Takes one; answers with the whole seconds to wait when there is none, and else with 0. */
  take(name: string): number {
    const { perS, burst, nowMs } = this.#options;
    const atMs = nowMs();
    const bucket = this.#buckets.get(name) ?? { tokens: burst, atMs };
    const tokens = Math.min(burst, bucket.tokens + (atMs - bucket.atMs) / 1_000 * perS);
    const waitS = tokens >= 1 ? 0 : Math.max(1, Math.ceil((1 - tokens) / perS));
    this.#buckets.set(name, { tokens: waitS === 0 ? tokens - 1 : tokens, atMs });
    return waitS;
  }
}

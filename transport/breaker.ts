/**
 * When to try, and how long to wait: the circuit breaker and the backoff of the delivery.
 *
 * The states are cockatiel's. The waiting is ours, because cockatiel measures its cooldown on the wall clock: a clock
 * set back by an hour would keep the circuit open for an hour. So the breaker may always be tried again, and whoever
 * sends sleeps for `pauseMs` first.
 *
 * @module
 */

import {
  circuitBreaker,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  ExponentialBackoff,
  handleWhenResult,
  type IBackoff,
} from "cockatiel";
import type { Outcome } from "./delivery.ts";

/** The circuit in figures, for `agent_status`. */
export interface CircuitStatus {
  state: "closed" | "open" | "half_open";
  consecutiveFailures: number;
}

/** When to open, and how long to wait (limits.ts has the agent's values). */
export interface BreakerOptions {
  failuresMax: number;
  cooldownMs: number;
  backoffFirstMs: number;
  backoffMaxMs: number;
  /** In [0, 1): spreads the agents of a fleet, so that they do not return together. */
  random: () => number;
  /** The circuit opened or closed. */
  onChange: (state: "open" | "closed") => void;
}

/** Counts failures in a row, opens after so many, and tells how long to wait. */
export class Breaker {
  readonly #options: BreakerOptions;
  readonly #policy: CircuitBreakerPolicy;
  readonly #firstPause: ExponentialBackoff<unknown>;
  #backoff: IBackoff<unknown> | null = null;
  #failures = 0;

  constructor(options: BreakerOptions) {
    this.#options = options;
    this.#policy = circuitBreaker(handleWhenResult((outcome) => (outcome as Outcome).kind === "retry"), {
      halfOpenAfter: Number.NEGATIVE_INFINITY,
      breaker: new ConsecutiveBreaker(options.failuresMax),
    });
    this.#firstPause = new ExponentialBackoff({
      initialDelay: options.backoffFirstMs,
      maxDelay: options.backoffMaxMs,
    });
    this.#policy.onStateChange((state) => {
      if (state === CircuitState.Closed) options.onChange("closed");
      // Open again after a failed trial is no news.
      if (state === CircuitState.Open && this.#failures + 1 === options.failuresMax) options.onChange("open");
    });
  }

  /** Makes one attempt and counts how it ended. */
  async attempt(send: () => Promise<Outcome>): Promise<Outcome> {
    const outcome = await this.#policy.execute(send);
    if (outcome.kind === "retry") {
      this.#failures += 1;
      this.#backoff = this.#backoff?.next(undefined) ?? this.#firstPause.next();
    } else {
      this.#failures = 0;
      this.#backoff = null;
    }
    return outcome;
  }

  /** How long to wait before the next attempt, in milliseconds: 0 after a success. */
  pauseMs(): number {
    if (this.#policy.state === CircuitState.Closed) return this.#backoff?.duration ?? 0;
    return this.#options.cooldownMs * (1 + 0.1 * this.#options.random());
  }

  status(): CircuitStatus {
    const { state } = this.#policy;
    const name = state === CircuitState.Closed ? "closed" : state === CircuitState.HalfOpen ? "half_open" : "open";
    return { state: name, consecutiveFailures: this.#failures };
  }
}

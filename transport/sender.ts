/**
 * Drains the outbox: one request at a time, in the order that `lanes.ts` tells, each document until the listener has
 * answered it. The one layer that owns retry.
 *
 * Invariants:
 *
 * - one drain at a time, however often it is woken;
 * - a wake-up is never lost: one that comes while a drain is ending starts another look;
 * - a document leaves the outbox only after its answer.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import { errorMessage, type Log } from "../log.ts";
import { Breaker, type BreakerOptions, type CircuitStatus } from "./breaker.ts";
import type { Delivery, Outcome } from "./delivery.ts";
import { Lanes, type Turn } from "./lanes.ts";
import type { Outbox, OutboxEntry } from "./outbox.ts";
import type { PaceOptions } from "./pace.ts";

/** What a sender works with. */
export interface SenderOptions {
  outbox: Outbox;
  delivery: Delivery;
  clock: Clock;
  log: Log;
  /** Shorter in tests. */
  breaker: Omit<BreakerOptions, "onChange">;
  pace: PaceOptions;
}

/** Brings what is in the outbox to the listener. */
export class Sender {
  readonly #outbox: Outbox;
  readonly #delivery: Delivery;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #breaker: Breaker;
  /** Ends waiting, and starts no further request. */
  readonly #stopping = new AbortController();
  /** Cuts off a request under way. */
  readonly #cutting = new AbortController();
  #draining: Promise<void> | null = null;
  #wokenAgain = false;
  /** Ends a drain's wait for the backlog's next turn; null when it does not wait. */
  #resting: AbortController | null = null;
  /** Ends the wait after a failure. */
  #pausing = new AbortController();
  readonly #lanes: Lanes;
  /** What was refused since the last delivery. */
  readonly #refused = new Set<keyof typeof refusalEvents>();

  constructor(options: SenderOptions) {
    this.#outbox = options.outbox;
    this.#delivery = options.delivery;
    this.#clock = options.clock;
    this.#log = options.log;
    const onFlushed = (count: number) => this.#log.info("buffer_flush_complete", { flushed_count: count });
    this.#lanes = new Lanes({ ...options, onFlushed });
    this.#breaker = new Breaker({ ...options.breaker, onChange: (state) => this.#logCircuit(state) });
  }

  /** Starts draining, or has the drain that runs look once more. */
  wake(): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#draining !== null) {
      this.#wokenAgain = true;
      this.#resting?.abort();
      return;
    }
    this.#draining = this.#drain().finally(() => {
      this.#draining = null;
      if (this.#wokenAgain) this.wake();
    });
  }

  /** Tries at once what the listener did not take: what it asked for, or how often it failed, is not so any more. */
  retryNow(): void {
    this.#pausing.abort();
  }

  /** Sends nothing more; a request under way may take `graceMs` to end. Does not close what it was given. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort();
    this.#resting?.abort();
    this.#pausing.abort();
    if (this.#draining === null) return;
    const graceOver = new AbortController();
    await Promise.race([this.#draining, this.#clock.sleep(graceMs, graceOver.signal)]);
    graceOver.abort();
    this.#cutting.abort();
    await this.#draining;
  }

  status(): CircuitStatus {
    return this.#breaker.status();
  }

  async #drain(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#wokenAgain = false;
      const turn = await this.#untilDone("outbox_read_failed", () => this.#lanes.next());
      if (turn === undefined || turn.kind === "empty") return;
      if (turn.kind === "rest") await this.#rest(turn);
      else {
        const { entry } = turn;
        // Before the request: one that ends by the way of before is not waited for either.
        this.#pausing = new AbortController();
        const outcome = await this.#breaker.attempt(() => this.#delivery.send(entry, this.#cutting.signal));
        await this.#settle(entry, outcome);
      }
    }
  }

  /** Until the backlog's next turn, or a wake-up: there may be something fresh. */
  async #rest({ ms }: Turn & { kind: "rest" }): Promise<void> {
    if (this.#wokenAgain || this.#stopping.signal.aborted) return;
    this.#resting = new AbortController();
    await this.#clock.sleep(ms, this.#resting.signal);
    this.#resting = null;
  }

  async #settle(entry: OutboxEntry, outcome: Outcome): Promise<void> {
    this.#logRefusal(outcome);
    const { sequence, type } = entry;
    if (outcome.kind === "retry") return await this.#pause(outcome);
    this.#lanes.settled(entry);
    if (outcome.kind === "delivered") {
      this.#log.debug("document_delivered", { sequence, type });
      await this.#untilDone("outbox_write_failed", () => this.#outbox.acknowledge(sequence));
    } else {
      this.#log.error("document_rejected", { sequence, type, status: outcome.status, reason: outcome.reason });
      await this.#untilDone("outbox_write_failed", () => this.#outbox.reject(sequence, outcome.reason));
    }
  }

  async #pause(outcome: Outcome & { kind: "retry" }): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#lanes.failed();
    const pauseMs = Math.max(this.#breaker.pauseMs(), outcome.retryAfterMs ?? 0);
    // The first failure is said; its repetitions would say nothing more.
    this.#log[this.status().consecutiveFailures === 1 ? "warning" : "debug"]("delivery_failed", {
      reason: outcome.reason,
      status: outcome.status,
      pause_ms: Math.round(pauseMs),
    });
    await this.#clock.sleep(pauseMs, this.#pausing.signal);
  }

  /** Tries until it works or the agent stops (then undefined): a full disk refuses even deletes, and passes. */
  async #untilDone<T>(event: string, task: () => Promise<T>): Promise<T | undefined> {
    for (let failed = false; !this.#stopping.signal.aborted || !failed;) {
      try {
        return await task();
      } catch (error) {
        if (!failed) this.#log.error(event, { error: errorMessage(error) });
        failed = true;
        await this.#clock.sleep(limits.outboxRetryMs, this.#stopping.signal);
      }
    }
    return undefined;
  }

  #logCircuit(state: "open" | "closed"): void {
    const { records, bytes } = this.#outbox.status();
    if (state === "open") {
      this.#log.warning("circuit_open_buffering", { buffered_records: records, buffered_bytes: bytes });
    } else this.#log.info("circuit_closed", { buffered_records: records, buffered_bytes: bytes });
  }

  /** Says once that the key or the listener's certificate was refused, and once that all is well again. */
  #logRefusal(outcome: Outcome): void {
    if (outcome.kind === "rejected") return;
    const refused = outcome.kind === "retry" ? outcome.refused : null;
    if (refused !== null && !this.#refused.has(refused.what)) {
      this.#refused.add(refused.what);
      const { reason, status } = outcome as Outcome & { kind: "retry" };
      this.#log.error(refusalEvents[refused.what].refused, { reason, status, hint: refused.hint });
    }
    if (outcome.kind === "retry") return;
    for (const what of this.#refused) this.#log.info(refusalEvents[what].accepted);
    this.#refused.clear();
  }
}

const refusalEvents = {
  key: { refused: "listener_key_refused", accepted: "listener_key_accepted" },
  certificate: { refused: "listener_certificate_refused", accepted: "listener_certificate_accepted" },
} as const;

/**
 * A delivery that can be exchanged while documents are under way, and that knows how long they have been: a reload
 * changes the one, the watchdog asks for the other.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import type { Delivery, Outcome } from "./delivery.ts";
import type { OutboxEntry } from "./outbox.ts";

/** Hands every document to the delivery of the moment. */
export class SwitchedDelivery implements Delivery {
  readonly #clock: Clock;
  #current: Delivery;
  /** When each request under way began. */
  readonly #underWay = new Set<{ readonly sinceMs: number; readonly by: Delivery }>();
  #restingSinceMs: number;

  constructor(delivery: Delivery, clock: Clock) {
    this.#current = delivery;
    this.#clock = clock;
    this.#restingSinceMs = clock.monotonicMs();
  }

  async send(entry: OutboxEntry, signal: AbortSignal): Promise<Outcome> {
    const by = this.#current;
    const request = { sinceMs: this.#clock.monotonicMs(), by };
    this.#underWay.add(request);
    try {
      return await by.send(entry, signal);
    } finally {
      this.#underWay.delete(request);
      this.#restingSinceMs = this.#clock.monotonicMs();
      if (by !== this.#current) this.#closeUnlessUsed(by);
    }
  }

  /** Sends everything from now on by another way. The one before is closed when nothing is under way by it any more. */
  switchTo(delivery: Delivery): void {
    const before = this.#current;
    this.#current = delivery;
    this.#closeUnlessUsed(before);
  }

  /** What stands still, in words, or null. `waiting`: whether there is anything to send. */
  stalled(waiting: boolean): string | null {
    const nowMs = this.#clock.monotonicMs();
    const longestMs = Math.max(0, ...[...this.#underWay].map(({ sinceMs }) => nowMs - sinceMs));
    if (longestMs > limits.stalledRequestMs) return `A request has been under way for ${seconds(longestMs)}`;
    if (!waiting) this.#restingSinceMs = nowMs;
    const restingMs = this.#underWay.size > 0 ? 0 : nowMs - this.#restingSinceMs;
    return restingMs > limits.stalledDrainMs ? `Documents wait, and none was tried for ${seconds(restingMs)}` : null;
  }

  close(): void {
    this.#current.close();
  }

  #closeUnlessUsed(delivery: Delivery): void {
    if (![...this.#underWay].some(({ by }) => by === delivery)) delivery.close();
  }
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}

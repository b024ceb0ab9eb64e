/**
 * A delivery that answers on script and keeps what it was given.
 *
 * @module
 */

import * as limits from "../../limits.ts";
import type { Delivery, Outcome } from "../../transport/delivery.ts";
import { decompress } from "../../transport/gzip.ts";
import type { OutboxEntry } from "../../transport/outbox.ts";

export const delivered: Outcome = { kind: "delivered" };

type Retry = Outcome & { kind: "retry" };

export function retry(options: Partial<Pick<Retry, "status" | "retryAfterMs" | "refused">> = {}): Outcome {
  const { status = 503, retryAfterMs = null, refused = null } = options;
  return { kind: "retry", reason: `The listener answered ${status}`, status, retryAfterMs, refused };
}

export function rejected(status: number): Outcome {
  return { kind: "rejected", reason: `The listener answered ${status}`, status };
}

export class ScriptedDelivery implements Delivery {
  /** Sequence numbers of all attempts. */
  readonly attempts: number[] = [];
  /** The documents that were taken, parsed. */
  readonly taken: { id: string; sequence: number; type: string; data: Record<string, unknown> }[] = [];
  /** Requests under way at once, at the most. */
  concurrencyPeak = 0;
  closed = false;
  /** What comes of an attempt beyond the script. */
  decide: (entry: OutboxEntry) => Outcome = () => delivered;
  #answers: Outcome[] = [];
  #underWay = 0;
  #held: Promise<void> | null = null;

  /** The next answers; after them `decide` has the word. */
  answer(...outcomes: Outcome[]): void {
    this.#answers.push(...outcomes);
  }

  /** Has attempts wait until the returned function is called, or their signal is aborted. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held = promise;
    return () => {
      this.#held = null;
      resolve();
    };
  }

  async send(entry: OutboxEntry, signal: AbortSignal): Promise<Outcome> {
    this.attempts.push(entry.sequence);
    this.concurrencyPeak = Math.max(this.concurrencyPeak, ++this.#underWay);
    try {
      if (this.#held !== null) await Promise.race([this.#held, aborted(signal)]);
      if (signal.aborted) return { kind: "retry", reason: "Cut off", status: null, retryAfterMs: null, refused: null };
      const outcome = this.#answers.shift() ?? this.decide(entry);
      const json = new TextDecoder().decode(await decompress(entry.gzip, limits.documentBytesMax));
      if (outcome.kind === "delivered") this.taken.push(JSON.parse(json));
      return outcome;
    } finally {
      this.#underWay -= 1;
    }
  }

  close(): void {
    this.closed = true;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

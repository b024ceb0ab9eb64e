/**
 * The seam of the delivery: one document to the listener, once. What to do next is the sender's business. The adapter
 * is `http_delivery.ts`.
 *
 * @module
 */

import type { OutboxEntry } from "./outbox.ts";

/** What came of one attempt (docs/documents.md tells which answer means what). */
export type Outcome =
  | { kind: "delivered" }
  /** Not now: sent again, for ever. */
  | {
    kind: "retry";
    reason: string;
    /** HTTP status, or null when there was no answer. */
    status: number | null;
    /** What the listener asked for with `Retry-After`, in milliseconds. */
    retryAfterMs: number | null;
    /** What stays wrong until somebody mends it, and how; null for what passes by itself. */
    refused: { what: "key" | "certificate"; hint: string } | null;
  }
  /** Not ever: this document is set aside, the next one goes on. No status: it is damaged and was not sent. */
  | { kind: "rejected"; reason: string; status: number | null };

/** A way to the listener. */
export interface Delivery {
  /** Sends one document. Never throws: whatever happens is an outcome. */
  send(entry: OutboxEntry, signal: AbortSignal): Promise<Outcome>;
  /** Closes the kept connection. */
  close(): void;
}

/**
 * Ties what PostgreSQL shows to the web request that caused it, by the name that the request gave its session.
 *
 * @module
 */

import * as limits from "../limits.ts";

/**
 * `live`, or `doubtful`: this backend showed the same id earlier under another transaction, so a pooler may have left
 * the name behind.
 */
export type CorrelationState = "live" | "doubtful";

/** A request's id and how far it is to be trusted; both null for a session without one. */
export interface Correlation {
  correlation_id: string | null;
  correlation_state: CorrelationState | null;
}

/**
 * `bitville-` and 36 characters of a UUID, then the end or a blank: what a pooler appends begins with one, such as
 * ` - 10.0.0.1:5432`, and may be cut off by the 63 bytes of a name.
 */
const namePattern = /^bitville-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?= |$)/i;

/** The id in an application name, in lower case, or null. */
export function correlationId(applicationName: string | null): string | null {
  const match = applicationName === null ? null : namePattern.exec(applicationName);
  return match?.[1]?.toLowerCase() ?? null;
}

/** One sight of a backend. */
export interface Sight {
  pid: number;
  /** ISO 8601, or null where the role may not see it. */
  backendStart: string | null;
  xactStart: string | null;
  applicationName: string | null;
}

interface Remembered {
  correlationId: string;
  /** Of the transaction under which the id was first seen. */
  xactStart: string | null;
  seenMs: number;
}

/**
 * Remembers under which transaction each backend first showed an id. Soft state: bounded in number and age, and a
 * restart begins without it, so that a doubtful id may count as live for one cycle.
 */
export class CorrelationMemory {
  readonly #remembered = new Map<string, Remembered>();
  readonly #backendsMax: number;

  constructor(backendsMax: number = limits.rememberedBackendsMax) {
    this.#backendsMax = backendsMax;
  }

  /** Judges a sight and remembers it. `nowMs` is monotonic. */
  judge(sight: Sight, nowMs: number): Correlation {
    const id = correlationId(sight.applicationName);
    const backend = `${sight.pid}/${sight.backendStart}`;
    const before = this.#remembered.get(backend);
    this.#remembered.delete(backend);
    if (id === null) return { correlation_id: null, correlation_state: null };
    const same = before !== undefined && before.correlationId === id && !isExpired(before, nowMs);
    const xactStart = same ? before.xactStart : sight.xactStart;
    // Set anew, so that the map stays in the order of the last sight.
    this.#remembered.set(backend, { correlationId: id, xactStart, seenMs: nowMs });
    this.#forget(nowMs);
    return { correlation_id: id, correlation_state: xactStart === sight.xactStart ? "live" : "doubtful" };
  }

  #forget(nowMs: number): void {
    for (const [backend, remembered] of this.#remembered) {
      if (this.#remembered.size <= this.#backendsMax && !isExpired(remembered, nowMs)) return;
      this.#remembered.delete(backend);
    }
  }
}

function isExpired(remembered: Remembered, nowMs: number): boolean {
  return nowMs - remembered.seenMs > limits.rememberedBackendMs;
}

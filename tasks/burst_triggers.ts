/**
 * What a burst is recorded for: a queue for locks, a jump in active sessions, a storm of errors in the server's log.
 *
 * Invariant: a trigger fires once and rests until its figure has fallen below its threshold again.
 *
 * @module
 */

import type { Probe } from "../collectors/burst.ts";
import * as limits from "../limits.ts";

/** Why a burst was recorded. */
export interface Trigger {
  kind: "lock_queue" | "active_sessions" | "error_storm";
  /** What was counted, and what it had to reach. */
  value: number;
  threshold: number;
}

/** Judges probes. */
export class BurstTriggers {
  readonly #cpus: number;
  readonly #raised = new Set<Trigger["kind"]>();

  constructor(cpus: number) {
    this.#cpus = cpus;
  }

  /** What the probe fires, or null; `before` are the probes before it, `errors` those of the last seconds. */
  judge(probe: Probe, before: readonly Probe[], errors: number): Trigger | null {
    const found: Trigger[] = [
      { kind: "lock_queue", value: probe.lock_waiters, threshold: limits.burstLockWaiters },
      { kind: "active_sessions", value: probe.active, threshold: this.#activeThreshold(before) },
      { kind: "error_storm", value: errors, threshold: limits.burstErrors },
    ];
    let fired: Trigger | null = null;
    for (const trigger of found) {
      if (trigger.value < trigger.threshold) this.#raised.delete(trigger.kind);
      else if (!this.#raised.has(trigger.kind)) fired ??= trigger;
    }
    return fired;
  }

  /** Has the trigger rest. One that fired and could not be followed fires again at the next probe. */
  rest({ kind }: Trigger): void {
    this.#raised.add(kind);
  }

  /** Several times what is usual, where something usual is known, and more than the machine does at once. */
  #activeThreshold(before: readonly Probe[]): number {
    if (before.length < limits.burstProbesForJump) return Infinity;
    const sorted = before.map(({ active }) => active).sort((one, other) => one - other);
    const usual = sorted[Math.floor(sorted.length / 2)]!;
    return Math.max(usual, this.#cpus) * limits.burstActiveFactor;
  }
}

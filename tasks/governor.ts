/**
 * Keeps what the agent costs the server within a budget: over it, and sooner while the server is in trouble, the agent
 * steps down, one step a cycle, and comes back by itself. docs/decisions/governor.md has the reasons.
 *
 * Invariants:
 *
 * - one step a cycle, down or up, in the order of {@link steps}; the last one still reports every other minute;
 * - the cost of a cycle is what was measured: the server's own figure where it gives one, which it does a cycle later,
 *   else the time spent waiting for its answers, which is never less; what a cycle cost is a reason for one step only;
 * - up only after as many calm cycles as it takes: a step up that has to be taken back doubles their number.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import type { Restraint, ServerSigns } from "../collectors/restraint.ts";
import * as limits from "../limits.ts";
import type { Log } from "../log.ts";

/** What is left out, each step beside those before it (docs/documents/agent_status.md). */
export const steps = ["none", "texts", "statements", "locks", "activity"] as const;
export type Step = typeof steps[number];

/** For `agent_status`. */
export interface GovernorStatus {
  step: Step;
  /** Why the last step was taken; null before the first. */
  reason: string | null;
  /** Since when it is on this step. */
  since: Date;
  /** What the last cycle cost the server; null before there was one. */
  serverMs: number | null;
  budgetMs: number;
}

/** What {@link Governor} is made of. */
export interface GovernorOptions {
  clock: Pick<Clock, "now">;
  log: Log;
  intervalMs: number;
  cpus: number;
}

/** How often a collector runs from a step on. */
const paces: Readonly<Record<string, { from: Step; every: number }>> = {
  pg_stat_statements: { from: "statements", every: limits.governedStatementsEvery },
  pg_stat_activity: { from: "activity", every: limits.governedActivityEvery },
  // It is told who waits by the same read.
  pg_locks: { from: "activity", every: limits.governedActivityEvery },
};

/** Decides once a cycle what the next one may ask. */
export class Governor implements Restraint {
  readonly #options: GovernorOptions;
  #budgetMs: number;
  /** Costs since the last step, the latest last: what is over is their mean over the pace of the slowest collector. */
  #costs: number[] = [];
  #step = 0;
  #since: Date;
  #reason: string | null = null;
  #calmCycles = 0;
  #calmNeeded = limits.governorCalmCycles;
  /** Cycles since the last step up. */
  #sinceUp = Infinity;
  #signs: ServerSigns | null = null;
  #pressure = 0;
  #roleMs: number | null = null;
  #failure: string | null = null;
  /** Cycles for which the server's own figure is still to come, what was waited in them, and whether that was judged. */
  #pending = { cycles: 0, waitedMs: 0, isJudged: false };
  #lastMs: number | null = null;
  #exemptMs = 0;
  readonly #ticks = new Map<string, number>();

  constructor(options: GovernorOptions) {
    this.#options = options;
    this.#budgetMs = options.intervalMs * limits.serverTimeShare;
    this.#since = options.clock.now();
  }

  /** How long a cycle is from now on. */
  useInterval(intervalMs: number): void {
    this.#budgetMs = intervalMs * limits.serverTimeShare;
  }

  get texts(): boolean {
    return !this.#leavesOut("texts");
  }

  get lockWaitersMax(): number {
    return this.#leavesOut("locks") ? limits.governedLockWaitersMax : limits.lockWaitersMax;
  }

  /** Whether there is room for more than a cycle's usual questions. */
  get allowsBurst(): boolean {
    return this.#step <= steps.indexOf("texts") && !this.#isShortOfConnections();
  }

  get status(): GovernorStatus {
    return {
      step: this.#name,
      reason: this.#reason,
      since: this.#since,
      serverMs: this.#lastMs,
      budgetMs: this.#budgetMs,
    };
  }

  /** Runs at every so many-th tick: 1 unless it has been slowed down. */
  every(collector: string): number {
    const pace = paces[collector];
    return pace !== undefined && this.#leavesOut(pace.from) ? pace.every : 1;
  }

  /** Whether the tick that has just come to this collector is to be run. */
  isDue(collector: string): boolean {
    const tick = (this.#ticks.get(collector) ?? 0) + 1;
    this.#ticks.set(collector, tick);
    return tick % this.every(collector) === 0;
  }

  seeServer(signs: ServerSigns): void {
    this.#signs = signs;
  }

  seePressure(percent: number): void {
    this.#pressure = percent;
  }

  seeCost(ms: number): void {
    this.#roleMs = (this.#roleMs ?? 0) + ms;
  }

  /** Tells that a question timed out, or found no connection: the server is too busy for it. */
  seeFailure(reason: string): void {
    this.#failure ??= reason;
  }

  /** Tells of time that was spent under a budget of its own, and does not count here. */
  exempt(ms: number): void {
    this.#exemptMs += ms;
  }

  /** Ends a cycle: `waitedMs` is the time that its statements took as seen from here. */
  endCycle(waitedMs: number): void {
    const costMs = this.#costOf(Math.max(0, waitedMs - this.#exemptMs));
    this.#exemptMs = 0;
    const trouble = this.#trouble();
    [this.#lastMs, this.#roleMs, this.#failure] = [costMs, null, null];
    this.#sinceUp += 1;
    this.#costs = [...this.#costs, costMs].slice(-this.#cyclesJudged());
    const meanMs = this.#costs.reduce((sum, ms) => sum + ms, 0) / this.#cyclesJudged();
    const budgetMs = trouble === null ? this.#budgetMs : this.#budgetMs * limits.troubledBudgetShare;
    if (meanMs > budgetMs || (trouble !== null && this.#step === 0)) {
      const cost = meanMs > budgetMs ? `Cost of ${Math.round(meanMs)} ms a cycle` : null;
      this.#goDown([cost, trouble].filter((reason) => reason !== null).join("; "));
    } else if (trouble === null && meanMs <= this.#budgetMs * limits.calmBudgetShare) this.#beCalm();
    else this.#calmCycles = 0;
  }

  get #name(): Step {
    return steps[this.#step]!;
  }

  #leavesOut(step: Step): boolean {
    return this.#step >= steps.indexOf(step);
  }

  /** The server's figure is of what had ended when it was read: of the cycles before this one. */
  #costOf(waitedMs: number): number {
    const { cycles, waitedMs: pendingMs, isJudged } = this.#pending;
    // What fails is missing in the server's own figure.
    if (this.#roleMs === null || this.#failure !== null || cycles === 0) {
      this.#pending = { cycles: cycles + 1, waitedMs: pendingMs + waitedMs, isJudged: true };
      return waitedMs;
    }
    this.#pending = { cycles: 1, waitedMs, isJudged: false };
    const costMs = Math.min(this.#roleMs, pendingMs) / cycles;
    // Of a cycle that had its step by what was waited in it: a first one, with all to find out, is no reason for a second.
    return isJudged ? Math.min(costMs, waitedMs) : costMs;
  }

  /** A collector that runs at every fifth tick costs what it costs at one of five. */
  #cyclesJudged(): number {
    return Math.max(...Object.keys(paces).map((collector) => this.every(collector)));
  }

  #isShortOfConnections(): boolean {
    if (this.#signs === null || this.#signs.clientsMax === null) return false;
    return this.#signs.clients >= this.#signs.clientsMax * limits.connectionsShortShare;
  }

  /** What is wrong with the server, apart from what the agent does to it. */
  #trouble(): string | null {
    if (this.#failure !== null) return this.#failure;
    if (this.#isShortOfConnections()) return "Connections run short";
    const { active = 0, lockWaiters = 0 } = this.#signs ?? {};
    if (lockWaiters >= limits.lockQueueLong) return `${lockWaiters} sessions wait for locks`;
    if (active >= limits.activePerCpuMany * this.#options.cpus) return `${active} active sessions`;
    if (this.#pressure >= limits.cpuPressureHighPercent) return `CPU pressure of ${Math.round(this.#pressure)} %`;
    return null;
  }

  #goDown(reason: string): void {
    this.#calmCycles = 0;
    if (this.#step === steps.length - 1) return;
    if (this.#sinceUp <= limits.governorRelapseCycles) {
      this.#calmNeeded = Math.min(this.#calmNeeded * 2, limits.governorCalmCyclesMax);
    }
    this.#go(this.#step + 1, reason);
  }

  #beCalm(): void {
    if (this.#step === 0) {
      if (this.#sinceUp > this.#calmNeeded) this.#calmNeeded = limits.governorCalmCycles;
      return;
    }
    this.#calmCycles += 1;
    if (this.#calmCycles < this.#calmNeeded) return;
    this.#sinceUp = 0;
    this.#calmCycles = 0;
    this.#go(this.#step - 1, "The server is calm");
  }

  #go(step: number, reason: string): void {
    const isDown = step > this.#step;
    [this.#step, this.#reason, this.#costs] = [step, reason, []];
    this.#since = this.#options.clock.now();
    const fields = { step: this.#name, reason, server_ms: Math.round(this.#lastMs ?? 0), budget_ms: this.#budgetMs };
    this.#options.log[isDown ? "warning" : "info"](isDown ? "governor_stepped_down" : "governor_stepped_up", fields);
  }
}

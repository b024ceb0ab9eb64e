/**
 * What is collected, as one configuration asks for it: the collectors on their schedule, the status behind them, and
 * the server's logs. A reload replaces it as a whole; the outbox and the sender stay.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import type { Collector } from "../collectors/collector.ts";
import type { Database } from "../collectors/database.ts";
import type { LogEntry } from "../collectors/logs/entry.ts";
import * as limits from "../limits.ts";
import type { Log } from "../log.ts";
import type { CircuitStatus } from "../transport/breaker.ts";
import type { Draft } from "../transport/envelope.ts";
import type { Outbox } from "../transport/outbox.ts";
import { AgentStatusCollector } from "./agent_status.ts";
import type { BurstRun } from "./burst_run.ts";
import { CollectorRun } from "./collector_run.ts";
import type { ProcessUsage } from "./command.ts";
import type { Schedule } from "./cron.ts";
import { Governor } from "./governor.ts";
import type { LogRun } from "./log_run.ts";

/** What a configuration decides about it. */
export interface CycleParts {
  database: Database;
  collectors: Collector[];
  intervalS: number;
  /** Makes what follows the server's logs; absent when none are to be followed. */
  createLogRun?: (
    parts: { outbox: Outbox; onStored: () => void; onEntry: (entry: LogEntry) => void },
  ) => LogRun | null;
  /** The one that the collectors ask, too; absent when none of them asks the server. */
  governor?: Governor;
  /** Makes what records what a look a minute would miss; absent when nothing is to. */
  createBurst?: (before: BurstRun | null) => BurstRun;
}

/** What every configuration shares. */
export interface CycleSurroundings {
  outbox: Outbox;
  /** Stores a document; throws when it could not. */
  capture: (draft: Draft) => Promise<void>;
  /** Documents were stored by another way. */
  onStored: () => void;
  circuit: () => CircuitStatus;
  schedule: Schedule;
  usage: () => ProcessUsage;
  clock: Clock;
  log: Log;
  /** When the agent started, on the monotonic clock. */
  startedMs: number;
  /** Runs that were missed before a reload made this cycle. */
  missedBefore: number;
  /** How the cycle before a reload had ended. */
  lastBefore: CycleEnd | null;
  /** What recorded bursts before a reload; it has been stopped. */
  burstBefore: BurstRun | null;
}

/** The last time that all collectors had their turn. */
export interface CycleEnd {
  at: Date;
  /** Collectors whose run succeeded or was skipped with a reason, of `count`. */
  ok: number;
  count: number;
}

/** Collectors that run. Does not close the database. */
export class Cycle {
  readonly #parts: CycleParts;
  readonly #surroundings: CycleSurroundings;
  readonly #runs: CollectorRun[];
  readonly #logs: LogRun | null;
  readonly #burst: BurstRun | null;
  readonly #stopping = new AbortController();
  #ended: Promise<unknown> = Promise.resolve();
  #startedMs = 0;
  #last: CycleEnd | null;

  constructor(parts: CycleParts, surroundings: CycleSurroundings) {
    this.#parts = parts;
    this.#surroundings = surroundings;
    this.#last = surroundings.lastBefore;
    const { outbox, capture, onStored, clock, log } = surroundings;
    const intervalMs = parts.intervalS * 1_000;
    const governor = parts.governor ?? new Governor({ clock, log, intervalMs, cpus: 1 });
    governor.useInterval(intervalMs);
    const runOf = (collector: Collector) => new CollectorRun({ collector, capture, clock, log, intervalMs, governor });
    const runs = parts.collectors.map(runOf);
    this.#burst = parts.createBurst?.(surroundings.burstBefore) ?? null;
    const onEntry = (entry: LogEntry) => this.#burst?.seeEntry(entry);
    this.#logs = parts.createLogRun?.({ outbox, onStored, onEntry }) ?? null;
    const sources = { ...surroundings, database: parts.database, runs, logs: this.#logs, governor };
    const status = new AgentStatusCollector(sources);
    this.#runs = [...runs, runOf(status)];
  }

  get parts(): CycleParts {
    return this.#parts;
  }

  get burst(): BurstRun | null {
    return this.#burst;
  }

  /** The last cycle; null before the first has ended. */
  get last(): CycleEnd | null {
    return this.#last;
  }

  /** Runs that were due and did not take place in this process. */
  get missedRuns(): number {
    return this.#runs.reduce((total, { missedRuns }) => total + missedRuns, this.#surroundings.missedBefore);
  }

  /** Which collector's tick has not come for too long, in words; null while all come. */
  get stalled(): string | null {
    const nowMs = this.#surroundings.clock.monotonicMs();
    const boundMs = this.#parts.intervalS * 1_000 * limits.stalledIntervals;
    const late = this.#runs.find((run) => nowMs - (run.lastTickMs ?? this.#startedMs) > boundMs);
    if (late === undefined) return null;
    return `No tick of ${late.name} for ${Math.round((nowMs - (late.lastTickMs ?? this.#startedMs)) / 1_000)} s`;
  }

  /** Schedules every collector and runs each once; resolves when these first runs have ended, whatever came of them. */
  start(): Promise<void> {
    const { schedule, clock } = this.#surroundings;
    const options = { intervalS: this.#parts.intervalS, signal: this.#stopping.signal };
    this.#startedMs = clock.monotonicMs();
    const first = this.#noteEnd(Promise.all(this.#runs.map((run) => run.run())));
    // The status comes last in a cycle: it waits for the others.
    const tickOf = (run: CollectorRun) =>
      run === this.#runs.at(-1) ? () => this.#noteEnd(run.tick()) : () => run.tick();
    this.#ended = Promise.all(this.#runs.map((run) => schedule(run.name, options, tickOf(run))));
    this.#logs?.start();
    this.#burst?.start(this.#surroundings.capture);
    return first;
  }

  /** No new runs; running ones end within the grace or are cut off. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const runs = this.#runs.map((run) => run.stop(limits.stopGraceMs));
    await Promise.all([...runs, this.#logs?.stop(), this.#burst?.stop()]);
    await this.#ended;
  }

  async #noteEnd(cycle: Promise<unknown>): Promise<void> {
    await cycle;
    const ok = this.#runs.filter(({ last }) => last?.ok === true).length;
    this.#last = { at: this.#surroundings.clock.now(), ok, count: this.#runs.length };
  }
}

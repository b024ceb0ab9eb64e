/**
 * The one wrapper around every collector's run: it times, cuts off, logs, counts and hands on what was collected.
 *
 * Invariants:
 *
 * - one run of a collector at a time; a tick that finds one running is skipped and counted;
 * - a run ends by its deadline, before the next tick, whether the collector listens or not; what it brings after that
 *   is dropped;
 * - `run` never throws: a collector that does harms no other;
 * - a collector that the governor has slowed down (`governor.ts`) says so in its status at the ticks it leaves out.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import type { Collection, Collector } from "../collectors/collector.ts";
import { DatabaseError } from "../collectors/database.ts";
import * as limits from "../limits.ts";
import { errorMessage, type Log } from "../log.ts";
import type { Draft } from "../transport/envelope.ts";
import type { Governor } from "./governor.ts";

/** How a collector's last run ended, for `agent_status`. */
export interface CollectorStatus {
  name: string;
  ok: boolean;
  durationMs: number;
  rows: number;
  skipped: string | null;
  error: string | null;
  /** Runs at every so many-th tick: 1 unless it has been slowed down to spare the server. */
  every: number;
}

/** What a run leaves in its collector's status. */
interface RunEnd {
  ok: boolean;
  rows: number;
  skipped: string | null;
  error: string | null;
  /** On the monotonic clock, before what was collected is stored: that may wait for the other collectors of a tick. */
  endedMs: number;
}

export interface CollectorRunOptions {
  collector: Collector;
  /** Stores a document; throws when it could not. */
  capture: (draft: Draft) => Promise<void>;
  clock: Clock;
  log: Log;
  intervalMs: number;
  /** Says which ticks are run; without one all are. */
  governor?: Governor;
}

/** Runs one collector, again and again. */
export class CollectorRun {
  readonly #options: CollectorRunOptions;
  #running: { promise: Promise<void>; controller: AbortController; standsForTick: boolean } | null = null;
  #lastTick: { slot: number; monotonicMs: number } | null = null;
  #missedRuns = 0;
  #last: CollectorStatus | null = null;

  constructor(options: CollectorRunOptions) {
    this.#options = options;
  }

  get name(): string {
    return this.#options.collector.name;
  }

  /** Runs that were due and did not take place, or were cut off, since the start. */
  get missedRuns(): number {
    return this.#missedRuns;
  }

  /** When the last tick came, on the monotonic clock; null before the first has. */
  get lastTickMs(): number | null {
    return this.#lastTick?.monotonicMs ?? null;
  }

  /** How the last run ended; null before the first has. */
  get last(): CollectorStatus | null {
    return this.#last;
  }

  /** Resolves when no run is under way. */
  get settled(): Promise<void> {
    return this.#running?.promise ?? Promise.resolve();
  }

  get #every(): number {
    return this.#options.governor?.every(this.name) ?? 1;
  }

  /** One run, due now. */
  async tick(): Promise<void> {
    this.#countMissedTicks();
    if (this.#running !== null && !this.#running.standsForTick) {
      // A run beside the schedule that has just begun does what this tick would: it is the tick's from here on.
      this.#running.standsForTick = true;
      return;
    }
    if (this.#options.governor?.isDue(this.name) ?? true) return await this.#start({ standsForTick: true });
    const every = this.#every;
    const skipped = `Slowed down: runs at one tick of ${every}, to spare the server`;
    this.#last = { name: this.name, ok: true, durationMs: 0, rows: 0, skipped, error: null, every };
  }

  /** One run beside the schedule, such as the first. */
  run(): Promise<void> {
    return this.#start({ standsForTick: false });
  }

  async #start({ standsForTick }: { standsForTick: boolean }): Promise<void> {
    if (this.#running !== null) {
      this.#miss("The previous run is still going");
      return;
    }
    const controller = new AbortController();
    const promise = this.#run(controller);
    this.#running = { promise, controller, standsForTick };
    await promise;
    this.#running = null;
  }

  /** Lets a run under way end within `graceMs`, then cuts it off. */
  async stop(graceMs: number): Promise<void> {
    if (this.#running === null) return;
    const { promise, controller } = this.#running;
    const done = new AbortController();
    await Promise.race([promise, this.#options.clock.sleep(graceMs, done.signal)]);
    done.abort();
    controller.abort(new Error("Cut off because the agent stops"));
    await promise;
  }

  async #run(controller: AbortController): Promise<void> {
    const { clock } = this.#options;
    const startedMs = clock.monotonicMs();
    const done = new AbortController();
    const deadlineMs = this.#msToDeadline();
    void clock.sleep(deadlineMs, done.signal).then(() => {
      if (!done.signal.aborted) controller.abort(new Error(`Cut off after ${deadlineMs} ms, before the next run`));
    });
    let end: RunEnd;
    try {
      end = await this.#collect(controller.signal);
    } catch (error) {
      end = { ok: false, rows: 0, skipped: null, error: errorMessage(error), endedMs: clock.monotonicMs() };
      if (controller.signal.aborted) this.#miss(end.error ?? "");
      else this.#logFailure(error);
      if (controller.signal.aborted || isTrouble(error)) {
        this.#options.governor?.seeFailure(troubleOf(this.name, error));
      }
    } finally {
      // With a reason: without one an error is made of it, with a stack, in every run.
      done.abort(null);
    }
    const { ok, rows, skipped, error, endedMs } = end;
    const durationMs = Math.round(endedMs - startedMs);
    this.#finish({ name: this.name, ok, durationMs, rows, skipped, error, every: this.#every });
  }

  async #collect(signal: AbortSignal): Promise<RunEnd> {
    const { collector, capture, clock } = this.#options;
    const timestamp = clock.now();
    const collection = await unlessAborted(collector.collect({ timestamp, signal }), signal);
    const endedMs = clock.monotonicMs();
    if (collection.kind === "skipped") {
      return { ok: true, rows: 0, skipped: collection.reason, error: null, endedMs };
    }
    const { data, tells } = collection;
    await capture({ type: collector.name, timestamp, data, ...(tells === undefined ? {} : { tells }) });
    collection.stored?.();
    return { ok: true, rows: collection.rows, skipped: null, error: null, endedMs };
  }

  #finish(status: CollectorStatus): void {
    const { log } = this.#options;
    const fields = { collector: status.name, duration_ms: status.durationMs };
    if (status.skipped !== null && status.skipped !== this.#last?.skipped) {
      log.info("collection_skipped", { ...fields, reason: status.skipped });
    }
    if (status.ok && status.skipped === null) log.info("collection_complete", { ...fields, rows: status.rows });
    this.#last = status;
  }

  /** The database says once that it is away; every collector repeating it each minute would say nothing more. */
  #logFailure(error: unknown): void {
    const said = error instanceof DatabaseError && ["unreachable", "refused", "full"].includes(error.kind);
    this.#options.log[said ? "debug" : "warning"]("collection_failed", {
      collector: this.name,
      error: errorMessage(error),
    });
  }

  #miss(reason: string): void {
    this.#missedRuns += 1;
    this.#options.log.warning("collection_missed", { collector: this.name, reason });
  }

  /**
   * Ticks that never came, because the process stood still. A clock that was set is not counted as ticks: the shorter
   * of the two clocks' answers is taken.
   */
  #countMissedTicks(): void {
    const { clock, intervalMs } = this.#options;
    // A tick that comes late, after a standstill, is still that of the interval it comes in.
    const slot = Math.floor((clock.now().getTime() + limits.tickEarlyMs) / intervalMs);
    const tick = { slot, monotonicMs: clock.monotonicMs() };
    const last = this.#lastTick;
    this.#lastTick = tick;
    if (last === null) return;
    const byWallClock = tick.slot - last.slot - 1;
    const byMonotonicClock = Math.round((tick.monotonicMs - last.monotonicMs) / intervalMs) - 1;
    for (let missed = Math.min(byWallClock, byMonotonicClock); missed > 0; missed--) {
      this.#miss("The tick did not come");
    }
  }

  /** Until shortly before the next tick; right before one, until shortly before the one after. */
  #msToDeadline(): number {
    const { clock, intervalMs } = this.#options;
    const toNextTickMs = intervalMs - clock.now().getTime() % intervalMs;
    const ms = toNextTickMs - limits.deadlineMarginMs;
    return ms >= limits.deadlineMinMs ? ms : ms + intervalMs;
  }
}

/** Whether the server is too busy, or too short of connections, for this collector. */
function isTrouble(error: unknown): boolean {
  return error instanceof DatabaseError && (error.kind === "timeout" || error.kind === "full");
}

function troubleOf(collector: string, error: unknown): string {
  const kind = error instanceof DatabaseError ? error.kind : "timeout";
  return kind === "full" ? `${collector} found no connection` : `${collector} timed out`;
}

/** The promise's result, or the signal's reason, whichever comes first. */
function unlessAborted(promise: Promise<Collection>, signal: AbortSignal): Promise<Collection> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  return Promise.race([promise, aborted.promise]).finally(() => signal.removeEventListener("abort", abort));
}

/**
 * The burst recorder: looks at the server every few seconds, and when something happens that a look a minute would miss,
 * records it, a sample a second for a minute at most, in one document.
 *
 * Invariants:
 *
 * - nothing is asked while the governor does not allow it;
 * - a recording has a budget of its own: samples that cost more come further apart;
 * - one recording at a time, and a rest after each, also over a reload; its document is bounded in bytes;
 * - the time before is known from the last probes, which are kept in memory only.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import type { BurstSample, BurstSampler, Probe } from "../collectors/burst.ts";
import { DatabaseError } from "../collectors/database.ts";
import type { LogEntry } from "../collectors/logs/entry.ts";
import * as limits from "../limits.ts";
import { errorMessage, type Log } from "../log.ts";
import type { Draft } from "../transport/envelope.ts";
import { BurstTriggers, type Trigger } from "./burst_triggers.ts";
import type { Governor } from "./governor.ts";

export interface BurstRunOptions {
  sampler: Pick<BurstSampler, "probe" | "sample" | "waitedMs">;
  governor: Governor;
  clock: Clock;
  log: Log;
  cpus: number;
  /** The one before a reload: its rest goes on. It has been stopped. */
  before?: BurstRun | null;
}

/** How severe an entry has to be to count. */
const errorLevels: ReadonlySet<string> = new Set(["ERROR", "FATAL", "PANIC"]);

/** Watches and records. */
export class BurstRun {
  readonly #options: BurstRunOptions;
  readonly #triggers: BurstTriggers;
  readonly #stopping = new AbortController();
  /** The last probes, the oldest first. */
  #ring: Probe[] = [];
  /** When errors were logged, on the wall clock, the oldest first. */
  #errorsMs: number[] = [];
  #restsUntilMs: number;
  #running: Promise<void> | null = null;

  constructor(options: BurstRunOptions) {
    const { before = null, ...own } = options;
    this.#options = own;
    this.#triggers = before === null ? new BurstTriggers(options.cpus) : before.#triggers;
    this.#restsUntilMs = before === null ? Number.NEGATIVE_INFINITY : before.#restsUntilMs;
  }

  /** Watches until it is stopped; `capture` stores a document and may throw when it cannot. */
  start(capture: (draft: Draft) => Promise<void>): void {
    this.#running ??= this.#watch(capture);
  }

  /** Ends a recording under way; what it has is delivered. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Told of every entry of the server's log. */
  seeEntry({ level, timestamp }: Pick<LogEntry, "level" | "timestamp">): void {
    if (!errorLevels.has(level) || timestamp === null) return;
    this.#errorsMs.push(Date.parse(timestamp));
    if (this.#errorsMs.length > limits.burstErrors) this.#errorsMs.shift();
  }

  async #watch(capture: (draft: Draft) => Promise<void>): Promise<void> {
    const { clock, governor } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await clock.sleep(limits.burstProbeMs, signal);
      if (signal.aborted) return;
      if (!governor.allowsBurst) {
        this.#ring = [];
        continue;
      }
      const trigger = await this.#look();
      if (trigger !== null && clock.monotonicMs() >= this.#restsUntilMs) await this.#record(trigger, capture);
    }
  }

  /** One probe; null also when the server does not answer, which others say. */
  async #look(): Promise<Trigger | null> {
    const probe = await this.#ask((context) => this.#options.sampler.probe(context));
    if (probe === null) return null;
    const trigger = this.#triggers.judge(probe, this.#ring, this.#recentErrors());
    this.#ring = [...this.#ring, probe].slice(-limits.burstRingProbes);
    return trigger;
  }

  async #record(trigger: Trigger, capture: (draft: Draft) => Promise<void>): Promise<void> {
    const { clock, log } = this.#options;
    this.#triggers.rest(trigger);
    const timestamp = clock.now();
    const before = this.#ring.slice(0, -1);
    log.info("burst_recording_begins", { ...trigger });
    const recording = await this.#sample(trigger);
    const { samples, serverMs, truncated } = recording;
    this.#restsUntilMs = clock.monotonicMs() + limits.burstRestMs;
    this.#ring = [];
    const ended_at = clock.now().toISOString();
    const data = {
      trigger,
      started_at: timestamp.toISOString(),
      ended_at,
      before,
      ...{ samples, count: samples.length, truncated },
      server_ms: Math.round(serverMs * 1_000) / 1_000,
    };
    try {
      await capture({ type: "pg_burst", timestamp, data });
      log.info("burst_recorded", { kind: trigger.kind, samples: samples.length, server_ms: data.server_ms });
    } catch {
      // Whoever stores has said why.
    }
  }

  /** Samples until the time is over, what fired has been gone for a while, or there is no room for more. */
  async #sample(trigger: Trigger): Promise<{ samples: BurstSample[]; serverMs: number; truncated: boolean }> {
    const { clock, governor, sampler } = this.#options;
    const { signal } = this.#stopping;
    const endMs = clock.monotonicMs() + limits.burstMs;
    const samples: BurstSample[] = [];
    let [serverMs, bytes, calmSinceMs] = [0, 0, Infinity];
    while (!signal.aborted && clock.monotonicMs() < endMs) {
      const startMs = clock.monotonicMs();
      const waitedBeforeMs = sampler.waitedMs;
      const sample = await this.#ask((context) => this.#options.sampler.sample(context));
      const tookMs = clock.monotonicMs() - startMs;
      // What a collector asked meanwhile counts here: a few milliseconds, once a minute.
      const waitedMs = sampler.waitedMs - waitedBeforeMs;
      serverMs += waitedMs;
      governor.exempt(waitedMs);
      if (sample !== null) {
        bytes += new TextEncoder().encode(JSON.stringify(sample)).length;
        if (bytes > limits.burstBytesMax) return { samples, serverMs, truncated: true };
        samples.push(sample);
        const isCalm = this.#valueOf(trigger, sample) < trigger.threshold;
        calmSinceMs = isCalm ? Math.min(calmSinceMs, startMs) : Infinity;
        if (startMs - calmSinceMs >= limits.burstCalmMs) break;
      }
      await clock.sleep(Math.max(limits.burstSampleMs - tookMs, tookMs * limits.burstPauseFactor), signal);
    }
    return { samples, serverMs, truncated: false };
  }

  #valueOf({ kind }: Trigger, sample: BurstSample): number {
    if (kind === "lock_queue") return sample.lock_waiters;
    return kind === "active_sessions" ? sample.active : this.#recentErrors();
  }

  /** What is of a later time is of a clock that was set back, or of a zone that was mistaken: it says nothing of now. */
  #recentErrors(): number {
    const nowMs = this.#options.clock.now().getTime();
    return this.#errorsMs.filter((atMs) => atMs >= nowMs - limits.burstErrorsWithinMs && atMs <= nowMs).length;
  }

  async #ask<T>(read: (context: { timestamp: Date; signal: AbortSignal }) => Promise<T>): Promise<T | null> {
    const { clock, log } = this.#options;
    try {
      return await read({ timestamp: clock.now(), signal: this.#stopping.signal });
    } catch (error) {
      if (!(error instanceof DatabaseError)) log.warning("burst_read_failed", { error: errorMessage(error) });
      return null;
    }
  }
}

/**
 * The agent as a whole: collectors on their schedule, the outbox behind them, the drain behind that. Opened and
 * closed in one place.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import type { Database } from "../collectors/database.ts";
import type { Collector } from "../collectors/collector.ts";
import * as limits from "../limits.ts";
import { errorMessage, type Log } from "../log.ts";
import type { Delivery } from "../transport/delivery.ts";
import type { Draft } from "../transport/envelope.ts";
import type { Outbox } from "../transport/outbox.ts";
import type { PaceOptions } from "../transport/pace.ts";
import { Sender } from "../transport/sender.ts";
import { AgentStatusCollector, type ProcessUsage } from "./agent_status.ts";
import { CollectorRun } from "./collector_run.ts";
import type { Schedule } from "./cron.ts";
import type { LogRun } from "./log_run.ts";

/** What an agent is made of. It closes the outbox, the delivery and the database when it stops. */
export interface AgentParts {
  outbox: Outbox;
  delivery: Delivery;
  database: Database;
  collectors: Collector[];
  schedule: Schedule;
  intervalS: number;
  clock: Clock;
  random: () => number;
  usage: () => ProcessUsage;
  log: Log;
  /** Faster in tests. */
  pace?: Partial<PaceOptions>;
  /** Makes what follows the server's logs; absent when none are to be followed. */
  createLogRun?: (parts: { outbox: Outbox; onStored: () => void }) => LogRun | null;
}

/** A running agent. */
export class Agent {
  readonly #parts: AgentParts;
  readonly #sender: Sender;
  readonly #runs: CollectorRun[];
  readonly #logs: LogRun | null;
  readonly #stopping = new AbortController();
  #ended: Promise<unknown> = Promise.resolve();

  constructor(parts: AgentParts) {
    this.#parts = parts;
    const { outbox, delivery, clock, log, random } = parts;
    const breaker = {
      failuresMax: limits.circuitFailuresMax,
      cooldownMs: limits.circuitCooldownMs,
      backoffFirstMs: limits.backoffFirstMs,
      backoffMaxMs: limits.backoffMaxMs,
      random,
    };
    const pace = {
      documentsPerS: limits.backlogDocumentsPerS,
      bytesPerS: limits.backlogBytesPerS,
      startDelayMaxMs: limits.backlogDelayMaxMs,
      random,
      ...parts.pace,
    };
    this.#sender = new Sender({ outbox, delivery, clock, log, breaker, pace });
    const capture = (draft: Draft) => this.#capture(draft);
    const intervalMs = parts.intervalS * 1_000;
    const runOf = (collector: Collector) => new CollectorRun({ collector, capture, clock, log, intervalMs });
    const runs = parts.collectors.map(runOf);
    this.#logs = parts.createLogRun?.({ outbox, onStored: () => this.#sender.wake() }) ?? null;
    const circuit = () => this.#sender.status();
    const status = new AgentStatusCollector({ ...parts, circuit, runs, logs: this.#logs });
    this.#runs = [...runs, runOf(status)];
  }

  /** Schedules every collector, runs each once, and drains what an earlier process left. */
  start(): void {
    const { schedule, intervalS, outbox } = this.#parts;
    const { signal } = this.#stopping;
    const listening = outbox.listen(() => this.#sender.wake());
    const schedules = this.#runs.map((run) => schedule(run.name, { intervalS, signal }, () => run.tick()));
    this.#ended = Promise.all([listening, ...schedules]);
    this.#sender.wake();
    for (const run of this.#runs) void run.run();
    this.#logs?.start();
  }

  /** Stops cleanly: no new runs, running ones end or are cut off, what was collected stays stored. */
  async stop(): Promise<void> {
    const { outbox, delivery, database, clock } = this.#parts;
    this.#stopping.abort();
    await Promise.all([...this.#runs.map((run) => run.stop(limits.stopGraceMs)), this.#logs?.stop()]);
    await this.#sender.stop(limits.sendGraceMs);
    await outbox.close();
    delivery.close();
    const closed = new AbortController();
    await Promise.race([
      database.close().finally(() => closed.abort()),
      clock.sleep(limits.closeGraceMs, closed.signal),
    ]);
    await this.#ended;
  }

  /** Stores a document and says what had to go for it. Throws when it could not be stored. */
  async #capture(draft: Draft): Promise<void> {
    const { outbox, log } = this.#parts;
    try {
      const put = await outbox.put(draft);
      // The queue says the same a little later; a wake-up too many costs nothing.
      this.#sender.wake();
      if (put.kind === "too_large") {
        log.error("document_too_large", { type: draft.type, sequence: put.sequence, bytes: put.bytes });
        return;
      }
      log.debug("document_stored", { type: draft.type, sequence: put.sequence, bytes: put.bytes });
      if (put.evicted.records === 0) return;
      log.error("buffer_eviction_complete", { evicted_count: put.evicted.records, evicted_bytes: put.evicted.bytes });
    } catch (error) {
      log.error("document_not_stored", { type: draft.type, error: errorMessage(error) });
      throw error;
    }
  }
}

/**
 * The agent as a whole: what is collected, the outbox behind it, the drain behind that. Opened and closed in one place.
 *
 * @module
 */

import * as limits from "../limits.ts";
import { errorMessage, type Log } from "../log.ts";
import type { Clock } from "../clock.ts";
import type { Database } from "../collectors/database.ts";
import type { BreakerOptions, CircuitStatus } from "../transport/breaker.ts";
import type { Delivery } from "../transport/delivery.ts";
import type { Draft } from "../transport/envelope.ts";
import type { Outbox } from "../transport/outbox.ts";
import type { PaceOptions } from "../transport/pace.ts";
import { Sender } from "../transport/sender.ts";
import { SwitchedDelivery } from "../transport/switched_delivery.ts";
import type { ProcessUsage } from "./command.ts";
import type { Schedule } from "./cron.ts";
import { Cycle, type CycleEnd, type CycleParts } from "./cycle.ts";
import { logPut } from "./put_log.ts";

/** What an agent is made of. It closes the outbox, the delivery and the database when it stops. */
export interface AgentParts extends CycleParts {
  outbox: Outbox;
  delivery: Delivery;
  schedule: Schedule;
  clock: Clock;
  random: () => number;
  usage: () => ProcessUsage;
  log: Log;
  /** Aborted when `stop` is about to be called: what a reload begins from then on, a stop would have to wait for. */
  stopping?: AbortSignal;
  /** Faster in tests, as are the documents. */
  pace?: Partial<PaceOptions>;
  breaker?: Partial<BreakerOptions>;
}

/** What a reload replaces; what is absent stays. */
export interface AgentChange {
  delivery?: Delivery;
  /** The buffer's new cap. */
  maxBytes?: number;
  cycle?: CycleParts;
}

/** How the agent is, for whoever watches over it. */
export interface AgentHealth {
  /** Null before the first has ended. */
  cycle: CycleEnd | null;
  buffered: { records: number; bytes: number };
  circuit: CircuitStatus;
  /** What has stood still for too long, in words; null while all goes on. */
  stalled: string | null;
}

/** A running agent. */
export class Agent {
  readonly #parts: AgentParts;
  readonly #sender: Sender;
  readonly #delivery: SwitchedDelivery;
  readonly #startedMs: number;
  #cycle: Cycle;
  #listening: Promise<void> = Promise.resolve();

  constructor(parts: AgentParts) {
    this.#parts = parts;
    const { outbox, clock, log, random } = parts;
    const breaker = {
      failuresMax: limits.circuitFailuresMax,
      cooldownMs: limits.circuitCooldownMs,
      backoffFirstMs: limits.backoffFirstMs,
      backoffMaxMs: limits.backoffMaxMs,
      random,
      ...parts.breaker,
    };
    const pace = {
      documentsPerS: limits.backlogDocumentsPerS,
      bytesPerS: limits.backlogBytesPerS,
      startDelayMaxMs: limits.backlogDelayMaxMs,
      random,
      ...parts.pace,
    };
    this.#delivery = new SwitchedDelivery(parts.delivery, clock);
    this.#sender = new Sender({ outbox, delivery: this.#delivery, clock, log, breaker, pace });
    this.#startedMs = clock.monotonicMs();
    this.#cycle = this.#createCycle(parts, null);
  }

  get health(): AgentHealth {
    const { isReadable, records, bytes } = this.#parts.outbox.status();
    // A buffer that cannot be read is tried again by itself; a restart would only lose what is in memory meanwhile.
    const stalled = this.#cycle.stalled ?? this.#delivery.stalled(isReadable && records > 0);
    return { cycle: this.#cycle.last, buffered: { records, bytes }, circuit: this.#sender.status(), stalled };
  }

  /**
   * Schedules every collector, runs each once, and drains what an earlier process left. Resolves when these first runs
   * have ended, whatever came of them.
   */
  start(): Promise<void> {
    this.#listening = this.#parts.outbox.listen(() => this.#sender.wake());
    this.#sender.wake();
    return this.#cycle.start();
  }

  /** Takes over what a new configuration asks for. Documents that wait, and one under way, go on. */
  async reload(change: AgentChange): Promise<void> {
    if (change.maxBytes !== undefined) this.#parts.outbox.resize(change.maxBytes);
    if (change.delivery !== undefined) {
      this.#delivery.switchTo(change.delivery);
      this.#sender.retryNow();
    }
    if (change.cycle === undefined) return;
    await this.#cycle.stop();
    const { database } = this.#cycle.parts;
    if (change.cycle.database !== database) await this.#closeDatabase(database);
    this.#cycle = this.#createCycle(change.cycle, this.#cycle);
    // Its first runs would take their grace of a stop that has waited for those of before.
    if (this.#parts.stopping?.aborted !== true) void this.#cycle.start();
  }

  /** Stops cleanly: no new runs, running ones end or are cut off, what was collected stays stored. */
  async stop(): Promise<void> {
    await this.#cycle.stop();
    await this.#sender.stop(limits.sendGraceMs);
    await this.#parts.outbox.close();
    this.#delivery.close();
    await this.#closeDatabase(this.#cycle.parts.database);
    await this.#listening;
  }

  #createCycle(parts: CycleParts, before: Cycle | null): Cycle {
    const { outbox, schedule, usage, clock, log } = this.#parts;
    return new Cycle(parts, {
      ...{ outbox, schedule, usage, clock, log },
      missedBefore: before?.missedRuns ?? 0,
      lastBefore: before?.last ?? null,
      burstBefore: before?.burst ?? null,
      capture: (draft) => this.#capture(draft),
      onStored: () => this.#sender.wake(),
      circuit: () => this.#sender.status(),
      startedMs: this.#startedMs,
    });
  }

  async #closeDatabase(database: Database): Promise<void> {
    const closed = new AbortController();
    await Promise.race([
      database.close().finally(() => closed.abort()),
      this.#parts.clock.sleep(limits.closeGraceMs, closed.signal),
    ]);
  }

  /** Stores a document and says what had to go for it. Throws when it could not be stored. */
  async #capture(draft: Draft): Promise<void> {
    const { outbox, log } = this.#parts;
    try {
      const put = await outbox.put(draft);
      // The queue says the same a little later; a wake-up too many costs nothing.
      this.#sender.wake();
      logPut(put, { type: draft.type }, log);
    } catch (error) {
      log.error("document_not_stored", { type: draft.type, error: errorMessage(error) });
      throw error;
    }
  }
}

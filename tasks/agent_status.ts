/**
 * The agent about itself, as a collector of its own: what it holds, what it lost, how its parts are.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import type { CollectContext, Collection, Collector } from "../collectors/collector.ts";
import type { Database } from "../collectors/database.ts";
import type { LogProgress } from "../collectors/logs/log_follower.ts";
import * as limits from "../limits.ts";
import type { CircuitStatus } from "../transport/breaker.ts";
import type { LossRange } from "../transport/loss_ledger.ts";
import type { Outbox, OutboxLoss, OutboxStatus } from "../transport/outbox.ts";
import type { CollectorStatus } from "./collector_run.ts";
import type { ProcessUsage } from "./command.ts";
import type { Governor } from "./governor.ts";

/** What is reported of a collector. */
export interface ReportedRun {
  readonly last: CollectorStatus | null;
  readonly missedRuns: number;
  /** Resolves when no run is under way. */
  readonly settled: Promise<void>;
}

/** What is reported on. */
export interface AgentStatusSources {
  outbox: Outbox;
  database: Database;
  circuit: () => CircuitStatus;
  /** The other collectors' runs. */
  runs: readonly ReportedRun[];
  usage: () => ProcessUsage;
  governor: Governor;
  /** What follows the server's logs; null when none are followed. */
  logs: { readonly progress: readonly LogProgress[]; readonly bytesSkipped: number; readonly tailsLost: number } | null;
  clock: Clock;
  /** When the agent started, on the monotonic clock. */
  startedMs: number;
  /** Runs that were missed before `runs` were made. */
  missedBefore: number;
}

/** Reports on the agent. Runs after the others of its cycle, so that a document tells of one cycle. */
export class AgentStatusCollector implements Collector {
  readonly name = "agent_status";
  readonly #sources: AgentStatusSources;
  /** What the server had spent on the agent at the status before: a reload goes on with the same database. */
  #databaseMs: number;

  constructor(sources: AgentStatusSources) {
    this.#sources = sources;
    this.#databaseMs = sources.database.status().timeMs;
  }

  async collect({ signal }: CollectContext): Promise<Collection> {
    const { clock, usage, circuit, startedMs } = this.#sources;
    await this.#waitForOthers(signal);
    const { state, consecutiveFailures } = circuit();
    const { rssBytes, cpuS } = usage();
    const database = this.#database();
    this.#sources.governor.endCycle(database.time_ms);
    // Asked before the figures are read: these, the losses and their mark must be of one moment.
    const oldestAt = await this.#sources.outbox.oldestAt();
    const status = this.#sources.outbox.status();
    const data = {
      uptime_s: Math.round((clock.monotonicMs() - startedMs) / 1_000),
      buffer: bufferOf(status, oldestAt),
      loss: this.#loss(status.loss),
      circuit: { state, consecutive_failures: consecutiveFailures },
      collectors: this.#collectors(),
      database,
      governor: this.#governor(),
      logs: this.#sources.logs?.progress ?? [],
      process: { rss_bytes: rssBytes, cpu_s: cpuS },
    };
    return { kind: "samples", data, rows: 1, tells: status.loss.untold.mark };
  }

  async #waitForOthers(signal: AbortSignal): Promise<void> {
    const { clock, runs } = this.#sources;
    await clock.sleep(limits.statusDelayMs, signal);
    const done = new AbortController();
    const patience = clock.sleep(limits.statusWaitMs, AbortSignal.any([done.signal, signal]));
    await Promise.race([Promise.all(runs.map((run) => run.settled)), patience]);
    // With a reason: without one an error is made of it, with a stack.
    done.abort(null);
  }

  #loss(loss: OutboxLoss): Record<string, unknown> {
    return {
      evicted_records: loss.evictedRecords,
      evicted_bytes: loss.evictedBytes,
      rejected_records: loss.rejectedRecords,
      quarantined_records: loss.quarantinedRecords,
      quarantined_files: loss.quarantinedFiles,
      unstored_records: loss.unstoredRecords,
      ranges: loss.untold.ranges.map(reportedRange),
      log_bytes_skipped: this.#sources.logs?.bytesSkipped ?? 0,
      log_tails_lost: this.#sources.logs?.tailsLost ?? 0,
      missed_runs: this.#sources.runs.reduce(
        (total, { missedRuns }) => total + missedRuns,
        this.#sources.missedBefore,
      ),
    };
  }

  #collectors(): Record<string, unknown>[] {
    return this.#sources.runs.flatMap(({ last }) => {
      if (last === null) return [];
      const { name, ok, durationMs, rows, skipped, error, every } = last;
      return [{ name, ok, duration_ms: durationMs, rows, skipped, error, every }];
    });
  }

  #governor(): Record<string, unknown> {
    const { step, reason, since, serverMs, budgetMs } = this.#sources.governor.status;
    const rounded = serverMs === null ? null : Math.round(serverMs * 1_000) / 1_000;
    return { step, reason, since: since.toISOString(), server_ms: rounded, budget_ms: budgetMs };
  }

  /** `time_ms` is what the agent cost the server since the status before. */
  #database() {
    const { reachable, serverVersion, connections, timeMs } = this.#sources.database.status();
    const sinceLastMs = timeMs - this.#databaseMs;
    this.#databaseMs = timeMs;
    return { reachable, server_version: serverVersion, connections, time_ms: Math.round(sinceLastMs * 1_000) / 1_000 };
  }
}

/** The figures add up: docs/documents/agent_status.md. */
function bufferOf(status: OutboxStatus, oldestAt: string | null): Record<string, unknown> {
  const { records, bytes, maxBytes, nextSequence, deliveredRecords } = status;
  return {
    records,
    bytes,
    max_bytes: maxBytes,
    oldest_at: oldestAt,
    captured_records: nextSequence - 1,
    delivered_records: deliveredRecords,
  };
}

function reportedRange(range: LossRange): Record<string, unknown> {
  const { reason, from, to, records, bytes, types, firstAt, lastAt } = range;
  return { reason, from, to, records, bytes, types, first_at: firstAt, last_at: lastAt };
}

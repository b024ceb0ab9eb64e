/**
 * A closer look at a server than once a minute: a probe that only counts, cheap enough for every few seconds, and a sample
 * of sessions and locks for the short time in which something happens. When to look is `tasks/burst_run.ts`'s to say.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import type { Log } from "../log.ts";
import { ActivityCollector } from "./activity.ts";
import type { CollectContext, Collection } from "./collector.ts";
import type { Database } from "./database.ts";
import { LocksCollector } from "./locks.ts";
import type { QueryText } from "./query_text.ts";
import { readCount } from "./row.ts";
import { Sessions } from "./sessions.ts";
import { truncate } from "./text.ts";

/** Counts only, from the function under pg_stat_activity: nothing is joined, no text is sent. */
const probeSql = `/* bitville-monitor: burst probe */
select coalesce(sum(backends) filter (where state = 'active' and wait is distinct from 'Lock'), 0)::integer as active,
  coalesce(sum(backends) filter (where wait = 'Lock'), 0)::integer as lock_waiters,
  coalesce(json_object_agg(coalesce(wait, 'none'), backends) filter (where state = 'active'), '{}') as waits
from (
  select state, wait_event_type as wait, count(*) as backends
  from pg_catalog.pg_stat_get_activity(null) where pid <> pg_catalog.pg_backend_pid() group by 1, 2
) as states`;

/** What one probe counted. */
export interface Probe {
  /** ISO 8601. */
  at: string;
  /** Sessions that run a statement and do not wait for a lock. */
  active: number;
  lock_waiters: number;
  /** Those that run a statement, by what they wait for: a `wait_event_type`, or `none`. */
  waits: Record<string, number>;
}

/** A moment of a burst (docs/documents/pg_burst.md). */
export interface BurstSample extends Record<string, unknown> {
  at: string;
  active: number;
  lock_waiters: number;
}

/** The sessions' columns that a sample has. */
const sessionColumns = [
  ...["pid", "datname", "usename", "application_name", "correlation_id", "state", "wait_event_type", "wait_event"],
  ...["query_ms", "xact_ms", "query_id"],
];

/** Reads probes and samples. */
export class BurstSampler {
  readonly #database: Database;
  readonly #activity: ActivityCollector;
  readonly #locks: LocksCollector;

  constructor(
    options: { database: Database; log: Log; clock: Pick<Clock, "monotonicMs">; queryText: QueryText },
  ) {
    const sessions = new Sessions({ ...options, sessionsMax: limits.burstSessionsMax });
    this.#database = options.database;
    this.#activity = new ActivityCollector({ ...options, sessions });
    this.#locks = new LocksCollector({ ...options, waiters: sessions });
  }

  /** Time spent waiting for the database's answers since the start, by everybody, in milliseconds. */
  get waitedMs(): number {
    return this.#database.status().timeMs;
  }

  /** Throws `DatabaseError`. */
  async probe({ timestamp, signal }: CollectContext): Promise<Probe> {
    const [row = {}] = await this.#database.query({ text: probeSql }, signal);
    const { waits } = row;
    if (typeof waits !== "object") throw new TypeError('Cannot read column "waits" because it must be an object');
    return {
      at: timestamp.toISOString(),
      active: readCount(row, "active"),
      lock_waiters: readCount(row, "lock_waiters"),
      waits: waits as Record<string, number>,
    };
  }

  /** Throws `DatabaseError`. */
  async sample(context: CollectContext): Promise<BurstSample> {
    const activity = dataOf(await this.#activity.collect(context));
    const locks = dataOf(await this.#locks.collect(context));
    const states = activity.by_state as Record<string, number>;
    const roots = locks.roots as Record<string, unknown>[];
    const waiting = locks.waiting as number;
    return {
      at: context.timestamp.toISOString(),
      active: Math.max(0, (states.active ?? 0) - waiting),
      lock_waiters: waiting,
      by_state: states,
      sessions: (activity.sessions as Record<string, unknown>[]).map(toSession),
      roots: roots.slice(0, limits.burstRootsMax),
    };
  }
}

function dataOf(collection: Collection): Record<string, unknown> {
  return collection.kind === "samples" ? collection.data : {};
}

function toSession(session: Record<string, unknown>): Record<string, unknown> {
  const { query } = session;
  const short = typeof query === "string" ? truncate(query, limits.burstQueryCharsMax) : null;
  return { ...Object.fromEntries(sessionColumns.map((column) => [column, session[column] ?? null])), query: short };
}

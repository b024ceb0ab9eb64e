/**
 * The one read of `pg_stat_activity` in a cycle: sessions, totals, and who waits for a lock, for all collectors that want
 * to know.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import type { CollectContext } from "./collector.ts";
import type { Database, Row, Server } from "./database.ts";
import { type Restraint, type ServerSigns, unrestrained } from "./restraint.ts";
import { readNumber, readText } from "./row.ts";

const columnsSql = `/* bitville-monitor: pg_stat_activity columns */
select attname::text as name from pg_catalog.pg_attribute
where attrelid = 'pg_catalog.pg_stat_activity'::regclass and attnum > 0 and not attisdropped`;

/**
 * One read of the view for sessions and totals alike. Rows of the view are read in autocommit, so they are of now. The
 * agent's own sessions are told by name (a pooler may append ` - host:port`) and role together: another role cannot hide
 * behind the name. Totals come with the first row, and alone when no session is to be shown.
 */
function activitySql(columns: ReadonlySet<string>, sessionsMax: number): string {
  const leaderPid = columns.has("leader_pid") ? "leader_pid" : "null::integer";
  const queryId = columns.has("query_id") ? "query_id" : "null::bigint";
  return `/* bitville-monitor: pg_stat_activity */
with clock as materialized (
  select pg_catalog.clock_timestamp() as now
), activity as materialized (
  select pid, datname, usename, application_name, client_addr, backend_start, xact_start, query_start, state_change,
    state, wait_event_type, wait_event, backend_type, ${leaderPid} as leader_pid, ${queryId} as query_id,
    left(query, ${
    limits.sessionQueryCharsMax + 1
  }) as query, backend_xmin, state is null and query = '<insufficient privilege>' as hidden
  from pg_catalog.pg_stat_activity
  where not (application_name ~ '^bitville-monitor( - |$)' and usename is not distinct from session_user)
), totals as (
  select sum(backends)::integer as total_backends, json_object_agg(state, backends) as by_state,
    (select array_agg(pid order by state_change, pid) from activity where wait_event_type = 'Lock') as lock_waiters
  from (
    select case when hidden then 'insufficient_privilege' else coalesce(state, 'none') end as state,
      count(*) as backends
    from activity group by 1
  ) states
), sessions as (
  select row_number() over (order by xact_start nulls last, pid) as position, activity.*, clock.now
  from activity, clock
  where backend_type in ('client backend', 'parallel worker') and state <> 'idle' and not hidden
  order by 1 limit ${sessionsMax}
)
select position::integer, case when position is null or position = 1 then total_backends end as total_backends,
  case when position is null or position = 1 then by_state end as by_state,
  case when position is null or position = 1 then lock_waiters end as lock_waiters,
  pid, datname::text, usename::text, application_name, host(client_addr) as client_addr, backend_start, xact_start,
  query_start, state_change, state, wait_event_type, wait_event, backend_type, leader_pid, query_id::text, query,
  age(backend_xmin) as backend_xmin_age,
  extract(epoch from case when state = 'active' then now else state_change end - query_start)::float8 * 1000
    as query_ms,
  extract(epoch from now - xact_start)::float8 * 1000 as xact_ms
from totals left join sessions on true
order by position`;
}

/** Who shares a read: `pg_stat_activity` and `pg_locks`. */
const snapshotReaders = 2;

/** What one read brought. */
export interface SessionsSnapshot {
  server: Server;
  /** One row a session that is not idle, the longest transactions first, with the columns of the view. */
  rows: readonly Row[];
  totalBackends: number;
  /** Backends by state: a state of PostgreSQL, `none`, or `insufficient_privilege`. */
  byState: Record<string, number>;
  /** Process ids of backends that wait for a lock, the longest in their state first. */
  lockWaiters: readonly number[];
}

/**
 * Reads the sessions and shares each read between its readers: whoever asks soon after another gets the same snapshot,
 * nobody the same one twice.
 */
export class Sessions {
  readonly #database: Database;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #sessionsMax: number;
  readonly #restraint: Restraint;
  readonly #columns = new WeakMap<Server, ReadonlySet<string>>();
  #latest: { readMs: number; snapshot: Promise<SessionsSnapshot>; readers: Set<string> } | null = null;

  constructor(
    options: { database: Database; clock: Pick<Clock, "monotonicMs">; sessionsMax?: number; restraint?: Restraint },
  ) {
    this.#database = options.database;
    this.#clock = options.clock;
    this.#sessionsMax = options.sessionsMax ?? limits.sessionsMax;
    this.#restraint = options.restraint ?? unrestrained;
  }

  /** A snapshot that this reader, a collector's name, has not had yet. Throws `DatabaseError`. */
  read(reader: string, { signal }: CollectContext): Promise<SessionsSnapshot> {
    const nowMs = this.#clock.monotonicMs();
    const latest = this.#latest;
    if (latest !== null && nowMs - latest.readMs <= limits.snapshotSharedMs && !latest.readers.has(reader)) {
      latest.readers.add(reader);
      // Until the next cycle nobody else wants it: of 500 sessions it is 1 MB.
      if (latest.readers.size === snapshotReaders) this.#latest = null;
      return latest.snapshot;
    }
    const snapshot = this.#read(signal);
    this.#latest = { readMs: nowMs, snapshot, readers: new Set([reader]) };
    // A failure is the readers' to handle; with none of them left it is nobody's.
    snapshot.catch(() => {
      if (this.#latest?.snapshot === snapshot) this.#latest = null;
    });
    return snapshot;
  }

  /** As a `LockWaiters` of `locks.ts`. */
  async lockWaiters(context: CollectContext): Promise<readonly number[]> {
    return (await this.read("pg_locks", context)).lockWaiters;
  }

  async #read(signal: AbortSignal): Promise<SessionsSnapshot> {
    const server = await this.#database.server();
    const columns = await this.#probeColumns(server, signal);
    const rows = await this.#database.query({ text: activitySql(columns, this.#sessionsMax) }, signal);
    const totals = readTotals(rows[0]);
    this.#restraint.seeServer(signsOf(totals, server));
    return { server, rows: rows.filter((row) => row.position !== null), ...totals };
  }

  async #probeColumns(server: Server, signal: AbortSignal): Promise<ReadonlySet<string>> {
    const known = this.#columns.get(server);
    if (known !== undefined) return known;
    const rows = await this.#database.query({ text: columnsSql }, signal);
    const columns = new Set(rows.map((row) => readText(row, "name") ?? ""));
    this.#columns.set(server, columns);
    return columns;
  }
}

function signsOf({ totalBackends, byState, lockWaiters }: Totals, { connectionsMax }: Server): ServerSigns {
  return {
    // Who waits for a lock counts as active in its state.
    active: Math.max(0, (byState.active ?? 0) - lockWaiters.length),
    lockWaiters: lockWaiters.length,
    // Processes of the server itself have no state.
    clients: totalBackends - (byState.none ?? 0),
    clientsMax: connectionsMax,
  };
}

type Totals = Pick<SessionsSnapshot, "totalBackends" | "byState" | "lockWaiters">;

function readTotals(row: Row | undefined): Totals {
  if (row === undefined) throw new TypeError("Cannot read totals because the server returned no row");
  // On a server without any other backend the sum is null; so are the waiters when nobody waits.
  const totalBackends = readNumber(row, "total_backends") ?? 0;
  const byState = row.by_state ?? {};
  const lockWaiters = row.lock_waiters ?? [];
  if (typeof byState !== "object") throw new TypeError('Cannot read column "by_state" because it must be an object');
  if (!Array.isArray(lockWaiters)) throw new TypeError('Cannot read column "lock_waiters" because it must be an array');
  return { totalBackends, byState: byState as Record<string, number>, lockWaiters };
}

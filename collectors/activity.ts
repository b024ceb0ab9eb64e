/**
 * What the server is doing right now: `pg_stat_activity`, with the web request behind each session.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import type { Log } from "../log.ts";
import type { CollectContext, Collection, Collector } from "./collector.ts";
import { correlationId, CorrelationMemory } from "./correlation.ts";
import type { Correlation } from "./correlation.ts";
import type { Database, Row, Server } from "./database.ts";
import { readCount, readNumber, readText, readTime } from "./row.ts";
import { truncate } from "./text.ts";

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
    state, wait_event_type, wait_event, backend_type, ${leaderPid} as leader_pid, ${queryId} as query_id, query,
    backend_xmin, state is null and query = '<insufficient privilege>' as hidden
  from pg_catalog.pg_stat_activity
  where not (application_name ~ '^bitville-monitor( - |$)' and usename is not distinct from session_user)
), totals as (
  select sum(backends)::integer as total_backends, json_object_agg(state, backends) as by_state
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
  pid, datname::text, usename::text, application_name, host(client_addr) as client_addr, backend_start, xact_start, query_start,
  state_change, state, wait_event_type, wait_event, backend_type, leader_pid, query_id::text, query,
  age(backend_xmin) as backend_xmin_age,
  extract(epoch from case when state = 'active' then now else state_change end - query_start)::float8 * 1000
    as query_ms,
  extract(epoch from now - xact_start)::float8 * 1000 as xact_ms
from totals left join sessions on true
order by position`;
}

/** One element of `sessions` (docs/documents.md). */
interface Session extends Correlation {
  pid: number;
  backend_type: string | null;
  leader_pid: number | null;
  application_name: string | null;
  backend_start: string | null;
  xact_start: string | null;
  [column: string]: unknown;
}

/** Reads the sessions that are not idle, with totals of all backends. */
export class ActivityCollector implements Collector {
  readonly name = "pg_stat_activity";
  readonly #database: Database;
  readonly #log: Log;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #memory = new CorrelationMemory();
  readonly #columns = new WeakMap<Server, ReadonlySet<string>>();
  readonly #sessionsMax: number;
  #privilegeHinted = false;

  constructor(options: { database: Database; log: Log; clock: Pick<Clock, "monotonicMs">; sessionsMax?: number }) {
    this.#database = options.database;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#sessionsMax = options.sessionsMax ?? limits.sessionsMax;
  }

  async collect({ signal }: CollectContext): Promise<Collection> {
    const server = await this.#database.server();
    const columns = await this.#probeColumns(server, signal);
    const rows = await this.#database.query({ text: activitySql(columns, this.#sessionsMax) }, signal);
    const { totalBackends, byState } = readTotals(rows[0]);
    const sessions = rows.filter((row) => row.position !== null).map(toSession);
    this.#correlate(sessions);
    this.#hintAtPrivilege(server, byState.insufficient_privilege ?? 0);
    const data = {
      sessions,
      count: sessions.length,
      with_correlation: sessions.filter((session) => session.correlation_id !== null && !isWorker(session)).length,
      total_backends: totalBackends,
      by_state: byState,
    };
    return { kind: "samples", data, rows: sessions.length };
  }

  async #probeColumns(server: Server, signal: AbortSignal): Promise<ReadonlySet<string>> {
    const known = this.#columns.get(server);
    if (known !== undefined) return known;
    const rows = await this.#database.query({ text: columnsSql }, signal);
    const columns = new Set(rows.map((row) => readText(row, "name") ?? ""));
    this.#columns.set(server, columns);
    return columns;
  }

  /** Fills in whose request each session is. A parallel worker is judged as its leader, where that is in sight. */
  #correlate(sessions: Session[]): void {
    const nowMs = this.#clock.monotonicMs();
    const leaders = new Map<string | number, Correlation>();
    for (const session of sessions) {
      if (isWorker(session)) continue;
      const correlation = this.#memory.judge(sightOf(session), nowMs);
      Object.assign(session, correlation);
      leaders.set(session.pid, correlation).set(transactionOf(session), correlation);
    }
    for (const session of sessions) {
      if (!isWorker(session)) continue;
      const leader = leaders.get(session.leader_pid ?? transactionOf(session));
      Object.assign(session, leader ?? liveCorrelation(session.application_name));
    }
  }

  #hintAtPrivilege(server: Server, hidden: number): void {
    if (hidden === 0 || server.readsAllStats) {
      this.#privilegeHinted = false;
      return;
    }
    if (this.#privilegeHinted) return;
    this.#privilegeHinted = true;
    this.#log.warning("insufficient_privilege", {
      hidden_backends: hidden,
      hint: `GRANT pg_monitor TO "${server.user.replaceAll('"', '""')}";`,
    });
  }
}

function readTotals(row: Row | undefined): { totalBackends: number; byState: Record<string, number> } {
  if (row === undefined) throw new TypeError("Cannot read totals because the server returned no row");
  // On a server without any other backend the sum is null.
  const totalBackends = readNumber(row, "total_backends") ?? 0;
  const byState = row.by_state ?? {};
  if (typeof byState !== "object") throw new TypeError('Cannot read column "by_state" because it must be an object');
  return { totalBackends, byState: byState as Record<string, number> };
}

function toSession(row: Row): Session {
  return {
    pid: readCount(row, "pid"),
    datname: readText(row, "datname"),
    usename: readText(row, "usename"),
    application_name: readText(row, "application_name"),
    client_addr: readText(row, "client_addr"),
    backend_start: readTime(row, "backend_start"),
    xact_start: readTime(row, "xact_start"),
    query_start: readTime(row, "query_start"),
    state_change: readTime(row, "state_change"),
    state: readText(row, "state"),
    wait_event_type: readText(row, "wait_event_type"),
    wait_event: readText(row, "wait_event"),
    backend_type: readText(row, "backend_type"),
    leader_pid: readNumber(row, "leader_pid"),
    query_id: readText(row, "query_id"),
    query: truncate(readText(row, "query") ?? "", limits.sessionQueryCharsMax),
    backend_xmin_age: readNumber(row, "backend_xmin_age"),
    query_ms: milliseconds(readNumber(row, "query_ms")),
    xact_ms: milliseconds(readNumber(row, "xact_ms")),
    correlation_id: null,
    correlation_state: null,
  };
}

/** Not below zero: a statement that begins while the view is read starts after our clock. Three decimals. */
function milliseconds(value: number | null): number | null {
  return value === null ? null : Math.max(0, Math.round(value * 1_000) / 1_000);
}

/** What workers share with their leader: before 13 no `leader_pid` tells. */
function transactionOf(session: Session): string {
  return `${session.application_name}/${session.xact_start}`;
}

function liveCorrelation(applicationName: string | null): Correlation {
  const id = correlationId(applicationName);
  return { correlation_id: id, correlation_state: id === null ? null : "live" };
}

function isWorker(session: Session): boolean {
  return session.backend_type === "parallel worker";
}

function sightOf(session: Session) {
  return {
    pid: session.pid,
    backendStart: session.backend_start,
    xactStart: session.xact_start,
    applicationName: session.application_name,
  };
}

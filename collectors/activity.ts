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
import type { Row, Server } from "./database.ts";
import { presentQuery, type QueryText } from "./query_text.ts";
import { readCount, readMs, readNumber, readText, readTime } from "./row.ts";
import type { Sessions } from "./sessions.ts";

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

/** What the collector is made of. */
export interface ActivityOptions {
  sessions: Sessions;
  log: Log;
  clock: Pick<Clock, "monotonicMs">;
  queryText: QueryText;
}

/** Reports the sessions that are not idle, with totals of all backends. */
export class ActivityCollector implements Collector {
  readonly name = "pg_stat_activity";
  readonly #sessions: Sessions;
  readonly #log: Log;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #queryText: QueryText;
  readonly #memory = new CorrelationMemory();
  #privilegeHinted = false;

  constructor(options: ActivityOptions) {
    this.#sessions = options.sessions;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#queryText = options.queryText;
  }

  async collect(context: CollectContext): Promise<Collection> {
    const { server, rows, totalBackends, byState } = await this.#sessions.read(this.name, context);
    const sessions = rows.map((row) => toSession(row, this.#queryText));
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
      hint: `GRANT pg_read_all_stats TO "${server.user.replaceAll('"', '""')}";`,
    });
  }
}

function toSession(row: Row, mode: QueryText): Session {
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
    query: presentQuery(readText(row, "query"), { mode, charsMax: limits.sessionQueryCharsMax }),
    backend_xmin_age: readNumber(row, "backend_xmin_age"),
    query_ms: readMs(row, "query_ms"),
    xact_ms: readMs(row, "xact_ms"),
    correlation_id: null,
    correlation_state: null,
  };
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

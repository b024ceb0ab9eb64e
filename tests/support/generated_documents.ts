/**
 * Documents of agents that do not exist, as many as a test or a benchmark wants: of the shape and size that a busy
 * server's have, valid by docs/schemas/, and the same for the same randomness.
 *
 * @module
 */

import { monotonicFactory } from "ulid";
import type { WireDocument } from "../../tasks/listener/schemas.ts";

const waits = [null, null, null, "IO:DataFileRead", "Lock:transactionid", "LWLock:WALWrite", "Client:ClientRead"];
const version = "0.1.0";

/** What the other documents of a cycle take from its sessions. */
interface GeneratedSession {
  pid: number;
  usename: string;
  application_name: string;
  correlation_id: string;
  wait_event_type: string | null;
  state: string;
  query: string;
  query_ms: number;
  xact_ms: number;
}

export interface GeneratedAgentOptions {
  project?: string;
  host: string;
  /** From 0 to below 1. */
  random: () => number;
  sessions?: number;
  statements?: number;
  /** Log entries of a cycle. */
  entries?: number;
}

/** One agent, and the server under it. */
export class GeneratedAgent {
  readonly #options: Required<GeneratedAgentOptions>;
  readonly #nextId = monotonicFactory();
  readonly #ranges: Record<string, unknown>[] = [];
  #sequence = 0;
  #counter = 1_000_000;

  constructor(options: GeneratedAgentOptions) {
    this.#options = { project: "bench", sessions: 12, statements: 40, entries: 10, ...options };
  }

  /** The documents of one cycle, one of each type. */
  cycle(atMs: number): WireDocument[] {
    const sessions = Array.from({ length: this.#options.sessions }, (_, index) => this.#session(atMs, index));
    return [
      this.document("pg_stat_activity", atMs, {
        sessions,
        count: sessions.length,
        with_correlation: sessions.length,
        total_backends: sessions.length + 20,
        by_state: { active: sessions.length, idle: 12, none: 8 },
      }),
      this.document("pg_stat_statements", atMs, this.#statements()),
      this.document("pg_locks", atMs, this.#locks(sessions)),
      this.document("system_metrics", atMs, this.#system()),
      this.document("pg_log", atMs, this.#log(atMs, sessions)),
      this.document("agent_status", atMs, this.#status(this.#ranges)),
    ];
  }

  /** A document of any type, under the next number. */
  document(type: string, atMs: number, data: Record<string, unknown>): WireDocument {
    const { project, host } = this.#options;
    const [id, timestamp] = [this.#nextId(atMs), new Date(atMs).toISOString()];
    return { id, project, host, type, sequence: ++this.#sequence, timestamp, agent: { version }, data };
  }

  /** Numbers that are given and never sent; with a reason, the next statuses tell of them. */
  lose(count: number, reason: string | null = null): void {
    const [from, to] = [this.#sequence + 1, this.#sequence + count];
    this.#sequence = to;
    if (reason === null) return;
    const at = { types: {}, first_at: null, last_at: null };
    this.#ranges.push({ reason, from, to, records: count, bytes: count, ...at });
  }

  #integer(below: number): number {
    return Math.floor(this.#options.random() * below);
  }

  #uuid(): string {
    const digits = Array.from({ length: 32 }, () => this.#integer(16).toString(16)).join("");
    return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }

  #session(atMs: number, index: number) {
    const wait = waits[this.#integer(waits.length)] ?? null;
    const id = this.#uuid();
    const startMs = atMs - this.#integer(5_000);
    const start = new Date(startMs).toISOString();
    return {
      ...{
        pid: 20_000 + index,
        datname: "shop",
        usename: "shop",
        application_name: `bitville-${id}`,
        client_addr: null,
      },
      ...{ backend_start: start, xact_start: start, query_start: start, state_change: start, state: "active" },
      wait_event_type: wait?.split(":")[0] ?? null,
      wait_event: wait?.split(":")[1] ?? null,
      ...{ backend_type: "client backend", leader_pid: null, query_id: String(this.#integer(40)) },
      query: `SELECT * FROM item_${this.#integer(40)} WHERE id = ${
        this.#integer(100_000)
      } ORDER BY changed_at LIMIT 20`,
      ...{ backend_xmin_age: 1, query_ms: atMs - startMs, xact_ms: atMs - startMs },
      ...{ correlation_id: id, correlation_state: "live" },
    };
  }

  #locks(sessions: GeneratedSession[]) {
    const waiting = sessions.slice(1).filter((one) => one.wait_event_type === "Lock");
    const root = sessions[0];
    const locks = root === undefined ? [] : waiting.map((one) => ({
      ...{ blocked_pid: one.pid, blocked_user: one.usename, blocked_app: one.application_name },
      ...{ blocked_correlation_id: one.correlation_id, blocked_statement: one.query, blocking_pid: root.pid },
      ...{ blocking_user: root.usename, blocking_app: root.application_name, root_pid: root.pid, depth: 1 },
      ...{ blocking_correlation_id: root.correlation_id, blocking_statement: root.query },
      ...{ locktype: "transactionid", mode: "ShareLock", relation: "public.item", wait_ms: one.query_ms },
    }));
    const roots = root === undefined || waiting.length === 0 ? [] : [{
      ...{ pid: root.pid, user: root.usename, app: root.application_name, correlation_id: root.correlation_id },
      ...{ state: root.state, statement: root.query, xact_ms: root.xact_ms, blocked_count: waiting.length },
    }];
    const has = waiting.length > 0;
    return { locks, count: locks.length, has_blocking: has, waiting: waiting.length, roots, truncated: false };
  }

  #statements() {
    const statements = Array.from({ length: this.#options.statements }, (_, index) => {
      const calls = 1 + this.#integer(1_000);
      const work = {
        ...{ calls, total_exec_time: calls * (1 + index), rows: calls * 3, shared_blks_hit: calls * 9 },
        ...{
          shared_blks_read: this.#integer(50),
          temp_blks_read: 0,
          temp_blks_written: index % 7,
          wal_bytes: calls * 70,
        },
      };
      const names = { userid: 10, dbid: 5, queryid: String(index), toplevel: true, datname: "shop", usename: "shop" };
      const query = `SELECT * FROM item_${index} WHERE id = $1 ORDER BY changed_at LIMIT $2 /* page ${index} */`;
      return { ...names, query, ...work, mean_exec_time: 1 + index, delta: work };
    });
    return { statements, count: statements.length, interval_s: 60, stats_reset: null, dealloc: 0 };
  }

  #system() {
    this.#counter += this.#integer(50_000_000);
    const stall = { some: { avg10: this.#integer(20), avg60: 1, avg300: 1, total: this.#counter }, full: null };
    const [total, used] = [32e9, 8e9 + this.#integer(4e9)];
    return {
      cpu: { percent: this.#integer(100), count: 8, load_average: [1 + this.#integer(8), 2, 2] },
      memory: { total, available: total - used, used, percent: used / total * 100 },
      disk_io: { read_count: 1, write_count: 1, read_bytes: this.#counter, write_bytes: this.#counter },
      network_io: { bytes_sent: this.#counter, bytes_recv: this.#counter, packets_sent: 1, packets_recv: 1 },
      ...{ pressure: { cpu: stall, memory: stall, io: stall }, filesystems: [], unavailable: {} },
    };
  }

  #log(atMs: number, sessions: GeneratedSession[]) {
    const entries = Array.from({ length: this.#options.entries }, (_, index) => {
      const session = sessions[index % Math.max(1, sessions.length)];
      const level = index % 5 === 0 ? "ERROR" : "LOG";
      return {
        ...{ timestamp: new Date(atMs - this.#integer(60_000)).toISOString(), pid: session?.pid ?? 1, level },
        message: level === "ERROR"
          ? `relation "item_${this.#integer(9)}" does not exist at character 15`
          : `duration: ${this.#integer(9_000)}.123 ms  statement: SELECT ${this.#integer(1_000)} FROM item`,
        ...{ sqlstate: level === "ERROR" ? "42P01" : null, detail: null, hint: null, context: null, statement: null },
        ...{ user: "shop", database: "shop", application_name: session?.application_name ?? null },
        ...{ correlation_id: session?.correlation_id ?? null, session_id: null, session_line: null, query_id: null },
        ...{ backend_type: "client backend", file: "/var/log/postgresql/postgresql.log" },
      };
    });
    const errors = entries.filter(({ level }) => level === "ERROR").length;
    const counts = { ERROR: errors, LOG: entries.length - errors };
    const levels = Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
    return { entries, count: entries.length, levels, dropped: 0 };
  }

  #status(ranges: Record<string, unknown>[]) {
    return {
      uptime_s: 3_600,
      buffer: {
        ...{ records: this.#integer(5), bytes: 50_000, max_bytes: 104_857_600, oldest_at: null },
        ...{ captured_records: this.#sequence, delivered_records: this.#sequence },
      },
      loss: {
        ...{ evicted_records: 0, evicted_bytes: 0, rejected_records: 0, quarantined_records: 0, quarantined_files: 0 },
        ...{ unstored_records: 0, ranges, log_bytes_skipped: 0, log_tails_lost: 0, missed_runs: 0 },
      },
      circuit: { state: "closed", consecutive_failures: 0 },
      collectors: ["pg_stat_activity", "pg_stat_statements", "pg_locks", "system_metrics"].map((name) => (
        { name, ok: true, duration_ms: 5 + this.#integer(30), rows: 10, skipped: null, error: null, every: 1 }
      )),
      database: { reachable: true, server_version: "18.4", connections: 2, time_ms: 20 + this.#integer(30) },
      governor: { step: "none", reason: null, since: "2026-11-21T00:00:00.000Z", server_ms: null, budget_ms: 300 },
      logs: [],
      process: { rss_bytes: 70e6, cpu_s: 12 },
    };
  }
}

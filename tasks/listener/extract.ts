/**
 * What of a document the page asks for by time, by request or by statement: small rows beside the document, which is
 * kept whole. Types that nobody knows here have none, and are stored all the same.
 *
 * @module
 */

import { burstExtract } from "./extract_burst.ts";
import { logExtract } from "./extract_log.ts";
import { statementsExtract } from "./extract_statements.ts";
import type { WireDocument } from "./schemas.ts";

/** A request, seen in a process. */
export interface Sighting {
  correlationId: string;
  /** Null where only a log line without a process tells of it. */
  pid: number | null;
  atMs: number;
  /** How long it had been waiting for a lock then; null when it was not. */
  waitedMs: number | null;
  /** Whether others were waiting for it. */
  heldUp: boolean;
  /** The error that the log has of it: its SQLSTATE, or its level where there is none, and its message. */
  error: string | null;
}

/** One statement's work in one interval. */
export interface StatementDelta {
  /** userid, dbid, queryid and toplevel, which together name an entry. */
  key: string;
  queryid: string;
  datname: string | null;
  usename: string | null;
  query: string | null;
  calls: number;
  timeMs: number;
  rows: number;
  blocks: number;
  reads: number;
  temp: number;
  wal: number;
}

/** One entry of the server's log. */
export interface LogRow {
  /** Its place in the document. */
  index: number;
  atMs: number | null;
  severity: number;
  sqlstate: string | null;
  pid: number | null;
  correlationId: string | null;
  message: string;
  /** Processes whose waiting it tells of: who waits for a lock, who holds it, who takes part in a deadlock. */
  mentions: number[];
}

/** A range of numbers that the agent itself says were lost. */
export interface LossRange {
  reason: string;
  from: number;
  to: number;
  records: number;
}

/** The figures of a moment. */
export interface Figures {
  atMs: number;
  figures: Record<string, number>;
  /** What they are stored under; absent for the document's own type. */
  type?: string;
}

/** All that is taken out of one document. */
export interface Extract {
  figures: Record<string, number> | null;
  /** Figures of other times than the document's own. */
  moments: Figures[];
  sightings: Sighting[];
  statements: StatementDelta[];
  log: LogRow[];
  losses: LossRange[];
}

/** The types whose documents have figures. */
export const figureTypes = ["pg_stat_activity", "pg_locks", "system_metrics", "agent_status"] as const;

/** The type whose documents have figures by the second, of sessions and locks. */
export const burstType = "pg_burst";

/** What its counts of the time before the recording are stored under. */
export const beforeBurstType = "pg_burst_before";

/** Takes out of a document's `data` what a type has for the page. The data has been held against its schema. */
export function extract(document: WireDocument, atMs: number): Extract {
  const nothing: Extract = { figures: null, moments: [], sightings: [], statements: [], log: [], losses: [] };
  const one = Object.hasOwn(extractors, document.type) ? extractors[document.type]! : () => ({});
  return { ...nothing, ...one(document.data as never, atMs) };
}

const extractors: Record<string, (data: never, atMs: number) => Partial<Extract>> = {
  pg_stat_activity: activityExtract,
  pg_locks: locksExtract,
  pg_stat_statements: statementsExtract,
  system_metrics: systemExtract,
  agent_status: statusExtract,
  pg_log: logExtract,
  [burstType]: burstExtract,
};

/** A session, as far as it is read here. */
export interface Session {
  pid: number;
  state: string;
  wait_event_type: string | null;
  wait_event: string | null;
  xact_ms: number | null;
  correlation_id: string | null;
}

/** Of a pg_stat_activity document. */
export function activityExtract(data: { sessions: Session[]; total_backends: number }, atMs: number): Partial<Extract> {
  const figures: Record<string, number> = { backends: data.total_backends, idle_in_transaction: 0, longest_xact_ms: 0 };
  for (const { state, wait_event_type: type, wait_event: event, xact_ms: xactMs } of data.sessions) {
    figures.longest_xact_ms = Math.max(figures.longest_xact_ms!, xactMs ?? 0);
    if (state.startsWith("idle in transaction")) figures.idle_in_transaction!++;
    if (state !== "active") continue;
    const name = `wait ${type === null ? "CPU" : `${type}:${event ?? ""}`}`;
    figures[name] = (figures[name] ?? 0) + 1;
  }
  const sightings = data.sessions.flatMap(({ correlation_id: correlationId, pid }) =>
    correlationId === null ? [] : [{ ...sighting(correlationId, atMs), pid }]
  );
  return { figures, sightings };
}

interface Lock {
  blocked_pid: number;
  blocked_correlation_id: string | null;
  blocking_pid: number;
  blocking_correlation_id: string | null;
  wait_ms: number | null;
}

/** Of a pg_locks document. */
export function locksExtract(
  data: { locks: Lock[]; waiting: number; roots: unknown[] },
  atMs: number,
): Partial<Extract> {
  const longest = data.locks.reduce((most, { wait_ms: ms }) => Math.max(most, ms ?? 0), 0);
  const sightings = data.locks.flatMap((lock) => {
    const { blocked_correlation_id: blocked, blocking_correlation_id: blocking } = lock;
    return [
      ...blocked === null ? [] : [{ ...sighting(blocked, atMs), pid: lock.blocked_pid, waitedMs: lock.wait_ms ?? 0 }],
      ...blocking === null ? [] : [{ ...sighting(blocking, atMs), pid: lock.blocking_pid, heldUp: true }],
    ];
  });
  const figures = { waiting: data.waiting, roots: data.roots.length, longest_wait_ms: longest };
  return { figures, sightings };
}

/** A request, of which nothing more is known yet. */
export function sighting(correlationId: string, atMs: number): Sighting {
  return { correlationId, pid: null, atMs, waitedMs: null, heldUp: false, error: null };
}

type Stall = { some: { avg10: number } | null } | null;

interface SystemData {
  cpu: { percent: number | null; count: number | null; load_average: number[] | null } | null;
  memory: { total: number; used: number; percent: number } | null;
  disk_io: { read_bytes: number; write_bytes: number } | null;
  network_io: { bytes_sent: number; bytes_recv: number } | null;
  pressure: { cpu: Stall; memory: Stall; io: Stall } | null;
}

function systemExtract(data: SystemData): Partial<Extract> {
  const { cpu, memory, disk_io: disk, network_io: network, pressure } = data;
  return {
    figures: onlyNumbers({
      cpu_percent: cpu?.percent,
      load: cpu?.load_average?.[0],
      memory_percent: memory?.percent,
      disk_read: disk?.read_bytes,
      disk_write: disk?.write_bytes,
      network_sent: network?.bytes_sent,
      network_recv: network?.bytes_recv,
      pressure_cpu: pressure?.cpu?.some?.avg10,
      pressure_memory: pressure?.memory?.some?.avg10,
      pressure_io: pressure?.io?.some?.avg10,
    }),
  };
}

interface StatusData {
  buffer: { records: number; bytes: number };
  loss: {
    evicted_records: number;
    rejected_records: number;
    quarantined_records: number;
    unstored_records: number;
    ranges: LossRange[];
  };
  database: { time_ms: number; connections: number };
  process: { rss_bytes: number };
}

function statusExtract({ buffer, loss, database, process }: StatusData): Partial<Extract> {
  return {
    figures: {
      buffered: buffer.records,
      buffered_bytes: buffer.bytes,
      lost: loss.evicted_records + loss.rejected_records + loss.quarantined_records + loss.unstored_records,
      database_ms: database.time_ms,
      rss_bytes: process.rss_bytes,
    },
    losses: loss.ranges.map(({ reason, from, to, records }) => ({ reason, from, to, records })),
  };
}

function onlyNumbers(values: Record<string, number | null | undefined>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).filter((pair): pair is [string, number] => typeof pair[1] === "number"),
  );
}

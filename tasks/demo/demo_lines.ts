/**
 * Of the demo: documents as a person reads them.
 *
 * @module
 */

import { describeDocument } from "../listener/lines.ts";
import type { WireDocument } from "../listener/schemas.ts";

/** Rows in one block; the document has them all. */
const shownRowsMax = 8;

/** What of a session is shown, by the names of docs/documents/pg_stat_activity.md. */
interface ShownSession {
  pid: number;
  state: string | null;
  wait_event_type: string | null;
  wait_event: string | null;
  query_ms: number | null;
  xact_ms: number | null;
  correlation_id: string | null;
  query: string | null;
}

/** What of a lock is shown, by the names of docs/documents/pg_locks.md. */
interface ShownLock {
  blocked_pid: number;
  blocked_correlation_id: string | null;
  blocking_pid: number;
  blocking_correlation_id: string | null;
  depth: number;
  locktype: string | null;
  mode: string | null;
  relation: string | null;
  wait_ms: number | null;
}

/** What of a statement is shown, by the names of docs/documents/pg_stat_statements.md. */
interface ShownStatement {
  calls: number;
  rows: number;
  total_exec_time: number;
  query: string | null;
  delta: Record<string, number> | null;
}

/** What of a log entry is shown, by the names of docs/documents/pg_log.md. */
interface ShownEntry {
  level: string;
  correlation_id: string | null;
  message: string;
}

interface Activity {
  sessions: ShownSession[];
  total_backends: number;
  by_state: Record<string, number>;
}

/** A document as a block of lines: what it is, and the first of its rows. Ends in a line feed. */
export function presentDocument(document: WireDocument): string {
  const { timestamp, type, sequence, data } = document;
  // The listener has checked the data against its schema.
  const { summary, columns = [], rows = [] } = present[type]?.(data as never) ??
    { summary: describeDocument(document) };
  const shown = rows.slice(0, shownRowsMax);
  const lines = [
    `${timestamp}  ${type}  #${sequence}  ${summary}`,
    ...shown.length === 0 ? [] : [line(columns, columns.map(({ title }) => title))],
    ...shown.map((row) => line(columns, row)),
    ...rows.length === shown.length ? [] : [`  … and ${rows.length - shown.length} more`],
  ];
  return lines.map((text) => text.trimEnd() + "\n").join("") + "\n";
}

interface Column {
  title: string;
  width: number;
  isNumber?: boolean;
}

/** What is shown of a document. */
interface Presentation {
  summary: string;
  columns?: Column[];
  rows?: string[][];
}

const present: Record<string, (data: never) => Presentation> = {
  pg_stat_activity: presentActivity,
  pg_locks: presentLocks,
  pg_stat_statements: presentStatements,
  system_metrics: presentSystem,
  agent_status: presentStatus,
  pg_log: presentLog,
};

function presentActivity({ sessions, total_backends: total, by_state: byState }: Activity): Presentation {
  const states = Object.entries(byState).sort(([, a], [, b]) => b - a).map(([state, count]) => `${count} ${state}`);
  return {
    summary: `${total} backends: ${states.join(", ")}`,
    columns: sessionColumns,
    rows: sessions.map(rowOfSession),
  };
}

const sessionColumns: Column[] = [
  { title: "pid", width: 7, isNumber: true },
  { title: "state", width: 19 },
  { title: "waits for", width: 20 },
  { title: "query ms", width: 8, isNumber: true },
  { title: "xact ms", width: 8, isNumber: true },
  { title: "correlation_id", width: 36 },
  { title: "query", width: 40 },
];

function rowOfSession(session: ShownSession): string[] {
  const { wait_event_type: type, wait_event: event } = session;
  return [
    String(session.pid),
    session.state ?? "",
    type === null ? "" : `${type}/${event ?? ""}`,
    milliseconds(session.query_ms),
    milliseconds(session.xact_ms),
    session.correlation_id ?? "",
    session.query ?? "",
  ];
}

function presentLocks(data: { locks: ShownLock[]; waiting: number; roots: unknown[] }): Presentation {
  const { locks, waiting, roots } = data;
  if (waiting === 0) return { summary: "nobody waits" };
  const rows = locks.map((lock) => [
    `${"  ".repeat(lock.depth - 1)}request ${lock.blocked_correlation_id ?? lock.blocked_pid}`,
    `request ${lock.blocking_correlation_id ?? lock.blocking_pid}`,
    `${lock.locktype} ${lock.mode}${lock.relation === null ? "" : ` on ${lock.relation}`}`,
    milliseconds(lock.wait_ms),
  ]);
  return { summary: `${waiting} waiting behind ${roots.length}`, columns: lockColumns, rows };
}

const lockColumns: Column[] = [
  { title: "waits", width: 48 },
  { title: "for", width: 44 },
  { title: "lock", width: 46 },
  { title: "ms", width: 7, isNumber: true },
];

function presentStatements(
  data: { statements: ShownStatement[]; count: number; interval_s: number | null },
): Presentation {
  const { statements, count, interval_s: seconds } = data;
  const rows = statements.map(({ delta, ...totals }) => {
    const { calls, rows, total_exec_time: ms } = { ...totals, ...delta };
    return [String(calls), String(rows), milliseconds(ms ?? null), totals.query ?? ""];
  });
  const span = seconds === null ? "since their first call" : `in ${Math.round(seconds)} s`;
  return { summary: `${count} statements, ${span}`, columns: statementColumns, rows };
}

const statementColumns: Column[] = [
  { title: "calls", width: 8, isNumber: true },
  { title: "rows", width: 9, isNumber: true },
  { title: "ms", width: 9, isNumber: true },
  { title: "query", width: 100 },
];

function presentLog({ entries, levels }: { entries: ShownEntry[]; levels: Record<string, number> }): Presentation {
  const rows = entries.map(({ level, correlation_id: id, message }) => [level, id ?? "", message]);
  const counts = Object.entries(levels).map(([level, count]) => `${count} ${level}`);
  return { summary: counts.join(", "), columns: entryColumns, rows };
}

const entryColumns: Column[] = [
  { title: "level", width: 8 },
  { title: "correlation_id", width: 36 },
  { title: "message", width: 100 },
];

function presentSystem(data: { cpu: { percent: number | null; load_average: number[] }; memory: { percent: number } }) {
  const { cpu, memory } = data;
  const percent = cpu.percent === null ? "" : `CPU ${cpu.percent} %, `;
  return { summary: `${percent}load ${cpu.load_average.join(" ")}, memory ${memory.percent} %` };
}

function presentStatus(data: {
  buffer: { records: number; bytes: number };
  circuit: { state: string };
  database: { connections: number; time_ms: number };
  process: { rss_bytes: number; cpu_s: number };
}): Presentation {
  const { buffer, circuit, database, process } = data;
  const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
  return {
    summary: `circuit ${circuit.state}, ${buffer.records} documents waiting; ${database.connections} connections, ` +
      `${Math.round(database.time_ms)} ms in the database; ${megabytes(process.rss_bytes)} resident`,
  };
}

function milliseconds(value: number | null): string {
  return value === null ? "" : String(Math.round(value));
}

function line(columns: readonly Column[], cells: readonly string[]): string {
  return "  " + columns.map(({ width, isNumber = false }, index) => {
    // A query is other people's text: it must neither break the table nor steer the terminal.
    const text = excerpt((cells[index] ?? "").replaceAll(/[\p{Cc}]+|(?<=\S)\s+/gu, " ").trimEnd(), width);
    return isNumber ? text.padStart(width) : text.padEnd(width);
  }).join("  ");
}

function excerpt(text: string, charsMax: number): string {
  const chars = [...text];
  return chars.length <= charsMax ? text : chars.slice(0, charsMax - 1).join("") + "…";
}

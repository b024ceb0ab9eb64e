/**
 * The server's log: entries that fit a filter, how many there were over time, and one entry whole.
 *
 * @module
 */

import type { Database, Row } from "../database.ts";
import { type LogEntry, logLevels, warningSeverity } from "../extract_log.ts";
import { documentOfRow } from "./documents.ts";

/** What entries are asked for. */
export interface LogFilter {
  fromMs: number;
  toMs: number;
  /** The lowest severity, a place in {@link logLevels}. */
  severity: number;
  sqlstate: string;
  /** A part of the message, in any case. */
  text: string;
  limit: number;
}

/** An entry in a list. */
export interface LogLine {
  /** Names the entry: `n` is its document's row, `i` its place in it. */
  n: number;
  i: number;
  atMs: number;
  level: string;
  sqlstate: string | null;
  pid: number | null;
  correlationId: string | null;
  message: string;
}

/** What {@link logEntries} answers with. */
export interface LogAnswer {
  /** The newest first. */
  entries: LogLine[];
  /** Whether there are more, or there may be. */
  more: boolean;
  /** How many entries of a step had a level; all that fit the filter but its text. */
  counts: { at: number[]; stepMs: number; levels: Record<string, number[]> };
}

/** A search reads so many entries at most: the span is what to narrow. */
const scannedMax = 200_000;
const stepsMax = 120;

/** Entries of an agent's server. */
export function logEntries(database: Database, agentId: number, filter: LogFilter): LogAnswer {
  const { fromMs, toMs, severity, sqlstate, text, limit } = filter;
  const rows = database.all(
    `SELECT n, i, at, severity, sqlstate, pid, correlation_id, message FROM (
        SELECT * FROM log_entry WHERE agent_id = ? AND at BETWEEN ? AND ? AND severity >= ?
        ORDER BY at DESC LIMIT ?)
      WHERE (?6 = '' OR sqlstate LIKE ?6 || '%') AND (?7 = '' OR instr(lower(message), lower(?7)) > 0) LIMIT ?8`,
    ...[agentId, fromMs, toMs, severity, scannedMax, sqlstate.replaceAll(/[%_]/g, ""), text, limit + 1],
  );
  return {
    entries: rows.slice(0, limit).map(lineOf),
    more: rows.length > limit,
    counts: countsOf(database, agentId, filter),
  };
}

function countsOf(database: Database, agentId: number, filter: LogFilter): LogAnswer["counts"] {
  const { fromMs, toMs, severity } = filter;
  const stepMs = Math.max(1_000, Math.ceil((toMs - fromMs) / stepsMax));
  const rows = database.all(
    // Numbers are bound as floating point: without the cast each entry would be a step of its own.
    `SELECT CAST((at - ?2) / ?5 AS INTEGER) AS step, severity, count(*) AS count FROM log_entry
      WHERE agent_id = ?1 AND at BETWEEN ?2 AND ?3 AND severity >= ?4 GROUP BY step, severity`,
    ...[agentId, fromMs, toMs, Math.max(severity, warningSeverity), stepMs],
  );
  const steps = Math.floor((toMs - fromMs) / stepMs) + 1;
  const levels: Record<string, number[]> = {};
  for (const { step, severity, count } of rows) {
    const counts = levels[logLevels[Number(severity)]!] ??= Array(steps).fill(0);
    counts[Number(step)] = Number(count);
  }
  return { at: Array.from({ length: steps }, (_, index) => fromMs + index * stepMs), stepMs, levels };
}

function lineOf(row: Row): LogLine {
  const text = (value: unknown) => value === null ? null : String(value);
  return {
    n: Number(row.n),
    i: Number(row.i),
    atMs: Number(row.at),
    level: logLevels[Number(row.severity)] ?? "UNKNOWN",
    sqlstate: text(row.sqlstate),
    pid: row.pid === null ? null : Number(row.pid),
    correlationId: text(row.correlation_id),
    message: String(row.message),
  };
}

/** One entry as the agent sent it, or null. */
export function logEntry(database: Database, { n, i }: { n: number; i: number }): LogEntry | null {
  const { document } = documentOfRow(database, n) ?? {};
  const entries = document?.type === "pg_log" ? document.data.entries as LogEntry[] : [];
  return entries[i] ?? null;
}

/**
 * Of a document of the server's log: its entries, and which processes they tell of. With `log_lock_waits` the server says
 * who holds a lock (`Process holding the lock: 27. Wait queue: 28.`), and at a deadlock who takes part in it.
 *
 * @module
 */

import { type Extract, type LogRow, type Sighting, sighting } from "./extract_shapes.ts";
import * as limits from "./limits.ts";

/** From the least severe to the most; UNKNOWN is a line that is no entry. */
export const logLevels = [
  "DEBUG",
  "UNKNOWN",
  "INFO",
  "NOTICE",
  "LOG",
  "WARNING",
  "ERROR",
  "FATAL",
  "PANIC",
] as const;

/** The lowest severity that somebody should look at. */
export const warningSeverity = logLevels.indexOf("WARNING");
const errorSeverity = logLevels.indexOf("ERROR");

/** Of an error, beside its request in a list. */
const errorCharsMax = 120;

/** Processes that one entry tells of: a wait queue may be long. */
const mentionsMax = 20;

/** An entry, by the names of docs/documents/pg_log.md. */
export interface LogEntry {
  timestamp: string | null;
  pid: number | null;
  level: string;
  message: string;
  sqlstate: string | null;
  detail: string | null;
  hint: string | null;
  context: string | null;
  statement: string | null;
  user: string | null;
  database: string | null;
  application_name: string | null;
  correlation_id: string | null;
}

/** Takes out the entries, and the requests in them. */
export function logExtract({ entries }: { entries: LogEntry[] }, atMs: number): Partial<Extract> {
  const log = entries.map(rowOf);
  const sightings = log.flatMap((row): Sighting[] => {
    const { correlationId, pid, sqlstate, severity } = row;
    if (correlationId === null) return [];
    const words = [sqlstate ?? logLevels[severity]!, row.message].join(" ");
    const error = severity < errorSeverity ? null : words.slice(0, errorCharsMax);
    return [{ ...sighting(correlationId, row.atMs ?? atMs), pid, error, waitedMs: waitedMs(entries[row.index]!) }];
  });
  return { log, sightings };
}

function rowOf(entry: LogEntry, index: number): LogRow {
  const { timestamp, pid, level, message, sqlstate, correlation_id: correlationId } = entry;
  const atMs = timestamp === null ? NaN : Date.parse(timestamp);
  return {
    ...{ index, pid, sqlstate, correlationId },
    atMs: Number.isNaN(atMs) ? null : atMs,
    severity: Math.max(0, (logLevels as readonly string[]).indexOf(level)),
    message: message.slice(0, limits.messageCharsMax),
    mentions: mentionedPids(entry),
  };
}

/** The processes that a message of a lock wait or a deadlock tells of. */
export function mentionedPids({ message, detail }: Pick<LogEntry, "message" | "detail">): number[] {
  const [, own] = /^process (\d+) (?:still waiting for|acquired|detected deadlock)/.exec(message) ?? [];
  if (own === undefined && !/deadlock/.test(message)) return [];
  const named = (detail ?? "").matchAll(/\b[Pp]rocess(?:es)? (?:holding the locks?: )?(\d+(?:, \d+)*)/g);
  const lists = [own ?? [], ...[...named].map(([, list]) => list!)].flat();
  const pids = lists.flatMap((list) => list.split(", ").map(Number));
  return [...new Set(pids)].slice(0, mentionsMax);
}

/** What the server says about how long a process has waited for a lock; null for other messages. */
export function waitedMs({ message }: Pick<LogEntry, "message">): number | null {
  const [, ms] = /^process \d+ (?:still waiting for|acquired|detected deadlock) .* after ([\d.]+) ms/.exec(message) ??
    [];
  return ms === undefined ? null : Number(ms);
}

/**
 * What can be taken out of a document: the small rows that are stored beside it.
 *
 * @module
 */

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

/** A request, of which nothing more is known yet. */
export function sighting(correlationId: string, atMs: number): Sighting {
  return { correlationId, pid: null, atMs, waitedMs: null, heldUp: false, error: null };
}

/**
 * Web requests that have been seen, the newest first.
 *
 * @module
 */

import type { Database } from "../database.ts";
import * as limits from "../limits.ts";

/** A request in a list. */
export interface RequestSummary {
  correlationId: string;
  agentId: number;
  firstMs: number;
  lastMs: number;
  /** The longest that it was seen waiting for a lock; null when it never was. */
  waitedMs: number | null;
  /** Whether others waited for it. */
  heldUp: boolean;
  errors: number;
  /** The last one's SQLSTATE, or its level, and its message. */
  error: string | null;
}

/** Which requests are asked for. */
export interface RequestFilter {
  /** Only those that waited, held up others or had an error. */
  notable: boolean;
  /** The beginning of an id; empty for all. */
  prefix: string;
}

/** The newest requests. */
export function requests(database: Database, { notable, prefix }: RequestFilter): RequestSummary[] {
  const columns = "correlation_id, agent_id, first_at, last_at, waited_ms, held_up, errors, error";
  const isNotable = notable ? "WHERE waited_ms IS NOT NULL OR held_up > 0 OR errors > 0" : "";
  const rows = prefix === ""
    ? database.all(`SELECT ${columns} FROM request ${isNotable} ORDER BY last_at DESC LIMIT ?`, limits.rowsMax)
    : database.all(
      `SELECT ${columns} FROM request WHERE correlation_id >= ?1 AND correlation_id < ?1 || 'g' LIMIT ?2`,
      ...[prefix, limits.rowsMax],
    );
  return rows.map((row) => ({
    correlationId: String(row.correlation_id),
    agentId: Number(row.agent_id),
    firstMs: Number(row.first_at),
    lastMs: Number(row.last_at),
    waitedMs: row.waited_ms === null ? null : Number(row.waited_ms),
    heldUp: Number(row.held_up) > 0,
    errors: Number(row.errors),
    error: row.error === null ? null : String(row.error),
  }));
}

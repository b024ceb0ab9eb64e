/**
 * Web requests that have been seen, the newest first.
 *
 * @module
 */

import type { Database } from "../database.ts";

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

/** What happened to the requests that are asked for. */
export const requestKinds = ["trouble", "waits", "errors", "all"] as const;

/** Which requests are asked for. */
export interface RequestFilter {
  kind: typeof requestKinds[number];
  /** The beginning of an id; empty for all. Then what happened to it does not matter. */
  prefix: string;
  limit: number;
}

const columns = "correlation_id, agent_id, first_at, last_at, waited_ms, held_up, errors, error";
const isTrouble = "waited_ms IS NOT NULL OR held_up > 0 OR errors > 0";
const conditions = {
  trouble: `(${isTrouble})`,
  // With the index of those in trouble, of whom these are a part.
  waits: `(${isTrouble}) AND (waited_ms IS NOT NULL OR held_up > 0)`,
  errors: `(${isTrouble}) AND errors > 0`,
  all: "true",
};

/** The newest requests. */
export function requests(database: Database, { kind, prefix, limit }: RequestFilter): RequestSummary[] {
  const rows = prefix === ""
    ? database.all(`SELECT ${columns} FROM request WHERE ${conditions[kind]} ORDER BY last_at DESC LIMIT ?`, limit)
    : database.all(
      `SELECT ${columns} FROM request WHERE correlation_id >= ?1 AND correlation_id < ?1 || 'g' LIMIT ?2`,
      ...[prefix, limit],
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

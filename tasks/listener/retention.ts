/**
 * Forgets the oldest: what is older than the days to keep, and, while the database is larger than it may be, the oldest
 * twentieth. In small commits, so that documents which arrive meanwhile do not wait for long.
 *
 * @module
 */

import type { Database, Value } from "./database.ts";
import { figureTypes } from "./extract.ts";
import { beforeBurstType, burstType } from "./extract_burst.ts";
import * as limits from "./limits.ts";

export interface RetentionOptions {
  keepMs: number;
  bytesMax: number;
  /** Rows of one commit. */
  rowsMax?: number;
}

/** Each deletes at most ?2 rows of one agent (?3) before the time ?1. */
const deletionsOfAgent = [
  ...[...figureTypes, burstType, beforeBurstType].map((type) =>
    deletion("figure", "agent_id, type, at, n", `agent_id = ?3 AND type = '${type}' AND at < ?1`)
  ),
  deletion("statement_delta", "agent_id, at, statement_id", "agent_id = ?3 AND at < ?1"),
  deletion("log_entry", "agent_id, at, n, i", "agent_id = ?3 AND at < ?1"),
  deletion("lock_mention", "agent_id, pid, at, n, i", "agent_id = ?3 AND at < ?1"),
  deletion("sequence_range", "agent_id, life, first", "agent_id = ?3 AND last_at < ?1"),
  deletion("loss_range", "agent_id, life, first, reason", "agent_id = ?3 AND at < ?1"),
  deletion("statement", "statement_id", "agent_id = ?3 AND at < ?1"),
];

/** And of all agents. */
const deletions = [
  deletion("request_document", "correlation_id, at, n", "at < ?1"),
  deletion("backend", "correlation_id, agent_id, pid", "last_at < ?1"),
  deletion("request", "correlation_id", "last_at < ?1"),
  deletion("document", "n", "at < ?1"),
];

function deletion(table: string, key: string, where: string): string {
  return `DELETE FROM ${table} WHERE (${key}) IN (SELECT ${key} FROM ${table} WHERE ${where} LIMIT ?2)`;
}

/** Deletes what must go now; resolves when it is gone. Stops between two commits at the signal. */
export async function retain(
  database: Database,
  { keepMs, bytesMax, rowsMax = limits.retentionRowsMax }: RetentionOptions,
  { nowMs, signal }: { nowMs: number; signal: AbortSignal },
): Promise<void> {
  await forgetBefore(database, { beforeMs: nowMs - keepMs, rowsMax }, signal);
  while (!signal.aborted && database.usedBytes() > bytesMax) {
    const beforeMs = twentieth(database);
    if (beforeMs === null) break;
    await forgetBefore(database, { beforeMs, rowsMax }, signal);
  }
  database.shrink();
}

/** The time before which the oldest twentieth of the documents was collected; null when there is none. */
function twentieth(database: Database): number | null {
  const count = Number(database.get("SELECT count(*) AS count FROM document")?.count ?? 0);
  const row = database.get("SELECT at FROM document ORDER BY at LIMIT 1 OFFSET ?", Math.ceil(count / 20));
  if (row !== null) return Number(row.at) + 1;
  return count === 0 ? null : Number.MAX_SAFE_INTEGER;
}

async function forgetBefore(
  database: Database,
  { beforeMs, rowsMax }: { beforeMs: number; rowsMax: number },
  signal: AbortSignal,
): Promise<void> {
  const agents = database.all("SELECT agent_id FROM agent").map(({ agent_id: id }) => Number(id));
  const steps: [string, Value[]][] = [
    ...agents.flatMap((id) => deletionsOfAgent.map((sql): [string, Value[]] => [sql, [beforeMs, rowsMax, id]])),
    ...deletions.map((sql): [string, Value[]] => [sql, [beforeMs, rowsMax]]),
  ];
  for (const [sql, values] of steps) {
    while (!signal.aborted && database.transaction(() => database.run(sql, ...values)) === rowsMax) await turn();
    await turn();
  }
}

/** Lets requests in between. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

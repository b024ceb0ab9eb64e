/**
 * Statements: what they did in a span of time, and the history of one.
 *
 * @module
 */

import type { Database, Row } from "../database.ts";
import type { statementOrders } from "../extract_statements.ts";
import * as limits from "../limits.ts";
import type { Span } from "./series.ts";

/** What statements can be ordered by. */
export type StatementOrder = typeof statementOrders[number];

/** What a statement did. */
export type Work = Record<StatementOrder, number>;

/** One statement in a span. */
export interface StatementWork extends Work {
  id: number;
  queryid: string;
  datname: string | null;
  usename: string | null;
  query: string | null;
}

/** What {@link statements} answers with. */
export interface StatementsAnswer {
  statements: StatementWork[];
  /** How many there are in the span, listed or not. */
  count: number;
  /** Of all statements of the span, those that are not listed among them. */
  total: Work;
  /** How many documents the figures come from. */
  documents: number;
}

const sums = "sum(calls) AS calls, sum(timeMs) AS timeMs, sum(rows) AS rows, sum(blocks) AS blocks, " +
  "sum(reads) AS reads, sum(temp) AS temp, sum(wal) AS wal";

/** The statements of an agent's server that did most, of those that are stored. */
export function statements(
  database: Database,
  agentId: number,
  { fromMs, toMs, order, limit }: Omit<Span, "points"> & { order: StatementOrder; limit: number },
): StatementsAnswer {
  const rows = database.all(
    `SELECT statement_id, ${sums} FROM statement_delta WHERE agent_id = ? AND at BETWEEN ? AND ?
      GROUP BY statement_id`,
    ...[agentId, fromMs, toMs],
  );
  const works = rows.map((row) => ({ id: Number(row.statement_id), ...workOf(row) }));
  const total = workOf({});
  for (const work of works) for (const name of Object.keys(total) as StatementOrder[]) total[name] += work[name];
  const listed = works.sort((a, b) => b[order] - a[order]).slice(0, limit);
  const documents = database.get(
    "SELECT count(*) AS count FROM document WHERE agent_id = ? AND type = 'pg_stat_statements' AND at BETWEEN ? AND ?",
    ...[agentId, fromMs, toMs],
  );
  return {
    statements: listed.map((work) => ({ ...work, ...identityOf(database, work.id) })),
    count: works.length,
    total,
    documents: Number(documents?.count ?? 0),
  };
}

/** The history of one statement, summed up over steps. */
export interface StatementHistory extends ReturnType<typeof identityOf> {
  id: number;
  at: number[];
  series: Record<StatementOrder, (number | null)[]>;
  /** The length of a step; each figure is the sum of one. */
  stepMs: number;
}

/** What one statement did, step by step. Null when it is not known. */
export function statementHistory(database: Database, id: number, span: Span): StatementHistory | null {
  const known = database.get("SELECT agent_id FROM statement WHERE statement_id = ?", id);
  if (known === null) return null;
  const stepMs = Math.max(60_000, Math.ceil((span.toMs - span.fromMs) / span.points / 60_000) * 60_000);
  const rows = database.all(
    `SELECT CAST(at / ?1 AS INTEGER) AS step, ${sums} FROM statement_delta
      WHERE agent_id = ?2 AND at BETWEEN ?3 AND ?4 AND statement_id = ?5 GROUP BY step ORDER BY step`,
    ...[stepMs, known.agent_id as number, span.fromMs, span.toMs, id],
  );
  // A step with a document in which the statement is not is a step in which it did not run.
  const steps = database.all(
    `SELECT DISTINCT CAST(at / ?1 AS INTEGER) AS step FROM document
      WHERE agent_id = ?2 AND type = 'pg_stat_statements' AND at BETWEEN ?3 AND ?4 ORDER BY step LIMIT ?5`,
    ...[stepMs, known.agent_id as number, span.fromMs, span.toMs, limits.pointsMax],
  ).map(({ step }) => Number(step));
  const works = new Map(rows.map((row) => [Number(row.step), workOf(row)]));
  return { id, ...identityOf(database, id), stepMs, ...columnsOf(steps, works, stepMs) };
}

function columnsOf(steps: readonly number[], works: ReadonlyMap<number, Work>, stepMs: number) {
  const idle = workOf({});
  const at: number[] = [];
  const found: (Work | null)[] = [];
  for (const [index, step] of steps.entries()) {
    const before = steps[index - 1];
    if (before !== undefined && step - before > 2) {
      at.push((before + 1) * stepMs);
      found.push(null);
    }
    at.push(step * stepMs);
    found.push(works.get(step) ?? idle);
  }
  const names = Object.keys(idle) as StatementOrder[];
  const series = Object.fromEntries(names.map((name) => [name, found.map((work) => work?.[name] ?? null)]));
  return { at, series: series as Record<StatementOrder, (number | null)[]> };
}

function workOf(row: Row): Work {
  const { calls, timeMs, rows, blocks, reads, temp, wal } = row;
  const figure = (value: unknown) => Number(value ?? 0);
  return {
    timeMs: figure(timeMs),
    calls: figure(calls),
    rows: figure(rows),
    blocks: figure(blocks),
    reads: figure(reads),
    temp: figure(temp),
    wal: figure(wal),
  };
}

function identityOf(database: Database, id: number) {
  const row = database.get("SELECT queryid, datname, usename, query FROM statement WHERE statement_id = ?", id);
  const text = (value: unknown) => value === null || value === undefined ? null : String(value);
  return {
    queryid: String(row?.queryid ?? ""),
    datname: text(row?.datname),
    usename: text(row?.usename),
    query: text(row?.query),
  };
}

/** The statement that a session's `query_id` means, or null. */
export function statementOfQueryId(database: Database, agentId: number, queryId: string): number | null {
  const row = database.get(
    "SELECT statement_id FROM statement WHERE agent_id = ? AND queryid = ? ORDER BY at DESC LIMIT 1",
    ...[agentId, queryId],
  );
  return row === null ? null : Number(row.statement_id);
}

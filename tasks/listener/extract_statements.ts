/**
 * Of a document of pg_stat_statements: what each statement did in the interval. Of a document of thousands, those that
 * lead in any of the orders that the page has.
 *
 * @module
 */

import type { Extract, StatementDelta } from "./extract_shapes.ts";
import * as limits from "./limits.ts";

type Counters = Record<string, number | null | undefined>;

interface Statement {
  userid: number;
  dbid: number;
  toplevel?: boolean | null;
  queryid: string;
  datname: string | null;
  usename: string | null;
  query: string | null;
  delta: Counters | null;
}

/** What statements can be ordered by, on the page and here. */
export const statementOrders = ["timeMs", "calls", "rows", "blocks", "reads", "temp", "wal"] as const;

/** Takes out the differences. The first document of an agent has none. */
export function statementsExtract({ statements }: { statements: Statement[] }): Partial<Extract> {
  const deltas = statements.flatMap(({ delta, ...statement }) => delta === null ? [] : [workOf(statement, delta)]);
  const kept = new Set(
    statementOrders.flatMap((order) =>
      deltas.filter((delta) => delta[order] > 0).sort((a, b) => b[order] - a[order]).slice(
        0,
        limits.statementsPerOrder,
      )
    ),
  );
  return { statements: [...kept] };
}

function workOf(statement: Omit<Statement, "delta">, delta: Counters): StatementDelta {
  const { userid, dbid, toplevel, queryid, datname, usename, query } = statement;
  const sum = (...names: string[]) => names.reduce((total, name) => total + (delta[name] ?? 0), 0);
  return {
    ...{ queryid, datname, usename, query },
    key: [userid, dbid, queryid, toplevel ?? true].join("/"),
    calls: sum("calls"),
    timeMs: sum("total_exec_time", "total_time"),
    rows: sum("rows"),
    blocks: sum("shared_blks_hit", "shared_blks_read"),
    reads: sum("shared_blks_read"),
    temp: sum("temp_blks_read", "temp_blks_written"),
    wal: sum("wal_bytes"),
  };
}

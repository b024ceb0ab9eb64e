/**
 * Runs of the collector of pg_stat_statements on a server, and a workload for it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { CollectContext, Collection } from "../../collectors/collector.ts";
import type { Database } from "../../collectors/database.ts";
import type { PostgresOptions } from "../../collectors/postgres_pool.ts";
import type { QueryText } from "../../collectors/query_text.ts";
import type { MarkMasks } from "../../collectors/statement_counters.ts";
import { StatementsCollector } from "../../collectors/statements.ts";
import * as limits from "../../limits.ts";
import { withClient } from "../../tasks/demo/client.ts";
import {
  type EmbeddedPostgres,
  type EmbeddedPostgresOptions,
  startEmbeddedPostgres,
} from "../../tasks/demo/embedded_postgres.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import type { MemoryLog } from "./memory_log.ts";
import { openDatabase } from "./open_database.ts";

/** One element of `statements`. */
export interface Statement {
  queryid: string;
  userid: number;
  dbid: number;
  toplevel?: boolean;
  calls: number;
  datname: string | null;
  usename: string | null;
  query: string | null;
  delta: Record<string, number | null> | null;
  [column: string]: unknown;
}

/** `data` of the document. */
export interface StatementsData extends Record<string, unknown> {
  statements: Statement[];
  count: number;
  interval_s: number | null;
  stats_reset: string | null;
  dealloc: number | null;
}

/** A collector with all that it was given. */
export interface StatementsSubject extends AsyncDisposable {
  collector: StatementsCollector;
  clock: FakeClock;
  log: MemoryLog;
  database: Database;
  /** A run whose document is stored, unless `stored` is false. */
  run(options?: { stored?: boolean }): Promise<StatementsData>;
  /** A run that has nothing to report: why. */
  skipped(): Promise<string>;
}

/** What a subject may be given: changes of the limits, of the connection, and a database around the real one. */
export interface SubjectOptions extends Partial<PostgresOptions> {
  statementsMax?: number;
  textsMax?: number;
  queryText?: QueryText;
  markMasks?: MarkMasks;
  around?: (database: Database) => Database;
}

/** Opens a collector as superuser, who reports a thousand statements unless told otherwise. */
export function openStatements(server: EmbeddedPostgres, options: SubjectOptions = {}): StatementsSubject {
  const { statementsMax = 1_000, textsMax = 2_000, queryText = "full", markMasks, around, ...connection } = options;
  const clock = new FakeClock();
  const open = openDatabase(server, connection);
  const database = around?.(open.database) ?? open.database;
  const collector = new StatementsCollector({
    ...{ database, log: open.log, clock, queryText, statementsMax, textsMax },
    ...(markMasks && { markMasks }),
  });
  return {
    ...{ collector, clock, log: open.log, database },
    async run({ stored = true } = {}) {
      await clock.advance(60_000);
      const collection = await collector.collect(contextOf(clock));
      assert.equal(collection.kind, "samples");
      const { data, rows } = collection as Extract<Collection, { kind: "samples" }>;
      if (stored) (collection as Extract<Collection, { kind: "samples" }>).stored?.();
      assert.equal(rows, data.count);
      assertNoNegativeDelta(data as StatementsData);
      assertSchema(data as StatementsData);
      return data as StatementsData;
    },
    async skipped() {
      await clock.advance(60_000);
      const collection = await collector.collect(contextOf(clock));
      assert.equal(collection.kind, "skipped");
      return (collection as Extract<Collection, { kind: "skipped" }>).reason;
    },
    [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
  };
}

/** A server that tracks nested statements, with the extension in its first database. */
export async function startStatementsServer(
  version: EmbeddedPostgresOptions["version"],
  settings: Record<string, string> = {},
): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({
    version,
    settings: { "pg_stat_statements.track": "all", "pg_stat_statements.max": "1000", ...settings },
  });
  await server.query("create extension pg_stat_statements");
  return server;
}

/** Runs a statement `times`, as `user` in `database`. */
export async function call(
  server: EmbeddedPostgres,
  statement: string,
  options: { times?: number; user?: string; database?: string } = {},
): Promise<void> {
  const { times = 1, user = "postgres", database = "postgres" } = options;
  await withClient({ host: server.host, port: server.port, user, database }, async (ask) => {
    for (let time = 0; time < times; time++) await ask(statement);
  });
}

/** Runs `count` statements that the server has not seen, one after the other, each with a queryid of its own. */
export async function callNewStatements(server: EmbeddedPostgres, count: number, first = 0): Promise<void> {
  await withClient({ host: server.host, port: server.port, user: server.user, database: "postgres" }, async (ask) => {
    for (let number = first; number < first + count; number++) await ask(distinctStatement(number));
  });
}

/** A statement for each number below 65,536: operators are part of the queryid, constants are not. */
export function distinctStatement(number: number): string {
  const bits = Array.from({ length: 16 }, (_, bit) => number >> bit & 1 ? "1 + 1" : "1 - 1");
  return `select ${bits.join(", ")}`;
}

/** The only statement, but for those that make a function, whose text contains `part`; or undefined. */
export function find(data: StatementsData, part: string, where: Partial<Statement> = {}): Statement | undefined {
  const found = data.statements.filter((statement) =>
    statement.query?.includes(part) && !/^create/i.test(statement.query) &&
    Object.entries(where).every(([name, value]) => statement[name] === value)
  );
  assert.ok(found.length <= 1, `${found.length} statements contain ${part}`);
  return found[0];
}

function contextOf(clock: FakeClock): CollectContext {
  return { timestamp: clock.now(), signal: new AbortController().signal };
}

const schema = new URL("../../docs/schemas/pg_stat_statements.schema.json", import.meta.url);
const isValid = new Ajv2020({ allErrors: true, allowUnionTypes: true, strictRequired: false })
  .compile(JSON.parse(Deno.readTextFileSync(schema)));

/** As many as the agent would send. */
function assertSchema(data: StatementsData): void {
  const statements = data.statements.slice(0, limits.statementsMax);
  isValid(JSON.parse(JSON.stringify({ ...data, statements, count: statements.length })));
  assert.deepEqual(isValid.errors, null);
}

function assertNoNegativeDelta(data: StatementsData): void {
  for (const { query, delta } of data.statements) {
    for (const [column, value] of Object.entries(delta ?? {})) {
      assert.ok(value !== null && value >= 0, `${column} of ${query} is ${value}`);
    }
  }
}

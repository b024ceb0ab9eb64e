/**
 * Golden documents: what the collectors make of one scripted situation on each version of PostgreSQL, compared with
 * `tests/fixtures/golden/VERSION/TYPE.json`. `deno task test:versions -- --update` writes these files anew.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { EmbeddedPostgres, PostgresVersion } from "../../tasks/demo/embedded_postgres.ts";
import { type CycleData, openCycles } from "../support/cycle.ts";
import { call, startStatementsServer } from "../support/statements.ts";
import { connectClient, type TestClient } from "../support/test_client.ts";
import { waitFor } from "../support/wait_for.ts";

const types = ["pg_stat_activity", "pg_stat_statements", "pg_locks"] as const;
const isUpdate = Deno.args.includes("--update");

/** Registers the comparison of each type of document for one version. Starts a server of its own. */
export function testGolden(version: PostgresVersion): void {
  let played: Promise<Record<string, unknown>> | null = null;
  for (const type of types) {
    Deno.test(`The golden document ${type} of PostgreSQL ${version} still comes`, async () => {
      played ??= play(version);
      const document = (await played)[type];
      const path = new URL(`../fixtures/golden/${version}/${type}.json`, import.meta.url);
      if (isUpdate) await write(path, document);
      assert.deepEqual(document, JSON.parse(await Deno.readTextFile(path)));
    });
  }
}

async function write(path: URL, document: unknown): Promise<void> {
  await Deno.mkdir(new URL(".", path), { recursive: true });
  await Deno.writeTextFile(path, JSON.stringify(document, null, 2) + "\n");
}

/** Plays the situation on a server of this version; answers with its documents, normalised. */
async function play(version: PostgresVersion): Promise<Record<string, unknown>> {
  // Workers of autovacuum would come and go among the waiters.
  await using server = await startStatementsServer(version, { autovacuum: "off" });
  await prepare(server);
  await using stage = new AsyncDisposableStack();
  const cast = await openCast(server, stage);
  const { data } = await perform(server, cast);
  const names = new Map(Object.entries(cast).map(([name, { pid }]) => [pid, `<pid of ${name}>`]));
  return Object.fromEntries(types.map((type) => [type, normalise(data[type], "", names)]));
}

/** The helpers' own statements under `postgres` are not counted: how many they are depends on the machine. */
async function prepare(server: EmbeddedPostgres): Promise<void> {
  await server.query(`
    create role application login;
    create role bitville_monitor login in role pg_monitor;
    create table account as select generate_series(1, 2) as id, 0 as balance;
    grant all on account to application;
    create function busy() returns void language plpgsql as
      $$ begin execute 'select count(*) as counted, pg_sleep(0.05) from account where id = 1'; end $$;
    alter role postgres set pg_stat_statements.track = 'none'`);
}

/** Who takes part, in the order in which they come, and under which name of the application. */
const applicationNames = {
  holder: "bitville-0f8fad5b-d9cb-469f-a165-70867728950e",
  waiter: "bitville-7C9E6679-7425-40DE-944B-E07FC1F90AE7 - 10.0.0.1:5432",
  "second waiter": "psql",
  pooled: "bitville-1b4e28ba-2fa1-41d2-883f-0016d3cca427",
  failed: "",
  idle: "bitville-9d6a1b3e-5c2f-4e8a-b7d0-3f1e2c4a5b6d",
};

type Cast = Record<keyof typeof applicationNames, TestClient>;

async function openCast(server: EmbeddedPostgres, stage: AsyncDisposableStack): Promise<Cast> {
  const cast: Partial<Cast> = {};
  for (const [name, application_name] of Object.entries(applicationNames)) {
    cast[name as keyof Cast] = stage.use(await connectClient(server, { user: "application", application_name }));
  }
  return cast as Cast;
}

/** The second cycle is told: it has deltas, and an id that has been seen under another transaction. */
async function perform(server: EmbeddedPostgres, cast: Cast): Promise<{ data: CycleData }> {
  await using cycles = openCycles(server, "bitville_monitor");
  await cast.holder.run("begin; update account set balance = 1 where id = 1");
  cast.waiter.begin("update account set balance = 2 where id = 1");
  await waiting(server, 1);
  cast["second waiter"].begin("select balance from account where id = 1 for update");
  await waiting(server, 2);
  await cast.failed.run("begin");
  await cast.failed.run("select 1 / 0").catch(() => {});
  await cast.pooled.run("begin");
  await server.query("select pg_stat_statements_reset()");
  await work(server);
  await cycles.run();
  await cast.pooled.run("commit and chain");
  await work(server);
  await settled(server);
  return { data: await cycles.run() };
}

async function work(server: EmbeddedPostgres): Promise<void> {
  await call(server, "select pg_sleep(0.2)", { user: "application", times: 2 });
  await call(server, "select busy()", { user: "application" });
}

/** Since 14 the time of a wait is told, a moment after it began. */
async function waiting(server: EmbeddedPostgres, count: number): Promise<void> {
  const since = server.version < 14 ? "" : "and waitstart is not null";
  const text = `select 1 from pg_locks where not granted ${since}`;
  await waitFor(`${count} waiters`, async () => (await server.query(text)).length === count);
}

/** Who has its answer waits for its client, a moment later. */
async function settled(server: EmbeddedPostgres): Promise<void> {
  const text = `select 1 from pg_stat_activity
    where usename = 'application' and state <> 'active' and wait_event is distinct from 'ClientRead'`;
  await waitFor("idle sessions", async () => (await server.query(text)).length === 0);
}

/** Figures that the script decides. All others, and whatever differs from run to run, become their type. */
const decided = ["count", "with_correlation", "waiting", "blocked_count", "depth", "calls", "rows", "interval_s"];

function normalise(value: unknown, key: string, names: ReadonlyMap<number, string>): unknown {
  if (Array.isArray(value)) return value.map((one) => normalise(one, key, names));
  if (typeof value === "number") return normaliseNumber(value, key, names);
  if (typeof value === "string") return normaliseText(value, key);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, normalise(one, name, names)]));
}

function normaliseNumber(value: number, key: string, names: ReadonlyMap<number, string>): unknown {
  if (decided.includes(key)) return value;
  if (/pid$/.test(key)) return names.get(value) ?? "<pid>";
  return /_(?:time|ms)$/.test(key) || !Number.isInteger(value) ? "<number>" : "<integer>";
}

function normaliseText(value: string, key: string): string {
  if (/^query_?id$/.test(key)) return "<64-bit integer>";
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value) ? "<timestamp>" : value;
}

/**
 * What the collector of pg_stat_statements promises on every version of PostgreSQL.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { EmbeddedPostgres, PostgresVersion } from "../../tasks/demo/embedded_postgres.ts";
import {
  call,
  callNewStatements,
  find,
  openStatements,
  startStatementsServer,
  type StatementsData,
} from "../support/statements.ts";

/** Columns that are there, by the version that brought them, of those that came or changed their names. */
const columnsSince: readonly [PostgresVersion, readonly string[]][] = [
  [12, ["userid", "dbid", "queryid", "calls", "rows", "shared_blks_hit", "temp_blks_written"]],
  [13, [
    "plans",
    "total_plan_time",
    "total_exec_time",
    "min_exec_time",
    "stddev_exec_time",
    "wal_records",
    "wal_bytes",
  ]],
  [14, ["toplevel"]],
  [15, ["temp_blk_read_time", "jit_functions", "jit_emission_time"]],
  [17, ["shared_blk_read_time", "local_blk_write_time", "jit_deform_time", "stats_since", "minmax_stats_since"]],
  [18, ["wal_buffers_full", "parallel_workers_to_launch", "parallel_workers_launched"]],
];
const columnsUntil: readonly [PostgresVersion, readonly string[]][] = [
  [12, ["total_time", "min_time", "max_time", "mean_time", "stddev_time"]],
  [16, ["blk_read_time", "blk_write_time"]],
];

const workload = "select count(*) as workload from pg_class where relname = 'pg_class'";
const users = ["one", "two"];
const databases = ["left", "right"];

/** Registers the suite for one version. Starts a server of its own. */
export function testStatements(version: PostgresVersion): void {
  let server: EmbeddedPostgres;
  Deno.test.beforeAll(async () => {
    server = await startStatementsServer(version);
    await prepare(server);
  });
  Deno.test.afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });
  const test = (sentence: string, check: () => Promise<void>) =>
    Deno.test(`StatementsCollector on PostgreSQL ${version} ${sentence}`, check);

  test("counts exactly, in two databases, under two users, top level and nested", async () => {
    await using subject = openStatements(server);
    await callEverywhere(server, 2);
    const first = await subject.run();
    assert.equal(first.interval_s, null);
    assert.ok(first.statements.every(({ delta, query }) => delta === null && query !== null));
    await callEverywhere(server, 3);
    const second = await subject.run();
    assert.equal(second.interval_s, 60);
    assertCalls(second, version, 3);
    // Nothing twice, and nothing from before.
    const third = await subject.run();
    assertCalls(third, version, 0);
  });

  test("reports every column that the extension has under its own name", async () => {
    await using subject = openStatements(server, { statementsMax: 3 });
    await call(server, workload, { times: 3 });
    await subject.run();
    const data = await subject.run();
    assert.equal(data.count, 3);
    const [statement] = data.statements;
    const [view] = await server.query("select * from pg_stat_statements limit 1");
    const added = ["datname", "usename", "delta"];
    assert.deepEqual(Object.keys(statement!).toSorted(), [...Object.keys(view!), ...added].toSorted());
    for (const [since, names] of columnsSince) {
      for (const name of names) assert.equal(name in statement!, version >= since, name);
    }
    for (const [until, names] of columnsUntil) {
      for (const name of names) assert.equal(name in statement!, version <= until, name);
    }
    for (const [name, value] of Object.entries(statement!)) assert.notEqual(value, undefined, name);
    assert.match(statement!.queryid, /^-?\d+$/);
    for (const name of ["stats_since", "minmax_stats_since"]) {
      if (name in statement!) assert.match(String(statement![name]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    }
    const noDelta = Object.keys(statement!.delta!).filter((name) => /^(min|max|mean|stddev|stats)_|id$/.test(name));
    assert.deepEqual(noDelta, []);
    assert.equal(data.stats_reset === null, version < 14);
    assert.equal(data.dealloc === null, version < 14);
  });

  test("agrees with the view in every column", async () => {
    await using subject = openStatements(server);
    await call(server, workload);
    const data = await subject.run();
    const rows = await server.query("select * from pg_stat_statements where query like '%as workload%'");
    for (const row of rows) {
      const same = data.statements.find(({ queryid, userid, dbid, toplevel }) =>
        queryid === String(row.queryid) && userid === row.userid && dbid === row.dbid && toplevel === row.toplevel
      )!;
      for (const [name, value] of Object.entries(row)) {
        const expected = value instanceof Date ? value.toISOString() : value;
        if (typeof same[name] === "number") assert.equal(same[name], Number(expected), name);
        else assert.equal(same[name], expected, name);
      }
    }
    assert.ok(rows.length > 0);
  });

  test("never spans a reset", async () => {
    await using subject = openStatements(server);
    await call(server, workload, { times: 5 });
    await subject.run();
    await call(server, workload, { times: 5 });
    await server.query("select pg_stat_statements_reset()");
    await call(server, workload, { times: 3 });
    const fewer = await subject.run();
    assert.equal(find(fewer, "as workload")?.delta?.calls, 3);
    if (version < 14) return;
    // More than before: only the time of the reset tells.
    await server.query("select pg_stat_statements_reset()");
    await call(server, workload, { times: 9 });
    const more = await subject.run();
    assert.equal(find(more, "as workload")?.delta?.calls, 9);
    assert.notEqual(more.stats_reset, fewer.stats_reset);
  });

  test("covers an interval whose document was not stored by the next one", async () => {
    await using subject = openStatements(server);
    await call(server, workload, { times: 1 });
    await subject.run();
    await call(server, workload, { times: 2 });
    const lost = await subject.run({ stored: false });
    assert.equal(find(lost, "as workload", { datname: "postgres" })?.delta?.calls, 2);
    await call(server, workload, { times: 4 });
    const data = await subject.run();
    assert.equal(data.interval_s, 120);
    assert.equal(find(data, "as workload", { datname: "postgres" })?.delta?.calls, 6);
  });

  for (const mode of ["fast", "immediate"] as const) {
    test(`begins anew after a restart (${mode})`, async () => {
      await using subject = openStatements(server);
      await call(server, workload, { times: 5 });
      await subject.run();
      await call(server, workload, { times: 2 });
      await server.restart(mode);
      await call(server, workload, { times: 20 });
      await subject.clock.advance(60_000);
      const data = await subject.run().catch(() => subject.run());
      assert.equal(data.interval_s, null);
      assert.ok(data.statements.every(({ delta }) => delta === null));
      await call(server, workload, { times: 4 });
      const next = await subject.run();
      assert.equal(find(next, "as workload", { datname: "postgres" })?.delta?.calls, 4);
    });
  }

  test("leaves its own statements out, whether its role is its own or a superuser", async () => {
    for (const user of ["watcher", "postgres"]) {
      await server.query("select pg_stat_statements_reset()");
      await using subject = openStatements(server, { user });
      await subject.run();
      await subject.run();
      await call(server, workload);
      const data = await subject.run();
      assert.deepEqual(data.statements.filter(({ usename }) => usename === "watcher"), []);
      assert.deepEqual(data.statements.filter(({ query }) => query?.includes("bitville-monitor: pg_stat")), []);
      assert.deepEqual(data.statements.filter(({ query }) => query?.includes("/* bitville-monitor")), []);
      assert.equal(find(data, "as workload", { datname: "postgres" })?.delta?.calls, 1);
    }
  });

  test("never spans an eviction by 10,000 new statements", async () => {
    await using small = await startStatementsServer(version, { "pg_stat_statements.max": "100" });
    await using subject = openStatements(small);
    // Before 17 only the times tell. Those of one statement can be equal to the clock's tick, so they are made unlike.
    const counting = (rows: number) => call(small, `select count(*) as workload from generate_series(1, ${rows})`);
    await counting(50_000);
    await subject.run();
    const [before] = await calls(small);
    assert.equal(before, 1);
    await callNewStatements(small, 10_000);
    assert.deepEqual(await calls(small), [], "the statement is still there");
    for (const rows of [1, 1, 200_000]) await counting(rows);
    const data = await subject.run();
    assert.equal(find(data, "as workload")?.delta?.calls, 3);
    if (version >= 14) assert.ok(data.dealloc! > 0);
  });
}

async function prepare(server: EmbeddedPostgres): Promise<void> {
  await server.query("create role watcher login; grant pg_monitor to watcher");
  for (const user of users) await server.query(`create role ${user} login`);
  for (const database of databases) {
    await server.query(`create database "${database}"`);
    await server.query(
      `create function nested() returns void language plpgsql as $$ begin execute $_$${workload}$_$; end $$`,
      { database },
    );
  }
}

/** Distinct numbers of calls for each database, user and level: `base`, twice that, and so on. */
async function callEverywhere(server: EmbeddedPostgres, base: number): Promise<void> {
  for (const [user, database, factor] of places()) {
    await call(server, workload, { times: base * factor, user, database });
    await call(server, "select nested()", { times: base * (factor + 4), user, database });
  }
}

function places(): [string, string, number][] {
  return users.flatMap((user, row) =>
    databases.map((database, column) => [user, database, row * 2 + column + 1] as [string, string, number])
  );
}

function assertCalls(data: StatementsData, version: PostgresVersion, base: number): void {
  for (const [usename, datname, factor] of places()) {
    const callsOf = (where: Record<string, boolean>) =>
      find(data, "as workload", { usename, datname, ...where })?.delta?.calls;
    if (version < 14) {
      assert.equal(callsOf({}), base * (2 * factor + 4));
    } else {
      assert.equal(callsOf({ toplevel: true }), base * factor);
      assert.equal(callsOf({ toplevel: false }), base * (factor + 4));
    }
    assert.equal(find(data, "select nested()", { usename, datname })?.delta?.calls, base * (factor + 4));
  }
}

/** How often the workload was called, as the server has it. */
async function calls(server: EmbeddedPostgres): Promise<number[]> {
  const rows = await server.query(
    "select calls from pg_stat_statements where query like '%as workload%' and query not like '%calls%'",
  );
  return rows.map((row) => Number(row.calls));
}

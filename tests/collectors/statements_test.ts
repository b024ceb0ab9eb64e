// pg_stat_statements on real servers: what holds on every version, and the ways in which the extension can be missing.
import assert from "node:assert/strict";
import { type Database, DatabaseError, type Query } from "../../collectors/database.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../tasks/demo/embedded_postgres.ts";
import { testStatements } from "../contracts/statements.ts";
import type { FakeClock } from "../fakes/fake_clock.ts";
import {
  call,
  callNewStatements,
  distinctStatement,
  find,
  openStatements,
  startStatementsServer,
} from "../support/statements.ts";

for (const version of [12, 14, 17, 18] as const) testStatements(version);

const fiveMinutesMs = 5 * 60_000;
const workload = "select count(*) as workload from pg_class";

let server: EmbeddedPostgres;
Deno.test.beforeAll(async () => {
  server = await startStatementsServer(18);
});
Deno.test.afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

Deno.test("StatementsCollector stays exact while 10,000 new statements push others out", async () => {
  await using small = await startStatementsServer(18, { "pg_stat_statements.max": "100" });
  await using subject = openStatements(small);
  await call(small, workload);
  await subject.run();
  for (let round = 0; round < 4; round++) {
    await callNewStatements(small, 2_500, round * 2_500);
    await call(small, workload, { times: 2 });
    const data = await subject.run();
    assert.equal(find(data, "as workload")?.delta?.calls, 2);
    for (const { query, delta, calls } of data.statements) {
      if (query?.startsWith("select $1 + $2")) assert.equal(delta?.calls, calls);
    }
  }
});

Deno.test("StatementsCollector reports those with the most execution time in the interval", async () => {
  await using subject = openStatements(server, { statementsMax: 1 });
  await call(server, "select pg_sleep(0.3)");
  assert.ok(find(await subject.run(), "pg_sleep"));
  await call(server, "select pg_sleep(0.05) as busy, 1");
  const data = await subject.run();
  assert.ok(find(data, "as busy"), "the one with the most time in total came before");
  assert.equal(data.count, 1);
});

Deno.test("StatementsCollector finds the extension in a schema whose name needs quotes, and after it has moved", async () => {
  await server.query(`drop extension pg_stat_statements; create schema "odd ""one";
    create extension pg_stat_statements schema "odd ""one"`);
  await using subject = openStatements(server);
  await subject.run();
  await call(server, workload, { times: 2 });
  assert.equal(find(await subject.run(), "as workload")?.delta?.calls, 2);
  const [found] = subject.log.of("pg_stat_statements_check");
  assert.deepEqual(found, {
    level: "info",
    event: "pg_stat_statements_check",
    fields: { found: true, schema: '"odd ""one"', version: "1.12", columns: 51 },
  });
  await server.query("alter extension pg_stat_statements set schema public");
  await subject.run();
  assert.equal(subject.log.of("pg_stat_statements_check").at(-1)?.fields.schema, '"public"');
});

Deno.test("StatementsCollector says what to do without the extension, and finds it later by itself", async () => {
  await server.query("drop extension pg_stat_statements");
  await using subject = openStatements(server);
  assert.equal(await subject.skipped(), 'The extension is not installed in database "postgres"');
  await server.query("create extension pg_stat_statements");
  await subject.skipped();
  await subject.clock.advance(fiveMinutesMs);
  const data = await subject.run();
  assert.ok(data.count > 0);
  assert.deepEqual(subject.log.of("pg_stat_statements_check").map(({ level, fields }) => [level, fields.hint]), [
    ["warning", 'Run in database "postgres", which the agent is connected to: CREATE EXTENSION pg_stat_statements;'],
    ["info", undefined],
  ]);
  // And it can go away again.
  await server.query("drop extension pg_stat_statements");
  await subject.skipped();
  await server.query("create extension pg_stat_statements");
});

Deno.test("StatementsCollector says so when the library is not loaded", async () => {
  await using bare = await startEmbeddedPostgres({ version: 18, settings: { shared_preload_libraries: "" } });
  await using subject = openStatements(bare);
  await subject.skipped();
  await bare.query("create extension pg_stat_statements");
  await subject.clock.advance(fiveMinutesMs);
  const reason = "The extension is installed, but its library is not loaded";
  assert.equal(await subject.skipped(), reason);
  await subject.clock.advance(fiveMinutesMs);
  assert.equal(await subject.skipped(), reason);
  const [absent, notLoaded, ...further] = subject.log.of("pg_stat_statements_check").map(({ fields }) => fields.hint);
  assert.match(String(absent), /^Add pg_stat_statements to shared_preload_libraries.*; then run in database/);
  assert.match(String(notLoaded), /^Add pg_stat_statements to shared_preload_libraries and restart PostgreSQL$/);
  assert.deepEqual(further, []);
  await bare.query("alter system set shared_preload_libraries = pg_stat_statements");
  await bare.restart();
  await subject.clock.advance(60_000);
  await call(bare, workload);
  const data = await subject.run().catch(() => subject.run());
  assert.ok(find(data, "as workload"));
  assert.equal(subject.log.of("pg_stat_statements_check").at(-1)?.fields.found, true);
});

Deno.test("StatementsCollector reads an old version of the extension, says that it is one, and notices its update", async () => {
  await server.query("drop extension pg_stat_statements; create extension pg_stat_statements version '1.4'");
  await server.query(`create or replace function nested() returns void language plpgsql as
    $$ begin execute $_$${workload}$_$; end $$`);
  await using subject = openStatements(server);
  await subject.run();
  // Without toplevel these are one statement.
  await call(server, workload, { times: 2 });
  await call(server, "select nested()", { times: 3 });
  const old = find(await subject.run(), "as workload")!;
  assert.equal(old.delta?.calls, 5);
  assert.ok("total_time" in old && !("toplevel" in old));
  assert.equal(
    subject.log.of("pg_stat_statements_check").at(-1)?.fields.hint,
    "ALTER EXTENSION pg_stat_statements UPDATE;",
  );
  await server.query("alter extension pg_stat_statements update to '1.7'");
  await subject.run();
  await server.query("alter extension pg_stat_statements update");
  // total_time is no more, so that this is noticed at once.
  const renewed = await subject.run();
  assert.equal(renewed.interval_s, null);
  await call(server, workload, { times: 4 });
  assert.equal(find(await subject.run(), "as workload", { toplevel: true })?.delta?.calls, 4);
  assert.equal(subject.log.of("pg_stat_statements_check").at(-1)?.fields.version, "1.12");
});

Deno.test("StatementsCollector notices new columns within five minutes", async () => {
  await server.query("drop extension pg_stat_statements; create extension pg_stat_statements version '1.10'");
  await server.query("select pg_stat_statements_reset()");
  await using subject = openStatements(server);
  await call(server, workload);
  await subject.run();
  await server.query("alter extension pg_stat_statements update");
  await subject.clock.advance(fiveMinutesMs);
  assert.ok("stats_since" in find(await subject.run(), "as workload")!);
});

Deno.test("StatementsCollector keeps the counters when texts cannot be read, and asks less and less often", async () => {
  const failing: { asked: number; failure: DatabaseError | null } = {
    asked: 0,
    failure: new DatabaseError("canceling statement due to statement timeout", { kind: "timeout", sqlstate: "57014" }),
  };
  const around = (database: Database): Database => ({
    server: () => database.server(),
    status: () => database.status(),
    close: () => database.close(),
    query(query: Query, signal?: AbortSignal) {
      if (!/^\/\* bitville-monitor: pg_stat_statements texts \*\//.test(query.text)) {
        return database.query(query, signal);
      }
      failing.asked++;
      return failing.failure === null ? database.query(query, signal) : Promise.reject(failing.failure);
    },
  });
  await server.query("select pg_stat_statements_reset()");
  await using subject = openStatements(server, { around });
  await call(server, workload);
  const minutes: number[] = [];
  for (let minute = 1; minute <= 16; minute++) {
    const before = failing.asked;
    const data = await subject.run();
    assert.ok(data.count > 0 && data.statements.every(({ query }) => query === null));
    if (failing.asked > before) minutes.push(minute);
  }
  assert.deepEqual(minutes, [1, 2, 4, 8, 16]);
  assert.equal(subject.log.of("pg_stat_statements_texts_failed").length, 5);
  assert.match(String(subject.log.of("pg_stat_statements_texts_failed")[0]?.fields.hint), /large/);
  failing.failure = null;
  await subject.clock.advance(60 * 60_000);
  assert.ok(find(await subject.run(), "as workload"));
});

Deno.test("StatementsCollector rests after a text read for 200 times what it cost", async () => {
  const asked: number[] = [];
  const clocks: FakeClock[] = [];
  let minute = 0;
  const around = (database: Database): Database => ({
    server: () => database.server(),
    status: () => database.status(),
    close: () => database.close(),
    async query(query: Query, signal?: AbortSignal) {
      const rows = await database.query(query, signal);
      if (query.text.includes("pg_stat_statements texts")) {
        asked.push(minute);
        await clocks[0]?.advance(1_500);
      }
      return rows;
    },
  });
  await using subject = openStatements(server, { around });
  clocks.push(subject.clock);
  for (minute = 1; minute <= 12; minute++) {
    await callNewStatements(server, 1, 20_000 + minute);
    await subject.run();
  }
  assert.deepEqual(asked, [1, 6, 11]);
});

Deno.test("StatementsCollector keeps no more texts than its bound, and cuts long ones", async () => {
  await using subject = openStatements(server, { statementsMax: 20, textsMax: 5 });
  await server.query("select pg_stat_statements_reset()");
  await callNewStatements(server, 30, 30_000);
  await call(server, `select 'x' as ${"long".repeat(10)}, ${Array(600).fill("1").join(", ")}`);
  await subject.run();
  const data = await subject.run();
  assert.equal(data.count, 20);
  assert.ok(data.statements.filter(({ query }) => query !== null).length <= 5);
  await using roomy = openStatements(server);
  const long = find(await roomy.run(), "longlong")!;
  assert.equal(long.query?.length, 1_000);
  assert.match(long.query!, /\.\.\.\[truncated\]$/);
});

Deno.test("StatementsCollector leaves out what its role may not see, and says once what to grant", async () => {
  await server.query("create role nobody_special login");
  await using subject = openStatements(server, { user: "nobody_special" });
  await call(server, workload);
  for (let run = 0; run < 3; run++) assert.equal((await subject.run()).count, 0);
  const hints = subject.log.of("insufficient_privilege").map(({ fields }) => fields.hint);
  assert.deepEqual(hints, ['GRANT pg_read_all_stats TO "nobody_special";']);
  await server.query("grant pg_read_all_stats to nobody_special");
  // What it sees now is not new because of that.
  assert.equal(find(await subject.run(), "as workload")?.delta, null);
  await call(server, workload, { times: 2 });
  assert.equal(find(await subject.run(), "as workload")?.delta?.calls, 2);
});

Deno.test("StatementsCollector names databases and roles, and knows when they are gone", async () => {
  await server.query("create database passing");
  await call(server, distinctStatement(40_000), { database: "passing" });
  await using subject = openStatements(server);
  assert.ok((await subject.run()).statements.some(({ datname }) => datname === "passing"));
  await server.query("alter database passing rename to passed");
  await subject.clock.advance(fiveMinutesMs);
  assert.ok((await subject.run()).statements.some(({ datname }) => datname === "passed"));
  await server.query("drop database passed");
  await subject.clock.advance(fiveMinutesMs);
  const gone = (await subject.run()).statements.filter(({ datname }) => datname === null);
  assert.deepEqual(gone.map(({ query, usename }) => [query?.slice(0, 14), usename]), [["select $1 - $2", "postgres"]]);
});

Deno.test("StatementsCollector survives texts of other encodings", async () => {
  await server.query("create database latin encoding 'LATIN1' locale 'C' template template0");
  await server.query("create database bytes encoding 'SQL_ASCII' locale 'C' template template0");
  await call(server, 'select 1 as "née"', { database: "latin" });
  await using subject = openStatements(server);
  assert.equal(find(await subject.run(), "née")?.datname, "latin");
  // A text that is no UTF-8: from here on the server refuses to read any text in a database of that encoding.
  const bytes = `'select 1 as "' || convert_from('\\xe9'::bytea, 'SQL_ASCII') || '"'`;
  await call(server, `do $$ begin execute ${bytes}; end $$`, { database: "bytes" });
  const data = await subject.run();
  assert.ok(data.statements.some(({ datname, query }) => datname === "bytes" && query === null));
  const [failure] = subject.log.of("pg_stat_statements_texts_failed");
  assert.equal(failure?.fields.sqlstate, "22021");
  assert.match(String(failure?.fields.hint), /encoding/);
  assert.doesNotMatch(subject.log.text, /select 1/);
});

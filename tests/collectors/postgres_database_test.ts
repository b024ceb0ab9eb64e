// The database seam on real servers: what is in force, what a failing question leaves behind, and outages.
import assert from "node:assert/strict";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../tasks/demo/embedded_postgres.ts";
import { rejects, rowsQuery, slowQuery, testDatabase } from "../contracts/database.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { openDatabase } from "../support/open_database.ts";
import { agentSessions } from "../support/sessions.ts";
import { waitFor } from "../support/wait_for.ts";

const servers = new Map<number, EmbeddedPostgres>();

Deno.test.beforeAll(async () => {
  for (const version of [12, 18] as const) servers.set(version, await startEmbeddedPostgres({ version }));
});

Deno.test.afterAll(async () => {
  for (const server of servers.values()) await server[Symbol.asyncDispose]();
});

function serverOf(version: number): EmbeddedPostgres {
  return servers.get(version)!;
}

for (const version of [12, 18] as const) {
  testDatabase(`PostgresDatabase on PostgreSQL ${version}`, () => openDatabase(serverOf(version)).database);

  Deno.test(`PostgresDatabase on PostgreSQL ${version} runs under its limits, whatever the role is set to`, async () => {
    const server = serverOf(version);
    await server.query(`
      drop role if exists weird;
      create role weird login superuser;
      alter role weird set statement_timeout = 0;
      alter role weird set lock_timeout = 0;
      alter role weird set default_transaction_read_only = off;
      alter role weird set datestyle = 'German';
      alter role weird set search_path = pg_temp, public, pg_catalog;
      alter role weird set idle_in_transaction_session_timeout = 0;`);
    await using open = openDatabase(server, { user: "weird", statementTimeoutMs: 4_321 });
    const [row] = await open.database.query({
      text: `select current_setting('application_name') as application_name,
        current_setting('statement_timeout') as statement_timeout, current_setting('lock_timeout') as lock_timeout,
        current_setting('idle_in_transaction_session_timeout') as idle,
        current_setting('default_transaction_read_only') as read_only, current_setting('search_path') as search_path,
        '2026-01-02 03:04:05.678+00'::timestamptz as time`,
    });
    assert.deepEqual(row, {
      application_name: "bitville-monitor",
      statement_timeout: "4321ms",
      lock_timeout: "500ms",
      idle: "10s",
      read_only: "on",
      search_path: "pg_catalog",
      time: new Date("2026-01-02T03:04:05.678Z"),
    });
  });
}

Deno.test("PostgresDatabase refuses to write", async () => {
  await using open = openDatabase(serverOf(18));
  const error = await rejects(open.database.query({ text: "create table public.written ()" }), "statement");
  assert.equal(error.sqlstate, "25006");
  assert.deepEqual(open.log.events, ["connection_pool_verified"]);
});

Deno.test("PostgresDatabase keeps to its connections under many questions, and makes nobody fail for waiting", async () => {
  const server = serverOf(18);
  await using open = openDatabase(server, { connectTimeoutMs: 400 });
  // Together they wait far longer than the connect timeout.
  const questions = Array.from(
    { length: 20 },
    (_, number) => open.database.query({ text: `/* ${number} */ select pg_sleep(0.2)` }),
  );
  let most = 0;
  const done = Promise.all(questions).then(() => true);
  await waitFor("all answers", async () => {
    most = Math.max(most, (await agentSessions(server)).length);
    return await Promise.race([done, false]);
  });
  assert.equal(most, 3);
  assert.equal(open.database.status().connections, 3);
});

Deno.test("PostgresDatabase times out a statement and a wait for a lock, and goes on with the same connection", async () => {
  const server = serverOf(18);
  await using open = openDatabase(server, { statementTimeoutMs: 1_000, poolMaxSize: 1 });
  const pid = async () => (await open.database.query({ text: "select pg_backend_pid() as pid" }))[0]?.pid;
  const before = await pid();
  const statement = await rejects(open.database.query({ text: "select pg_sleep(60)" }), "timeout");
  assert.equal(statement.sqlstate, "57014");
  await server.query("create table if not exists locked (id integer)");
  const holder = server.query("begin; lock table locked; select pg_sleep(60)").catch(() => null);
  await waitFor(
    "the lock",
    async () =>
      (await server.query(
        "select 1 from pg_locks where mode = 'AccessExclusiveLock' and granted and relation = 'locked'::regclass",
      )).length > 0,
  );
  const lock = await rejects(open.database.query({ text: "select * from public.locked" }), "timeout");
  assert.equal(lock.sqlstate, "55P03");
  assert.equal(await pid(), before);
  await server.query("select pg_terminate_backend(pid) from pg_stat_activity where query like 'begin; lock table%'");
  await holder;
  assert.deepEqual(open.log.events, ["connection_pool_verified"]);
});

Deno.test("PostgresDatabase cancels at once for the caller and on the server, and keeps the connection", async () => {
  const server = serverOf(18);
  await using open = openDatabase(server, { poolMaxSize: 1 });
  for (let round = 0; round < 3; round++) {
    const controller = new AbortController();
    const slow = open.database.query(slowQuery, controller.signal);
    await waitFor("the statement", async () => (await agentSessions(server)).some(({ state }) => state === "active"));
    const next = open.database.query(rowsQuery);
    const startedMs = performance.now();
    controller.abort(new Error("Cut off"));
    const error = await rejects(slow, "cancelled");
    assert.equal((error.cause as Error).message, "Cut off");
    assert.equal((await next).length, 2);
    assert.ok(performance.now() - startedMs < 4_000, "ended by the statement timeout, not by the signal");
  }
  assert.equal((await agentSessions(server)).length, 1);
  assert.deepEqual(open.log.events, ["connection_pool_verified"]);
});

Deno.test("PostgresDatabase gives up on a session that hangs, and asks in another", async () => {
  await using open = openDatabase(serverOf(18), { statementTimeoutMs: 100, poolMaxSize: 1 });
  const pid = async () => Number((await open.database.query({ text: "select pg_backend_pid() as pid" }))[0]?.pid);
  const before = await pid();
  Deno.kill(before, "SIGSTOP");
  try {
    const error = await rejects(open.database.query(rowsQuery), "timeout");
    assert.equal(error.sqlstate, null);
    assert.notEqual(await pid(), before);
    assert.deepEqual(open.log.events, ["connection_pool_verified"]);
  } finally {
    Deno.kill(before, "SIGCONT");
  }
});

Deno.test("PostgresDatabase cancels a question that waits for its turn, without touching the one before", async () => {
  await using open = openDatabase(serverOf(18), { poolMaxSize: 1 });
  await open.database.server();
  const first = open.database.query({ text: "select pg_sleep(0.3), 1 as number" });
  const controller = new AbortController();
  const second = open.database.query(rowsQuery, controller.signal);
  controller.abort();
  await rejects(second, "cancelled");
  assert.equal((await first)[0]?.number, 1);
  assert.equal((await open.database.query(rowsQuery)).length, 2);
});

Deno.test("PostgresDatabase closes at once while statements run", async () => {
  const server = serverOf(18);
  const open = openDatabase(server);
  const slow = [1, 2].map(() => open.database.query(slowQuery));
  await waitFor(
    "the statements",
    async () =>
      (await agentSessions(server)).filter(({ query }) => String(query).includes("contract slow")).length === 2,
  );
  const startedMs = performance.now();
  const ended = Promise.all(slow.map((question) => rejects(question, "cancelled")));
  await open.database.close();
  await ended;
  assert.ok(performance.now() - startedMs < 3_000);
  assert.deepEqual(open.log.events, ["connection_pool_verified"]);
});

Deno.test("PostgresDatabase names the database that there is none of", async () => {
  await using open = openDatabase(serverOf(18), { name: "nowhere" });
  await rejects(open.database.query(rowsQuery), "refused");
  const fields = open.log.of("database_unavailable")[0]?.fields;
  assert.deepEqual([fields?.database, fields?.hint], ["nowhere", "Check database.name"]);
  assert.match(String(fields?.error), /"nowhere"/);
});

Deno.test("PostgresDatabase says once that the server is away and once that it is back", async (test) => {
  const server = serverOf(18);
  const clock = new FakeClock();
  await using open = openDatabase(server, { clock });
  const comesBack = async () => {
    await rejects(open.database.query(rowsQuery), "unreachable");
    await rejects(open.database.query(rowsQuery), "unreachable");
    await server.start();
    await clock.advance(30_000);
    assert.equal((await open.database.query(rowsQuery)).length, 2);
    assert.deepEqual(open.log.events, ["database_unavailable", "connection_pool_verified"]);
    assert.equal(open.log.entries[0]?.fields.reason, "unreachable");
    open.log.clear();
  };
  await test.step("from the start", async () => {
    await server.stop();
    await comesBack();
  });
  for (const mode of ["fast", "immediate"] as const) {
    await test.step(`after a ${mode} stop while idle`, async () => {
      await server.stop(mode);
      await waitFor("the loss", () => open.log.events.length > 0);
      assert.equal(open.database.status().reachable, false);
      await comesBack();
    });
    await test.step(`after a ${mode} stop in a running statement`, async () => {
      const slow = open.database.query(slowQuery);
      await waitFor("the statement", async () => (await agentSessions(server)).some(({ state }) => state === "active"));
      const failure = rejects(slow, "unreachable");
      await server.stop(mode);
      await failure;
      await comesBack();
    });
  }
});

Deno.test("PostgresDatabase takes a server that ends idle sessions as it comes", async () => {
  const server = serverOf(18);
  await server.query("drop role if exists shy; create role shy login; alter role shy set idle_session_timeout = 50");
  await using open = openDatabase(server, { user: "shy" });
  await open.database.server();
  await waitFor("the end of the session", async () => (await agentSessions(server)).length === 0);
  await waitFor("the pool to notice", () => open.database.status().connections === 0);
  assert.equal((await open.database.query(rowsQuery)).length, 2);
  assert.deepEqual(open.log.events, ["connection_pool_verified"]);
});

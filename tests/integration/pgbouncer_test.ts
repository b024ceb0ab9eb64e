// The agent behind PgBouncer in transaction mode, where a connection to the server passes from client to client: the
// limits hold in each question, and nothing of them stays for whoever comes next.
import assert from "node:assert/strict";
import { ActivityCollector } from "../../collectors/activity.ts";
import { Sessions } from "../../collectors/sessions.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../tasks/demo/embedded_postgres.ts";
import { rejects } from "../contracts/database.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { openDatabase } from "../support/open_database.ts";
import { type Pgbouncer, pgbouncerMissing, startPgbouncer } from "../support/pgbouncer.ts";
import { connectClient } from "../support/test_client.ts";

const settingsQuery = `select current_setting('statement_timeout') as statement_timeout,
  current_setting('lock_timeout') as lock_timeout, current_setting('search_path') as search_path,
  current_setting('idle_in_transaction_session_timeout') as idle, current_setting('datestyle') as datestyle,
  current_setting('transaction_read_only') as read_only`;

const limited = {
  statement_timeout: "1s",
  lock_timeout: "500ms",
  search_path: "pg_catalog",
  idle: "10s",
  datestyle: "ISO, MDY",
  read_only: "on",
};

const untouched = {
  statement_timeout: "0",
  lock_timeout: "0",
  search_path: '"$user", public',
  idle: "0",
  datestyle: "ISO, MDY",
  read_only: "off",
};

/** As Debian has it, and as its documentation says for clients that send such parameters. */
const configurations: Record<string, Record<string, string>> = {
  "as it comes": {},
  "that ignores startup parameters": {
    ignore_startup_parameters:
      "extra_float_digits,statement_timeout,lock_timeout,idle_in_transaction_session_timeout,options",
  },
  "that appends where clients come from": { application_name_add_host: "1" },
};

async function check(server: EmbeddedPostgres, bouncer: Pgbouncer): Promise<void> {
  await using open = openDatabase(bouncer, { statementTimeoutMs: 1_000, poolMaxSize: 2 });
  const { database, log } = open;
  assert.equal((await database.server()).pooled, true);
  assert.deepEqual((await database.query({ text: settingsQuery }))[0], limited);
  await using other = await connectClient(server, { port: bouncer.port });
  assert.deepEqual((await other.run(settingsQuery))[0], untouched);

  const refused = await rejects(database.query({ text: "create table public.written ()" }), "statement");
  assert.equal(refused.sqlstate, "25006");
  await rejects(database.query({ text: "select pg_sleep(60)" }), "timeout");
  const controller = new AbortController();
  const cut = rejects(database.query({ text: "select pg_sleep(60)" }, controller.signal), "cancelled");
  controller.abort();
  await cut;
  assert.deepEqual((await database.query({ text: settingsQuery }))[0], limited);
  assert.deepEqual((await other.run(settingsQuery))[0], untouched);
  assert.deepEqual(log.events, ["connection_pool_verified", "pooler_detected"]);

  const clock = new FakeClock();
  const sessions = new Sessions({ database, clock });
  const collector = new ActivityCollector({ sessions, log, clock, queryText: "full" });
  const collection = await collector.collect({ timestamp: new Date(0), signal: new AbortController().signal });
  assert.equal(collection.kind, "samples");
  assert.equal(collection.kind === "samples" && collection.rows, 0, "the agent has seen itself");
}

Deno.test({
  name: `PgBouncer in transaction mode${pgbouncerMissing === null ? "" : ` (${pgbouncerMissing})`}`,
  ignore: pgbouncerMissing !== null,
  async fn(test) {
    await using server = await startEmbeddedPostgres({ version: 18 });
    for (const [name, settings] of Object.entries(configurations)) {
      await test.step(name, async () => {
        await using bouncer = await startPgbouncer(server, { settings });
        await check(server, bouncer);
      });
    }
    await test.step("without a server behind it", async () => {
      await using bouncer = await startPgbouncer(server, {
        settings: { server_login_retry: "1", query_wait_timeout: "1" },
      });
      await server.stop();
      await using open = openDatabase(bouncer);
      await rejects(open.database.server(), "unreachable");
      assert.deepEqual(open.log.events, ["database_unavailable"]);
    });
  },
});

/**
 * What the collectors of the database tell under each role that an operator may give the agent, on every version of
 * PostgreSQL: everything with pg_read_all_stats, by whatever way, and without it the truth about what is missing.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { EmbeddedPostgres, PostgresVersion } from "../../tasks/demo/embedded_postgres.ts";
import { type CycleData, openCycles } from "../support/cycle.ts";
import { call, find, startStatementsServer } from "../support/statements.ts";
import { connectClient, type TestClient } from "../support/test_client.ts";
import { waitFor } from "../support/wait_for.ts";

const workload = "select count(*) as workload from pg_class";
const holding = "begin; update account set balance = 1";
const waiting = "update account set balance = 2";
const holderId = "0f8fad5b-d9cb-469f-a165-70867728950e";
const waiterId = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

const rolesThatSee = {
  "a superuser": "postgres",
  pg_monitor: "with_monitor",
  pg_read_all_stats: "with_stats",
  "the role of role.sql": "bitville_monitor",
};

const roleSql = new URL("../../systemd/role.sql", import.meta.url);

/** Registers the suite for one version. Starts a server of its own. */
export function testRoles(version: PostgresVersion): void {
  let server: EmbeddedPostgres;
  Deno.test.beforeAll(async () => {
    server = await startStatementsServer(version);
    await server.query(`
      create role application login;
      create role with_monitor login in role pg_monitor;
      create role with_stats login in role pg_read_all_stats;
      create role with_nothing login;
      create table account as select 0 as balance;
      grant all on account to application`);
    await server.query(await Deno.readTextFile(roleSql));
  });
  Deno.test.afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });

  for (const [role, user] of Object.entries(rolesThatSee)) {
    Deno.test(`The collectors on PostgreSQL ${version} see everything as ${role}`, async () => {
      await using knot = await tie(server);
      const { data, hints } = await collect(server, user);
      assert.deepEqual(
        ofSessions(data, knot),
        [["application", "idle in transaction", holding, holderId], ["application", "active", waiting, waiterId]],
      );
      assert.equal(data.pg_stat_activity.by_state.insufficient_privilege, undefined);
      const statement = find(data.pg_stat_statements, "as workload", { usename: "application" });
      assert.deepEqual([statement?.query, statement?.delta?.calls], [workload, 3]);
      const [lock] = data.pg_locks.locks;
      assert.deepEqual(ofLock(lock), [knot.waiter.pid, waiterId, waiting, knot.holder.pid, holderId, holding]);
      assert.equal(lock?.wait_ms === null, version < 14);
      assert.deepEqual(data.pg_locks.roots.map((root) => [root.state, root.statement]), [[
        "idle in transaction",
        holding,
      ]]);
      assert.deepEqual(hints, []);
    });
  }

  Deno.test(`role.sql on PostgreSQL ${version} gives little and the same when run again`, async () => {
    await server.query(await Deno.readTextFile(roleSql));
    assert.deepEqual(await server.query(roleFactsSql), [{
      elevated: false,
      rolcanlogin: true,
      rolconnlimit: 5,
      without_password: true,
      settings: ["default_transaction_read_only=on", "lock_timeout=500ms", "statement_timeout=5s"],
      roles: ["pg_read_all_settings", "pg_read_all_stats"],
    }]);
    await using agent = await connectClient(server, { user: "bitville_monitor" });
    const [row] = await agent.run("select current_setting('log_directory') as folder, pg_current_logfile() as file");
    assert.deepEqual(row, { folder: "log", file: null });
    await assert.rejects(agent.run("select balance from account"), /permission denied/);
    await assert.rejects(agent.run("create temporary table mine ()"), /read-only transaction/);
  });

  Deno.test(`The collectors on PostgreSQL ${version} tell who but not what as a role without privileges`, async () => {
    await using knot = await tie(server);
    const { data, hints } = await collect(server, "with_nothing");
    assert.deepEqual(ofSessions(data, knot), [undefined, undefined]);
    assert.ok(data.pg_stat_activity.by_state.insufficient_privilege! >= 2);
    assert.equal(data.pg_stat_statements.count, 0);
    const [lock] = data.pg_locks.locks;
    assert.deepEqual(ofLock(lock), [knot.waiter.pid, waiterId, null, knot.holder.pid, holderId, null]);
    assert.deepEqual(data.pg_locks.roots.map((root) => [root.user, root.state]), [["application", null]]);
    assert.deepEqual(hints, [
      'GRANT pg_read_all_stats TO "with_nothing";',
      'GRANT pg_read_all_stats TO "with_nothing";',
    ]);
  });
}

/** What role.sql gives, and what it does not. */
const roleFactsSql = `
  select rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls as elevated, rolcanlogin, rolconnlimit,
    rolpassword is null as without_password, (select array_agg(setting order by setting) from unnest(setconfig) as setting)
      as settings,
    array(select roleid::regrole::text from pg_auth_members where member = pg_authid.oid order by 1) as roles
  from pg_authid left join pg_db_role_setting on setrole = pg_authid.oid where rolname = 'bitville_monitor'`;

/** One session that waits for another. */
interface Knot extends AsyncDisposable {
  holder: TestClient;
  waiter: TestClient;
}

async function tie(server: EmbeddedPostgres): Promise<Knot> {
  await using stack = new AsyncDisposableStack();
  const connect = async (id: string) =>
    stack.use(await connectClient(server, { user: "application", application_name: `bitville-${id}` }));
  const [holder, waiter] = [await connect(holderId), await connect(waiterId)];
  await holder.run(holding);
  waiter.begin(waiting);
  // Since 14 the time of a wait is told, a moment after it began.
  const since = server.version < 14 ? "" : "and waitstart is not null";
  await waitFor("the waiter", async () => {
    const rows = await server.query(`select 1 from pg_locks where not granted ${since}`);
    return rows.length > 0;
  });
  const knot = stack.move();
  return { holder, waiter, [Symbol.asyncDispose]: () => knot.disposeAsync() };
}

async function collect(server: EmbeddedPostgres, user: string): Promise<{ data: CycleData; hints: unknown[] }> {
  await using cycles = openCycles(server, user);
  await call(server, workload, { user: "application" });
  await cycles.run();
  await call(server, workload, { user: "application", times: 3 });
  const data = await cycles.run();
  return { data, hints: cycles.log.of("insufficient_privilege").map(({ fields }) => fields.hint) };
}

function ofSessions({ pg_stat_activity: { sessions } }: CycleData, { holder, waiter }: Knot): unknown[] {
  return [holder, waiter].map((client) => {
    const session = sessions.find(({ pid }) => pid === client.pid);
    return session && [session.usename, session.state, session.query, session.correlation_id];
  });
}

function ofLock(lock: CycleData["pg_locks"]["locks"][number] | undefined): unknown[] {
  return [
    lock?.blocked_pid,
    lock?.blocked_correlation_id,
    lock?.blocked_statement,
    lock?.blocking_pid,
    lock?.blocking_correlation_id,
    lock?.blocking_statement,
  ];
}

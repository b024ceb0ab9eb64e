/**
 * What the collector of pg_stat_activity promises on every version of PostgreSQL.
 *
 * @module
 */

import assert from "node:assert/strict";
import { ActivityCollector } from "../../collectors/activity.ts";
import type { CorrelationState } from "../../collectors/correlation.ts";
import type { PostgresOptions } from "../../collectors/postgres_pool.ts";
import type { QueryText } from "../../collectors/query_text.ts";
import { Sessions } from "../../collectors/sessions.ts";
import { cutMark } from "../../collectors/text.ts";
import {
  type EmbeddedPostgres,
  type PostgresVersion,
  startEmbeddedPostgres,
} from "../../tasks/demo/embedded_postgres.ts";
import { createValidator } from "../../tasks/listener/schemas.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import type { MemoryLog } from "../support/memory_log.ts";
import { openDatabase } from "../support/open_database.ts";
import { connectClient, type TestClient } from "../support/test_client.ts";
import { waitFor } from "../support/wait_for.ts";

const requestId = "0f8fad5b-d9cb-469f-a165-70867728950e";
const requestName = `bitville-${requestId}`;

interface Session extends Record<string, unknown> {
  pid: number;
  query: string;
  backend_type: string;
  query_ms: number;
  xact_ms: number;
  correlation_id: string | null;
  correlation_state: CorrelationState | null;
}

interface Activity {
  sessions: Session[];
  count: number;
  with_correlation: number;
  total_backends: number;
  by_state: Record<string, number>;
}

/** A collector on a server, and what it logs. */
interface Fixture extends AsyncDisposable {
  log: MemoryLog;
  collect(): Promise<Activity>;
  /** Collects until this backend is seen in a state that `matches` accepts. */
  see(client: TestClient, matches?: (session: Session) => boolean): Promise<Session>;
}

const validate = createValidator();
const envelope = {
  id: "01KA0000000000000000000000",
  project: "project",
  host: "host",
  type: "pg_stat_activity",
  sequence: 1,
  timestamp: "2026-01-02T03:04:05.678Z",
  agent: { version: "0.1.0" },
};

function openCollector(
  server: EmbeddedPostgres,
  options: Partial<PostgresOptions> & { sessionsMax?: number; queryText?: QueryText } = {},
): Fixture {
  const { sessionsMax, queryText = "full", ...changes } = options;
  const open = openDatabase(server, { user: "watcher_monitor", ...changes });
  const { database, log } = open;
  const clock = new FakeClock();
  const sessions = new Sessions({ database, clock, ...(sessionsMax === undefined ? {} : { sessionsMax }) });
  const collector = new ActivityCollector({ sessions, log, clock, queryText });
  const collect = async () => {
    const collection = await collector.collect({ timestamp: new Date(0), signal: new AbortController().signal });
    assert.ok(collection.kind === "samples");
    const activity = collection.data as unknown as Activity;
    checkTotals(activity);
    assert.equal(collection.rows, activity.count);
    return activity;
  };
  return {
    log,
    collect,
    see: (client, matches = () => true) =>
      waitFor(
        `a session with pid ${client.pid}`,
        async () => (await collect()).sessions.find((session) => session.pid === client.pid && matches(session)),
      ),
    [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
  };
}

/** What holds for every document. */
function checkTotals(activity: Activity): void {
  const { sessions, count, with_correlation, total_backends, by_state } = activity;
  assert.equal(validate({ ...envelope, data: activity }), null);
  assert.equal(count, sessions.length);
  assert.equal(Object.values(by_state).reduce((sum, backends) => sum + backends, 0), total_backends);
  assert.ok(with_correlation <= count);
  for (const session of sessions) {
    assert.notEqual(session.state, "idle");
    assert.ok((session.query as string | null ?? "").length <= 1_000);
    assert.ok((session.query_ms ?? 0) >= 0 && (session.xact_ms ?? 0) >= 0);
    assert.equal(session.correlation_id === null, session.correlation_state === null);
  }
}

/** Registers the suite for one version. Starts a server of its own. */
export function testActivity(version: PostgresVersion): void {
  let server: EmbeddedPostgres;
  Deno.test.beforeAll(async () => {
    server = await startEmbeddedPostgres({ version, settings: { track_activity_query_size: "8192" } });
    await prepare(server);
  });
  Deno.test.afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });
  const test = (sentence: string, check: () => Promise<void>) =>
    Deno.test(`ActivityCollector on PostgreSQL ${version} ${sentence}`, check);

  test("shows what is active or in a transaction, and counts what is idle", async () => {
    await using collector = openCollector(server);
    await using active = await connectClient(server, { user: "application", application_name: requestName });
    await using waiting = await connectClient(server, { user: "application" });
    await using idle = await connectClient(server, { user: "application" });
    const startedMs = performance.now();
    active.begin("select pg_sleep(600)");
    await waiting.run("begin; select 1");
    const session = await collector.see(active);
    assert.deepEqual(
      [session.datname, session.usename, session.application_name, session.client_addr, session.state, session.query],
      ["postgres", "application", requestName, "127.0.0.1", "active", "select pg_sleep(600)"],
    );
    assert.deepEqual(
      [session.wait_event_type, session.backend_type, session.leader_pid],
      ["Timeout", "client backend", null],
    );
    assert.deepEqual([session.correlation_id, session.correlation_state], [requestId, "live"]);
    if (version < 14) assert.equal(session.query_id, null);
    else assert.match(String(session.query_id), /^-?\d+$/);
    for (const column of ["backend_start", "xact_start", "query_start", "state_change"]) {
      assert.match(String(session[column]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, column);
    }
    const again = await collector.see(active, ({ query_ms }) => query_ms > session.query_ms);
    assert.ok(again.xact_ms > session.xact_ms && again.xact_ms < performance.now() - startedMs + 1_000);
    const activity = await collector.collect();
    const inTransaction = activity.sessions.find(({ pid }) => pid === waiting.pid);
    assert.deepEqual([inTransaction?.state, inTransaction?.query], ["idle in transaction", "begin; select 1"]);
    assert.ok(inTransaction!.query_ms < inTransaction!.xact_ms);
    assert.ok(!activity.sessions.some(({ pid }) => pid === idle.pid));
    assert.equal(activity.with_correlation, 1);
    assert.deepEqual([activity.by_state.active, activity.by_state["idle in transaction"]], [1, 1]);
    assert.ok(activity.by_state.idle! >= 1 && activity.by_state.none! >= 1);
  });

  test("sees everything with pg_monitor, pg_read_all_stats or as superuser", async () => {
    await using client = await connectClient(server, { user: "application" });
    await client.run("begin");
    for (const user of ["watcher_monitor", "watcher_stats", "postgres"]) {
      await using collector = openCollector(server, { user });
      assert.equal((await collector.see(client)).query, "begin", user);
      assert.equal((await collector.collect()).by_state.insufficient_privilege, undefined);
      assert.deepEqual(collector.log.of("insufficient_privilege"), []);
    }
  });

  test("tells what the role may not see from what is not there, and hints once", async () => {
    await using client = await connectClient(server, { user: "application" });
    await client.run("begin");
    await using collector = openCollector(server, { user: "watcher_none" });
    const activity = await collector.collect();
    await collector.collect();
    assert.equal(activity.count, 0);
    assert.ok(activity.by_state.insufficient_privilege! >= 2);
    const hints = collector.log.of("insufficient_privilege");
    assert.equal(hints.length, 1);
    assert.equal(hints[0]?.fields.hint, 'GRANT pg_read_all_stats TO "watcher_none";');
  });

  test("leaves out its own sessions, and nobody else who bears the name", async () => {
    await using collector = openCollector(server);
    await using pretender = await connectClient(server, { user: "application", application_name: "bitville-monitor" });
    await using own = await connectClient(server, { user: "watcher_monitor", application_name: "bitville-monitor" });
    const pooled = "bitville-monitor - 10.0.0.1:5432";
    await using ownPooled = await connectClient(server, { user: "watcher_monitor", application_name: pooled });
    await using similar = await connectClient(server, {
      user: "watcher_monitor",
      application_name: "bitville-monitors",
    });
    for (const client of [pretender, own, ownPooled, similar]) await client.run("begin");
    await collector.see(pretender);
    const pids = (await collector.collect()).sessions.map(({ pid }) => pid);
    assert.deepEqual(
      [pretender, own, ownPooled, similar].map(({ pid }) => pids.includes(pid)),
      [true, false, false, true],
    );
  });

  test("shows every state of a session that tries to hide behind the text of a hidden one", async () => {
    await using collector = openCollector(server);
    await using client = await connectClient(server, { user: "application" });
    await client.run("begin");
    await client.run("<insufficient privilege>").catch(() => {});
    const activity = await waitFor("the failed transaction", async () => {
      const activity = await collector.collect();
      return activity.by_state["idle in transaction (aborted)"] === 1 && activity;
    });
    assert.ok(activity.sessions.some(({ pid }) => pid === client.pid));
  });

  test("judges parallel workers as their leader, and does not count them", async () => {
    await using collector = openCollector(server);
    await using leader = await connectClient(server, { user: "application", application_name: requestName });
    const mode = version < 16 ? "force_parallel_mode" : "debug_parallel_query";
    await leader.run(`set ${mode} = on; set parallel_setup_cost = 0; set parallel_tuple_cost = 0;
      set min_parallel_table_scan_size = 0; set max_parallel_workers_per_gather = 2`);
    const check = (query: string, state: CorrelationState) =>
      waitFor(`${state} parallel workers`, async () => {
        const activity = await collector.collect();
        const workers = activity.sessions.filter(({ backend_type }) => backend_type === "parallel worker");
        assert.equal(activity.with_correlation, activity.count - workers.length);
        // Those of the statement before may still be ending, and one that has just started has not got its name yet.
        return workers.length > 0 && workers.every((worker) =>
          worker.query === query && worker.correlation_id === requestId && worker.correlation_state === state &&
          worker.leader_pid === (version < 13 ? null : leader.pid)
        );
      });
    const query = "select count(pg_sleep(0.1)) from numbers";
    leader.begin(query);
    await check(query, "live");
    await server.query(`select pg_cancel_backend(${leader.pid})`);
    leader.begin(`${query} -- again`);
    await check(`${query} -- again`, "doubtful");
  });

  test("doubts an id that the same backend shows under another transaction", async () => {
    await using collector = openCollector(server);
    await using client = await connectClient(server, { user: "application", application_name: requestName });
    await client.run("begin");
    assert.equal((await collector.see(client)).correlation_state, "live");
    await client.run("select 1");
    assert.equal((await collector.see(client, ({ query }) => query === "select 1")).correlation_state, "live");
    await client.run("commit; begin");
    assert.equal(
      (await collector.see(client, ({ query }) => query.startsWith("commit"))).correlation_state,
      "doubtful",
    );
    await client.run("set application_name = 'bitville-7c9e6679-7425-40de-944b-e07fc1f90ae7'");
    assert.equal((await collector.see(client, ({ query }) => query.startsWith("set"))).correlation_state, "live");
  });

  test("shows the longest transactions first when there are too many, and counts all", async () => {
    await using collector = openCollector(server, { sessionsMax: 2 });
    await using first = await connectClient(server, { user: "application" });
    await using second = await connectClient(server, { user: "application" });
    await using third = await connectClient(server, { user: "application" });
    for (const client of [first, second, third]) await client.run("begin");
    const activity = await collector.collect();
    assert.deepEqual(activity.sessions.map(({ pid }) => pid), [first.pid, second.pid]);
    assert.equal(activity.by_state["idle in transaction"], 3);
  });

  test("has no address for a session on the socket", async () => {
    await using collector = openCollector(server, { host: server.socketDirectory });
    await using client = await connectClient(server, { host: server.socketDirectory, user: "application" });
    await client.run("begin");
    assert.equal((await collector.see(client)).client_addr, null);
  });

  test("cuts long queries between characters, and marks the cut", async () => {
    await using collector = openCollector(server);
    await using client = await connectClient(server, { user: "application" });
    for (const text of ["x".repeat(2_000), "é".repeat(2_000), "😀".repeat(1_900), `x${"😀".repeat(1_900)}`]) {
      const query = `/*${text}*/ begin`;
      await client.run(query);
      const session = await collector.see(client, (session) => query.startsWith(session.query.slice(0, 5)));
      assert.ok(session.query.endsWith(cutMark));
      assert.ok(query.startsWith(session.query.slice(0, -cutMark.length)));
      assert.ok(session.query.isWellFormed() && session.query.length >= 999);
      await client.run("rollback");
    }
  });

  test("reads texts of databases in another encoding, from either side", async () => {
    await using latin = await connectClient(server, { database: "latin" });
    await latin.run("/* café */ begin");
    await using unicode = await connectClient(server, {});
    await unicode.run("/* 漢字 😀 café */ begin");
    await using bytes = await connectClient(server, { database: "latin" });
    await bytes.run("begin; set client_encoding = latin1");
    await bytes.run("/* \u{80}\u{ff} */ select 1");
    await using fromUnicode = openCollector(server);
    assert.equal((await fromUnicode.see(unicode)).query, "/* 漢字 😀 café */ begin");
    assert.equal((await fromUnicode.see(latin)).query, "/* caf\ufffd */ begin");
    assert.match((await fromUnicode.see(bytes)).query, /^\/\* .* \*\/ select 1$/);
    await using fromLatin = openCollector(server, { name: "latin" });
    assert.equal((await fromLatin.see(latin)).query, "/* café */ begin");
    assert.match((await fromLatin.see(unicode)).query, /begin$/);
  });

  test("takes any application name as it is", async () => {
    await using collector = openCollector(server);
    const cut = `${requestName} - 10.0.0.1:5432`.padEnd(80, "5");
    const names: [string, RegExp | string, string | null][] = [
      [`it's "quoted" \\ and] LOG:  x`, `it's "quoted" \\ and] LOG:  x`, null],
      ["two\nlines", /^two(?:\?|\\x0a)lines$/, null],
      [cut, cut.slice(0, 63), requestId],
      [requestName.toUpperCase(), requestName.toUpperCase(), requestId],
    ];
    for (const [name, shown, id] of names) {
      await using client = await connectClient(server, { user: "application", application_name: name });
      await client.run("begin");
      const session = await collector.see(client);
      if (typeof shown === "string") assert.equal(session.application_name, shown);
      else assert.match(String(session.application_name), shown);
      assert.equal(session.correlation_id, id);
    }
  });

  test("sends a text without its literals when query_text is redacted, and none when it is none", async () => {
    await using client = await connectClient(server);
    await client.run("begin; select 'a secret', 5");
    await using redacting = openCollector(server, { queryText: "redacted" });
    assert.equal((await redacting.see(client)).query, "begin; select ?, ?");
    await using silent = openCollector(server, { queryText: "none" });
    assert.equal((await silent.see(client)).query, null);
  });
}

async function prepare(server: EmbeddedPostgres): Promise<void> {
  await server.query(`
    create role application login;
    create role watcher_monitor login in role pg_monitor;
    create role watcher_stats login in role pg_read_all_stats;
    create role watcher_none login;
    create table numbers as select generate_series(1, 3000) as number;
    grant select on numbers to application;
    analyze numbers;`);
  await server.query("create database latin encoding 'LATIN1' template template0");
}

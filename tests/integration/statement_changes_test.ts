// The statements that the server sends because they have changed, on real servers.
import assert from "node:assert/strict";
import { type Database, DatabaseError, type Query } from "../../collectors/database.ts";
import type { EmbeddedPostgres } from "../../tasks/demo/embedded_postgres.ts";
import {
  call,
  callNewStatements,
  distinctStatement,
  find,
  openStatements,
  startStatementsServer,
  type StatementsData,
} from "../support/statements.ts";

const workload = "select count(*) as workload from pg_class";

/** Counts the entries that each read was sent. */
function counting(sent: number[], { onTexts = () => {} }: { onTexts?: () => void } = {}) {
  return (database: Database): Database => ({
    server: () => database.server(),
    status: () => database.status(),
    close: () => database.close(),
    async query(query: Query, signal?: AbortSignal) {
      const rows = await database.query(query, signal);
      if (query.text.startsWith("/* bitville-monitor: pg_stat_statements */")) {
        sent.push(String(rows[0]?.records ?? "").split("\n").length);
      }
      if (query.text.startsWith("/* bitville-monitor: pg_stat_statements texts */")) onTexts();
      return rows;
    },
  });
}

/** Calls of the statement that {@link distinctStatement} makes of a number. */
function callsOf(data: StatementsData, number: number): number | null | undefined {
  const text = distinctStatement(number).replace(/1 ([+-]) 1/g, "$1");
  const same = data.statements.filter(({ query }) => query?.replace(/\$\d+ ([+-]) \$\d+/g, "$1") === text);
  assert.ok(same.length <= 1);
  return same[0]?.delta?.calls;
}

for (const version of [12, 16, 18] as const) {
  let server: EmbeddedPostgres;
  Deno.test.beforeAll(async () => {
    server = await startStatementsServer(version);
    await server.query("create role watcher login; grant pg_monitor to watcher");
  });
  Deno.test.afterAll(async () => {
    await server[Symbol.asyncDispose]();
  });
  const test = (sentence: string, check: () => Promise<void>) =>
    Deno.test(`StatementsCollector on PostgreSQL ${version} ${sentence}`, check);

  for (const user of ["watcher", "postgres"]) {
    test(`is sent what has changed alone, and reports the rest right when it changes later, as ${user}`, async () => {
      await server.query("select pg_stat_statements_reset()");
      const sent: number[] = [];
      await using subject = openStatements(server, { user, around: counting(sent) });
      await callNewStatements(server, 200);
      await subject.run();
      assert.ok(sent[0]! >= 200);
      for (let minute = 1; minute <= 5; minute++) {
        await callNewStatements(server, 3, minute * 10);
        const data = await subject.run();
        // And the few of this test and, under the agent's role, of the agent.
        assert.ok(sent[minute]! >= 3 && sent[minute]! < 20, `${sent[minute]} sent`);
        for (let number = 0; number < 200; number++) {
          assert.equal(callsOf(data, number), number >= minute * 10 && number < minute * 10 + 3 ? 1 : 0);
        }
      }
      await callNewStatements(server, 200);
      const data = await subject.run();
      for (let number = 0; number < 200; number++) assert.equal(callsOf(data, number), 1);
      assert.equal(sent.length, 7);
    });
  }

  test("is sent again what was not stored", async () => {
    const sent: number[] = [];
    await using subject = openStatements(server, { around: counting(sent) });
    await callNewStatements(server, 100);
    await subject.run();
    await callNewStatements(server, 50);
    await subject.run({ stored: false });
    await callNewStatements(server, 10);
    const data = await subject.run();
    assert.ok(sent[2]! >= 50);
    assert.deepEqual([5, 30, 70].map((number) => callsOf(data, number)), [2, 1, 0]);
  });

  test("is sent everything after a failure, with deltas since the last document", async () => {
    const sent: number[] = [];
    let failing = false;
    const failure = new DatabaseError("canceling statement due to statement timeout", { kind: "timeout" });
    const count = counting(sent);
    const around = (database: Database): Database => ({
      ...count(database),
      query: (query, signal) => failing ? Promise.reject(failure) : count(database).query(query, signal),
    });
    await using subject = openStatements(server, { around });
    await callNewStatements(server, 100);
    await subject.run();
    await callNewStatements(server, 1);
    failing = true;
    await assert.rejects(subject.run(), failure);
    failing = false;
    await callNewStatements(server, 1);
    const data = await subject.run();
    assert.ok(sent[1]! >= 100);
    assert.deepEqual([0, 1].map((number) => callsOf(data, number)), [2, 0]);
    await subject.run();
    assert.ok(sent[2]! < 20);
  });

  test("tells an entry that was dropped and came back with as many calls", async () => {
    await using subject = openStatements(server);
    await callNewStatements(server, 20);
    await call(server, workload, { times: 3 });
    await subject.run();
    await server.query(
      "select pg_stat_statements_reset(userid, dbid, queryid) from pg_stat_statements " +
        "where query like '%as workload%' and query not like '%reset%'",
    );
    await call(server, workload, { times: 3 });
    assert.equal(find(await subject.run(), "as workload")?.delta?.calls, 3);
    await call(server, workload, { times: 2 });
    assert.equal(find(await subject.run(), "as workload")?.delta?.calls, 2);
  });

  test("catches up with a change that it has overlooked", async () => {
    await server.query("select pg_stat_statements_reset()");
    // One bit of the calls, and none of the time.
    await using subject = openStatements(server, { markMasks: { calls: 1, time: 0 } });
    await call(server, workload, { times: 5 });
    await subject.run();
    await call(server, workload, { times: 2 });
    const overlooked = find(await subject.run(), "as workload")!;
    assert.deepEqual([overlooked.calls, overlooked.delta?.calls], [5, 0]);
    await call(server, workload);
    const next = find(await subject.run(), "as workload")!;
    assert.deepEqual([next.calls, next.delta?.calls], [8, 3]);
  });

  test("finds a new entry that it took for one that it knows", async () => {
    await server.query("select pg_stat_statements_reset()");
    const sent: number[] = [];
    await using subject = openStatements(server, { markMasks: { calls: 0, time: 0 }, around: counting(sent) });
    await callNewStatements(server, 250);
    await subject.run();
    await callNewStatements(server, 100, 1_000);
    const data = await subject.run();
    for (let number = 1_000; number < 1_100; number++) assert.equal(callsOf(data, number), 1);
    assert.equal(sent.length, 3, "not read twice");
  });

  test("reads no text where none may be sent", async () => {
    let texts = 0;
    const onTexts = () => void texts++;
    await using mute = openStatements(server, { queryText: "none", around: counting([], { onTexts }) });
    await call(server, workload);
    const data = await mute.run();
    assert.ok(data.count > 0 && data.statements.every(({ query }) => query === null));
    assert.equal(texts, 0);
  });

  test("sends no literal of a utility statement where texts are redacted", async () => {
    await call(server, "do $$ begin perform 'hush-hush'; end $$");
    await call(server, "create table if not exists noted (id int); comment on table noted is 'hush-hush'");
    for (const queryText of ["full", "redacted"] as const) {
      await using subject = openStatements(server, { queryText });
      const data = await subject.run();
      assert.equal(JSON.stringify(data).includes("hush-hush"), queryText === "full");
      assert.ok(data.statements.some(({ query }) => query?.includes("comment on table noted")));
    }
  });
}

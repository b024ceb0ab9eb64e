// The collector of locks: its contract on the oldest, a middle and the newest server, and its bounds on a scripted one.
import assert from "node:assert/strict";
import type { Row } from "../../collectors/database.ts";
import { DatabaseError } from "../../collectors/database.ts";
import { LocksCollector } from "../../collectors/locks.ts";
import { collectLocks, type LocksData, testLocks } from "../contracts/locks.ts";
import { MemoryDatabase } from "../fakes/memory_database.ts";
import { MemoryLog } from "../support/memory_log.ts";

testLocks(12);
testLocks(14);
testLocks(18);

/** A row of a backend that waits for nothing. */
function backend(pid: number, changes: Row = {}): Row {
  return {
    pid,
    is_there: true,
    leader_pid: null,
    user: "app",
    application_name: "site",
    state: "active",
    query: "select 1",
    xact_ms: 10,
    waiting: 0,
    locktype: null,
    mode: null,
    relation: null,
    wait_ms: null,
    blocking_pids: null,
    is_cut: false,
    prepared: null,
    ...changes,
  };
}

function waiter(pid: number, blocking_pids: number[], changes: Row = {}): Row {
  return backend(pid, { locktype: "relation", mode: "ShareLock", wait_ms: 5, blocking_pids, ...changes });
}

interface Setup {
  collect(): Promise<LocksData>;
  database: MemoryDatabase;
  log: MemoryLog;
}

/** A collector whose server answers these rows, with as many in lock waits as `waiting` says. */
function collectorOf(rows: readonly Row[], waiting = rows.filter((row) => row.locktype !== null).length): Setup {
  const database = new MemoryDatabase()
    .answer("pg_locks columns", [{ name: "waitstart" }, { name: "leader_pid" }])
    .answer("pg_locks", rows.map((row) => ({ ...row, waiting })));
  const log = new MemoryLog();
  const collector = new LocksCollector({
    queryText: "full",
    database,
    waiters: { lockWaiters: () => Promise.resolve(Array.from({ length: waiting }, (_, index) => index + 1)) },
    log,
  });
  return { collect: () => collectLocks(collector), database, log };
}

Deno.test("LocksCollector keeps a document of long statements below 1 MB and says that it is cut", async () => {
  const query = "\u0001😀".repeat(400);
  const rows = [backend(1, { query }), ...Array.from({ length: 499 }, (_, index) => waiter(index + 2, [1], { query }))];
  const { collect, log } = collectorOf(rows);
  const data = await collect();
  assert(new TextEncoder().encode(JSON.stringify(data)).length < 1_000_000);
  assert.deepEqual([data.truncated, data.waiting, data.roots[0]?.blocked_count], [true, 499, 499]);
  assert(data.count > 100 && data.count < 499, `${data.count} pairs`);
  await collect();
  assert.deepEqual(log.of("pg_locks_truncated").map(({ fields }) => fields), [{ waiting: 499, count: data.count }]);
});

Deno.test("LocksCollector sends at most 1,000 pairs and 100 roots, the most blocking first", async () => {
  const holders = Array.from({ length: 150 }, (_, index) => backend(index + 1));
  const pids = holders.map(({ pid }) => Number(pid));
  const waiters = Array.from({ length: 10 }, (_, index) => waiter(1_000 + index, index === 0 ? pids : pids.slice(9)));
  const { locks, roots, truncated, waiting } = await collectorOf([...holders, ...waiters]).collect();
  assert.deepEqual([locks.length, roots.length, truncated, waiting], [1_000, 100, true, 10]);
  assert.deepEqual([roots[0]?.pid, roots[0]?.blocked_count], [10, 10]);
});

Deno.test("LocksCollector counts waiters that were not asked about and lists of blockers that were cut", async () => {
  const unasked = await collectorOf([backend(1), waiter(2, [1])], 7).collect();
  assert.deepEqual([unasked.waiting, unasked.count, unasked.truncated], [7, 1, true]);
  const cut = await collectorOf([backend(1), waiter(2, [1], { is_cut: true })]).collect();
  assert.deepEqual([cut.waiting, cut.count, cut.truncated], [1, 1, true]);
});

Deno.test("LocksCollector forgets a waiter that ended or got its lock and keeps a blocker that ended", async () => {
  const gone = { is_there: false, user: null, application_name: null, state: null, query: null, xact_ms: null };
  const { locks, roots, waiting } = await collectorOf([
    backend(1, gone),
    waiter(2, [1]),
    waiter(3, [2], gone),
    waiter(4, []),
  ])
    .collect();
  assert.deepEqual(locks.map(({ blocked_pid, blocking_pid }) => [blocked_pid, blocking_pid]), [[2, 1]]);
  assert.deepEqual([roots[0]?.pid, roots[0]?.app, waiting], [1, null, 1]);
});

Deno.test("LocksCollector tells a prepared transaction that it cannot name by pid 0 alone", async () => {
  const { roots } = await collectorOf([waiter(2, [0, 0])]).collect();
  assert.deepEqual(roots, [{
    pid: 0,
    user: null,
    app: null,
    correlation_id: null,
    state: "prepared",
    statement: null,
    xact_ms: null,
    blocked_count: 1,
  }]);
});

Deno.test("LocksCollector takes a leader and its workers as one waiter, with the leader's own wait", async () => {
  const { locks, waiting } = await collectorOf([
    backend(1),
    waiter(8, [1], { leader_pid: 7, locktype: "extend" }),
    waiter(7, [1, 1], { leader_pid: 7, locktype: "tuple" }),
    waiter(9, [1], { leader_pid: 7, locktype: "extend" }),
  ]).collect();
  assert.deepEqual(locks.map(({ blocked_pid, locktype }) => [blocked_pid, locktype]), [[7, "tuple"]]);
  assert.equal(waiting, 1);
});

Deno.test("LocksCollector looks at the server's columns once, and again at another server", async () => {
  const { collect, database } = collectorOf([backend(1), waiter(2, [1])]);
  await collect();
  await collect();
  assert.deepEqual(database.asked, ["pg_locks columns", "pg_locks", "pg_locks"]);
  assert.match(database.queries[1]!.text, /\bwaitstart,/);
  database.goAway();
  await assert.rejects(collect(), DatabaseError);
  database.comeBack({ version: "12.22" });
  database.answer("pg_locks columns", []);
  await collect();
  assert.deepEqual(database.asked.slice(3), ["pg_locks columns", "pg_locks"]);
  assert.match(database.queries.at(-1)!.text, /null::timestamptz as waitstart/);
});

Deno.test("LocksCollector hands on at most 500 waiters and looks many up by one sweep", async () => {
  const { collect, database } = collectorOf([waiter(2, [1])], 600);
  await collect();
  const { text, values } = database.queries.at(-1)!;
  assert.equal((values?.[0] as number[]).length, 500);
  assert.match(text, /pg_stat_get_activity\(null\)/);
});

Deno.test("LocksCollector names the column that is not what it must be", async () => {
  await assert.rejects(collectorOf([waiter(2, [1], { blocking_pids: "{1}" })]).collect(), /"blocking_pids"/);
  await assert.rejects(collectorOf([waiter(2, [1], { mode: 7 })]).collect(), /"mode"/);
});

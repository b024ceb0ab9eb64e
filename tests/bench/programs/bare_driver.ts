/**
 * What the agent is measured against: the five documents of a cycle in the plain way. One connection of the driver reads
 * the same rows, the machine's figures are read from the same files, and each document becomes JSON in UTF-8. Each line
 * on stdin is a cycle; answers each with a line of its processor time.
 *
 * The rows: sessions that are not idle and totals of all; every entry of pg_stat_statements, without texts, because a
 * difference can only be ranked when all are known; who waits for whom. Texts of statements, and names of databases and
 * roles, are read when one is reported that is not known.
 *
 * Left out is what the agent adds: nothing is checked, redacted, bounded, timed, logged, stored, compressed or sent, no
 * entry of its own is left out, and a failure ends it. A queue is told as far as each waiter's first blocker leads.
 *
 * Usage: `bare_driver.ts HOST PORT DATABASE USER PASSWORD PROCFS PATH...`: the file systems of the paths are told.
 *
 * @module
 */

import { stat, statfs } from "node:fs/promises";
import os from "node:os";
import process from "node:process";
import { Client } from "pg";

const statementsMax = 100;

const [host = "", port, database = "", user = "", password = "", procfs = "", ...paths] = Deno.args;
const client = new Client({ host, port: Number(port), database, user, password, application_name: "bare", ssl: false });
await client.connect();

type Entry = Record<string, unknown>;

/** The counters of the cycle before, by key. */
let previous = new Map<string, Entry>();
const texts = new Map<unknown, unknown>();
const names = new Map<unknown, unknown>();
let sequence = 0;

/** The documents of one cycle. */
async function readDocuments(): Promise<Entry[]> {
  const sessions = await rows(`select pid, datname, usename, application_name, client_addr, backend_start, xact_start,
    query_start, state_change, state, wait_event_type, wait_event, backend_type, leader_pid, query_id, left(query, 1001)
    as query, age(backend_xmin) as backend_xmin_age,
    extract(epoch from clock_timestamp() - query_start)::float8 * 1000 as query_ms,
    extract(epoch from clock_timestamp() - xact_start)::float8 * 1000 as xact_ms
    from pg_stat_activity where state <> 'idle' and pid <> pg_backend_pid()`);
  for (const session of sessions) session.correlation_id = correlationOf(session);
  const states = await rows("select state, count(*) from pg_stat_activity group by state");
  const statements = rankByDelta(await rows("select * from pg_stat_statements(false)"));
  await nameThem(statements);
  const waiters = await rows(`select pid, pg_blocking_pids(pid) as blocking_pids from pg_stat_activity
    where wait_event_type = 'Lock'`);
  const locks = waiters.length === 0 ? [] : await rows("select * from pg_locks where not granted");
  return [
    envelope("pg_stat_activity", { sessions, count: sessions.length, by_state: states }),
    envelope("pg_stat_statements", { statements, count: statements.length }),
    envelope("pg_locks", tellLocks({ sessions, waiters, locks })),
    envelope("system_metrics", await readMachine()),
    envelope("agent_status", { uptime_s: process.uptime(), memory: process.memoryUsage(), cpu: process.cpuUsage() }),
  ];
}

function envelope(type: string, data: Entry): Entry {
  sequence += 1;
  return {
    id: crypto.randomUUID(),
    project: "bench",
    host: os.hostname(),
    type,
    sequence,
    timestamp: new Date(),
    data,
  };
}

function correlationOf({ application_name: name }: Entry): string | null {
  return /^bitville-([0-9a-f-]{36})/i.exec(String(name))?.[1] ?? null;
}

/** The hundred that took the most since the cycle before, with what they took. */
function rankByDelta(statements: readonly Entry[]): Entry[] {
  const keyOf = ({ userid, dbid, queryid, toplevel }: Entry) => `${userid}/${dbid}/${queryid}/${toplevel}`;
  const timeOf = (entry: Entry) =>
    Number(entry.total_exec_time) - Number(previous.get(keyOf(entry))?.total_exec_time ?? 0);
  const top = statements.toSorted((one, other) => timeOf(other) - timeOf(one)).slice(0, statementsMax);
  const ranked = top.map((entry) => ({ ...entry, delta: difference(entry, previous.get(keyOf(entry))) }));
  previous = new Map(statements.map((entry) => [keyOf(entry), entry]));
  return ranked;
}

function difference(entry: Entry, before: Entry | undefined): Record<string, number> | null {
  if (before === undefined) return null;
  const counters = Object.keys(entry).filter((name) =>
    !/^(userid|dbid|queryid|toplevel|query|stats_|m(in|ax|ean)_|stddev_)/.test(name)
  );
  return Object.fromEntries(counters.map((name) => [name, Number(entry[name]) - Number(before[name])]));
}

/** Fills in texts and names. */
async function nameThem(statements: readonly Entry[]): Promise<void> {
  const unknown = statements.map(({ queryid }) => queryid).filter((queryid) => !texts.has(queryid));
  if (unknown.length > 0) {
    const found = await client.query(
      "select queryid, left(query, 1000) as query from pg_stat_statements where queryid = any($1::bigint[])",
      [unknown],
    );
    for (const { queryid, query } of found.rows) texts.set(queryid, query);
  }
  if (statements.some(({ dbid, userid }) => !names.has(dbid) || !names.has(userid))) {
    const found = await rows(
      "select oid, datname as name from pg_database union all select oid, rolname from pg_roles",
    );
    for (const { oid, name } of found) names.set(oid, name);
  }
  for (const statement of statements) {
    statement.query = texts.get(statement.queryid) ?? null;
    statement.datname = names.get(statement.dbid) ?? null;
    statement.usename = names.get(statement.userid) ?? null;
  }
}

/** Who waits for whom, and who holds up all of them. */
function tellLocks({ sessions, waiters, locks }: { sessions: Entry[]; waiters: Entry[]; locks: Entry[] }): Entry {
  const bySession = new Map(sessions.map((session) => [session.pid, session]));
  const byWaiter = new Map(locks.map((lock) => [lock.pid, lock]));
  const blockerOf = new Map(waiters.map(({ pid, blocking_pids }) => [pid, (blocking_pids as number[])[0]]));
  const blocked = new Map<unknown, number>();
  const told = waiters.map(({ pid }) => {
    let [root, depth] = [blockerOf.get(pid), 1];
    for (; blockerOf.has(root) && depth <= waiters.length; depth++) root = blockerOf.get(root);
    blocked.set(root, (blocked.get(root) ?? 0) + 1);
    const [waiter, blocker, lock] = [bySession.get(pid), bySession.get(blockerOf.get(pid)), byWaiter.get(pid)];
    return {
      blocked_pid: pid,
      blocked_user: waiter?.usename,
      blocked_app: waiter?.application_name,
      blocked_correlation_id: waiter?.correlation_id,
      blocked_statement: String(waiter?.query).slice(0, 500),
      blocking_pid: blocker?.pid,
      blocking_user: blocker?.usename,
      blocking_app: blocker?.application_name,
      blocking_correlation_id: blocker?.correlation_id,
      blocking_statement: String(blocker?.query).slice(0, 500),
      ...{ root_pid: root, depth, locktype: lock?.locktype, mode: lock?.mode, relation: lock?.relation },
      wait_ms: Date.now() - Number(lock?.waitstart),
    };
  });
  const roots = [...blocked].map(([pid, count]) => ({ ...bySession.get(pid), blocked_count: count }));
  return { locks: told, count: told.length, waiting: waiters.length, roots };
}

async function readMachine(): Promise<Entry> {
  const pressures = ["cpu", "memory", "io"].map((name) =>
    Deno.readTextFile(`/proc/pressure/${name}`).catch(() => null)
  );
  const fileSystems = paths.map(async (path) => ({ path, dev: (await stat(path)).dev, ...await statfs(path) }));
  return {
    cpu: os.cpus().map(({ times }) => times),
    load_average: Deno.loadavg(),
    memory: Deno.systemMemoryInfo(),
    disk_io: sumOf(await Deno.readTextFile(`${procfs}/diskstats`), [3, 7, 5, 9]),
    network_io: sumOf(await Deno.readTextFile(`${procfs}/net/dev`), [1, 9, 2, 10]),
    pressure: (await Promise.all(pressures)).map((text) => text?.match(/[\d.]+/g)?.map(Number) ?? null),
    filesystems: await Promise.all(fileSystems),
  };
}

/** Of columns that are numbers, over all lines. */
function sumOf(text: string, columns: readonly number[]): number[] {
  const lines = text.trim().split("\n").map((line) => line.trim().split(/\s+/));
  return columns.map((column) => lines.reduce((sum, line) => sum + (Number(line[column]) || 0), 0));
}

async function rows(text: string): Promise<Entry[]> {
  return (await client.query(text)).rows;
}

async function cycle(): Promise<{ cpuMs: number; bytes: number }> {
  const before = process.cpuUsage();
  const bodies = (await readDocuments()).map((document) => new TextEncoder().encode(JSON.stringify(document)));
  const { user, system } = process.cpuUsage(before);
  return { cpuMs: (user + system) / 1_000, bytes: bodies.reduce((total, { length }) => total + length, 0) };
}

const decoder = new TextDecoder();
for await (const bytes of Deno.stdin.readable) {
  for (const _ of decoder.decode(bytes).matchAll(/\n/g)) console.log(JSON.stringify(await cycle()));
}
await client.end();

/**
 * What the agent is measured against: one connection of the driver that reads the same rows in the plain way and makes
 * JSON of the same documents, differences included, with nothing around it. Each line on stdin is a cycle; answers each with a line of its
 * processor time.
 *
 * The rows: sessions that are not idle and totals of all; every entry of pg_stat_statements, without texts, because a
 * difference can only be ranked when all are known; who waits for whom, and the locks. No text of a statement is read,
 * which makes it cheaper than what it stands for.
 *
 * Usage: `bare_driver.ts HOST PORT DATABASE USER PASSWORD`
 *
 * @module
 */

import process from "node:process";
import { Client } from "pg";

const statementsMax = 100;

const [host = "", port, database = "", user = "", password = ""] = Deno.args;
const client = new Client({ host, port: Number(port), database, user, password, application_name: "bare", ssl: false });
await client.connect();

type Entry = Record<string, unknown>;

/** The counters of the cycle before, by key. */
let previous = new Map<string, Entry>();

/** All that the agent's documents of one cycle hold. */
async function readDocuments(): Promise<unknown[]> {
  const sessions = await rows(`select pid, datname, usename, application_name, client_addr, backend_start, xact_start,
    query_start, state_change, state, wait_event_type, wait_event, backend_type, leader_pid, query_id, left(query, 1001)
    as query, age(backend_xmin) as backend_xmin_age from pg_stat_activity where state <> 'idle' and pid <> pg_backend_pid()`);
  const states = await rows("select state, count(*) from pg_stat_activity group by state");
  const statements = await rows("select * from pg_stat_statements(false)");
  const blockers = await rows(`select pid, pg_blocking_pids(pid) as blocking_pids from pg_stat_activity
    where wait_event_type = 'Lock'`);
  const locks = blockers.length === 0 ? [] : await rows("select * from pg_locks where not granted");
  const top = rankByDelta(statements);
  const direct = blockers.map(({ pid, blocking_pids }) => ({ pid, blocking_pid: (blocking_pids as number[])[0] }));
  return [{ sessions, states }, { statements: top }, { locks, direct }];
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

async function rows(text: string): Promise<Record<string, unknown>[]> {
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

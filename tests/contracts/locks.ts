/**
 * What {@link LocksCollector} promises on every version of PostgreSQL: each test makes a knot of locks on a real server
 * and asks who is to blame.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import { Client } from "pg";
import type { Database, Query, Row } from "../../collectors/database.ts";
import { LocksCollector } from "../../collectors/locks.ts";
import {
  type EmbeddedPostgres,
  type PostgresVersion,
  startEmbeddedPostgres,
} from "../../tasks/demo/embedded_postgres.ts";
import { MemoryLog } from "../support/memory_log.ts";
import { openDatabase } from "../support/open_database.ts";
import { waitFor } from "../support/wait_for.ts";

/** One element of `locks`. */
export interface Lock {
  blocked_pid: number;
  blocked_user: string | null;
  blocked_app: string | null;
  blocked_correlation_id: string | null;
  blocked_statement: string | null;
  blocking_pid: number;
  blocking_user: string | null;
  blocking_app: string | null;
  blocking_correlation_id: string | null;
  blocking_statement: string | null;
  root_pid: number;
  depth: number;
  locktype: string;
  mode: string;
  relation: string | null;
  wait_ms: number | null;
}

/** One element of `roots`. */
export interface Root {
  pid: number;
  user: string | null;
  app: string | null;
  correlation_id: string | null;
  state: string | null;
  statement: string | null;
  xact_ms: number | null;
  blocked_count: number;
}

/** `data` of a document of type pg_locks. */
export interface LocksData {
  locks: Lock[];
  count: number;
  has_blocking: boolean;
  waiting: number;
  roots: Root[];
  truncated: boolean;
}

const isValid = new Ajv2020({ allowUnionTypes: true }).compile(
  JSON.parse(Deno.readTextFileSync(new URL("../../docs/schemas/pg_locks.schema.json", import.meta.url))),
);

/** Collects once and holds what came against the schema. */
export async function collectLocks(collector: LocksCollector): Promise<LocksData> {
  const collection = await collector.collect({ timestamp: new Date(), signal: new AbortController().signal });
  assert(collection.kind === "samples");
  const data = collection.data as unknown as LocksData;
  assert(isValid(data), JSON.stringify(isValid.errors));
  assert.equal(collection.rows, data.locks.length);
  return data;
}

/** The join of PostgreSQL's wiki ("Lock Monitoring"), which this collector is measured against. */
const wikiSql = `
select blocked_locks.pid as blocked_pid, blocked_activity.usename as blocked_user, blocking_locks.pid as blocking_pid,
  blocking_activity.usename as blocking_user, blocked_activity.query as blocked_statement,
  blocking_activity.query as current_statement_in_blocking_process
from pg_catalog.pg_locks blocked_locks
join pg_catalog.pg_stat_activity blocked_activity on blocked_activity.pid = blocked_locks.pid
join pg_catalog.pg_locks blocking_locks on blocking_locks.locktype = blocked_locks.locktype
  and blocking_locks.database is not distinct from blocked_locks.database
  and blocking_locks.relation is not distinct from blocked_locks.relation
  and blocking_locks.page is not distinct from blocked_locks.page
  and blocking_locks.tuple is not distinct from blocked_locks.tuple
  and blocking_locks.virtualxid is not distinct from blocked_locks.virtualxid
  and blocking_locks.transactionid is not distinct from blocked_locks.transactionid
  and blocking_locks.classid is not distinct from blocked_locks.classid
  and blocking_locks.objid is not distinct from blocked_locks.objid
  and blocking_locks.objsubid is not distinct from blocked_locks.objsubid
  and blocking_locks.pid != blocked_locks.pid
join pg_catalog.pg_stat_activity blocking_activity on blocking_activity.pid = blocking_locks.pid
where not blocked_locks.granted`;

/** A database that keeps what it was asked. */
class Overheard implements Pick<Database, "server" | "query"> {
  readonly queries: Query[] = [];
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  server() {
    return this.#database.server();
  }

  query(query: Query, signal?: AbortSignal): Promise<readonly Row[]> {
    this.queries.push(query);
    return this.#database.query(query, signal);
  }
}

/** An application whose sessions get in each other's way. */
class Site implements AsyncDisposable {
  readonly #postgres: EmbeddedPostgres;
  readonly #clients: Client[] = [];

  constructor(postgres: EmbeddedPostgres) {
    this.#postgres = postgres;
  }

  /** A session that has run these statements. */
  async open(
    text: string,
    options: { app?: string; database?: string } = {},
  ): Promise<{ pid: number; client: Client }> {
    const { host, port, user } = this.#postgres;
    const { app = "site", database = "postgres" } = options;
    const client = new Client({ host, port, user, database, application_name: app });
    client.on("error", () => {});
    this.#clients.push(client);
    await client.connect();
    const { rows: [row] } = await client.query("select pg_backend_pid() as pid");
    if (text !== "") await client.query(text);
    return { pid: row.pid, client };
  }

  /** A session that has run `before` and then waits in `text`; resolves when it does. */
  async wait(text: string, options: { app?: string; database?: string; before?: string } = {}): Promise<number> {
    const { pid, client } = await this.open(options.before ?? "", options);
    client.query(text).catch(() => {});
    await waitFor(`${text} to wait`, async () => (await this.waiting()).includes(pid));
    return pid;
  }

  async waiting(): Promise<number[]> {
    const rows = await this.#postgres.query("select pid from pg_stat_activity where wait_event_type = 'Lock'");
    return rows.map(({ pid }) => Number(pid));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#postgres.query(`
      select pg_terminate_backend(pid) from pg_stat_activity where application_name ~ '^(site|bitville-[0-9a-f])'`);
    await Promise.all(this.#clients.map((client) => client.end().catch(() => {})));
    await waitFor("the site to be gone", async () => {
      const text = "select pid from pg_stat_activity where application_name ~ '^(site|bitville-[0-9a-f])'";
      return (await this.#postgres.query(text)).length === 0;
    });
  }
}

/** What a test is given. */
interface Bench {
  postgres: EmbeddedPostgres;
  site: Site;
  queries: Query[];
  log: MemoryLog;
  /** Collects; `user` is whom the agent is logged in as, `also` are pids that are said to wait beside those who do. */
  collect(options?: { user?: string; also?: number[] }): Promise<LocksData>;
}

function columns<Key extends keyof Lock>(locks: readonly Lock[], ...keys: Key[]): Lock[Key][][] {
  return locks.map((lock) => keys.map((key) => lock[key]));
}

/** Registers the suite for one version. */
export function testLocks(version: PostgresVersion): void {
  let postgres: EmbeddedPostgres;
  Deno.test.beforeAll(async () => {
    postgres = await startEmbeddedPostgres({
      version,
      settings: { max_connections: "350", max_prepared_transactions: "5", deadlock_timeout: "60s" },
    });
    await postgres.query(`
      create table account (id integer primary key, balance integer); insert into account select g, 0
      from generate_series(1, 10) g; create role monitor login in role pg_monitor; create role nobody login;
      create table "Odd name" (id integer)`);
    await postgres.query("create database other");
  });
  Deno.test.afterAll(async () => await postgres[Symbol.asyncDispose]());

  const test = (sentence: string, body: (bench: Bench) => Promise<void>) =>
    Deno.test(`LocksCollector on PostgreSQL ${version} ${sentence}`, async () => {
      await using site = new Site(postgres);
      const queries: Query[] = [];
      const log = new MemoryLog();
      const collect: Bench["collect"] = async ({ user = "postgres", also = [] } = {}) => {
        await using opened = openDatabase(postgres, { user });
        const database = new Overheard(opened.database);
        const lockWaiters = async () => [...also, ...await site.waiting()];
        const collector = new LocksCollector({
          queryText: "full",
          database: database as unknown as Database,
          waiters: { lockWaiters },
          log,
        });
        const data = await collectLocks(collector);
        queries.push(...database.queries);
        return data;
      };
      await body({ postgres, site, queries, log, collect });
    });

  test("asks nothing while nobody waits", async ({ site, queries, collect }) => {
    await site.open("begin; lock table account");
    assert.deepEqual(await collect(), {
      locks: [],
      count: 0,
      has_blocking: false,
      waiting: 0,
      roots: [],
      truncated: false,
    });
    assert.deepEqual(queries, []);
  });

  test("finds the root and the depth of a chain of five sessions", async ({ site, collect }) => {
    const row = (id: number) => `update account set balance = 1 where id = ${id}`;
    const { pid: root } = await site.open(`begin; ${row(1)}`);
    const pids = [root];
    for (const id of [1, 2, 3, 4]) pids.push(await site.wait(row(id), { before: `begin; ${row(id + 1)}` }));
    const data = await collect();
    assert.deepEqual(
      columns(data.locks, "blocked_pid", "blocking_pid", "root_pid", "depth"),
      [1, 2, 3, 4].map((depth) => [pids[depth], pids[depth - 1], root, depth]),
    );
    assert(data.locks.every(({ locktype, mode }) => locktype === "transactionid" && mode === "ShareLock"));
    assert(data.locks.every(({ relation }) => relation === "public.account"), "the table of the row");
    assert.deepEqual([data.count, data.has_blocking, data.waiting, data.truncated], [4, true, 4, false]);
    const [only, ...others] = data.roots;
    assert.deepEqual(others, []);
    assert.deepEqual([only?.pid, only?.blocked_count, only?.state], [root, 4, "idle in transaction"]);
    assert.equal(only?.statement, `begin; ${row(1)}`);
    assert(only.xact_ms !== null && only.xact_ms > 0);
    for (const { wait_ms } of data.locks) {
      if (version < 14) assert.equal(wait_ms, null);
      else assert(wait_ms !== null && wait_ms >= 0 && wait_ms < only.xact_ms);
    }
  });

  test("tells 300 waiters on one row in a tenth of the wiki's time and less than 1 MB", async (bench) => {
    const { postgres, site, queries, collect } = bench;
    const text = `update account set balance = balance + 1 where id = 1 /* ${"x".repeat(600)} */`;
    const { pid: root } = await site.open("begin; update account set balance = 1 where id = 1");
    const first = await site.wait(text);
    const sessions = await Promise.all(Array.from({ length: 299 }, () => site.open("")));
    for (const { client } of sessions) client.query(text).catch(() => {});
    await waitFor("300 waiters", async () => (await site.waiting()).length === 300);
    const data = await collect();
    assert.deepEqual([data.count, data.waiting, data.truncated], [300, 300, false]);
    assert.deepEqual(data.roots.map(({ pid, blocked_count }) => [pid, blocked_count]), [[root, 300]]);
    assert(data.locks.every(({ root_pid }) => root_pid === root));
    const [behindRoot, ...others] = data.locks;
    assert.deepEqual(columns([behindRoot!], "blocked_pid", "blocking_pid", "depth", "locktype"), [
      [first, root, 1, "transactionid"],
    ]);
    assert(
      others.every(({ blocking_pid, depth, locktype }) =>
        blocking_pid === first && depth === 2 && locktype === "tuple"
      ),
    );
    assert(data.locks.every(({ relation }) => relation === "public.account"));
    assert(data.locks.every(({ blocked_statement }) => blocked_statement?.length === 500));
    assert(new TextEncoder().encode(JSON.stringify(data)).length < 1_000_000);
    const ours = await serverMs(postgres, queries.at(-1)!);
    const wiki = await serverMs(postgres, { text: wikiSql });
    assert(ours < wiki / 10, `${ours} ms, the wiki's join ${wiki} ms`);
  });

  test("puts a waiting ALTER TABLE between a long SELECT and those behind it", async ({ site, collect }) => {
    const { pid: reader } = await site.open("begin; select * from account");
    const alter = await site.wait("alter table account add column note text");
    const readers = [await site.wait("select 1 from account"), await site.wait("select 2 from account")];
    const second = await site.wait("alter table account add column other text");
    const last = await site.wait("select 3 from account");
    const { locks, roots, waiting } = await collect();
    assert.deepEqual(
      new Set(columns(locks, "blocked_pid", "blocking_pid", "depth", "mode").map(String)),
      new Set([
        [alter, reader, 1, "AccessExclusiveLock"],
        [second, reader, 1, "AccessExclusiveLock"],
        ...[...readers, last].map((pid) => [pid, alter, 2, "AccessShareLock"]),
      ].map(String)),
    );
    assert(locks.every(({ relation, root_pid }) => relation === "public.account" && root_pid === reader));
    assert.deepEqual([roots.length, roots[0]?.blocked_count, waiting], [1, 5, 5]);
  });

  test("finds advisory locks, held by an idle session too, and names each side's request", async (bench) => {
    const ids = Array.from({ length: 2 }, () => crypto.randomUUID());
    const { pid: idle } = await bench.site.open("select pg_advisory_lock(1)", { app: `bitville-${ids[0]}` });
    const waiter = await bench.site.wait("select pg_advisory_lock(1)", { app: `bitville-${ids[1]} - 10.0.0.1:5432` });
    const { pid: open } = await bench.site.open("begin; select pg_advisory_xact_lock(2, 3)");
    const shared = await bench.site.wait("select pg_advisory_xact_lock_shared(2, 3)");
    const { locks, roots } = await bench.collect();
    const ofIdle = locks.find(({ blocking_pid }) => blocking_pid === idle)!;
    assert.equal(ofIdle.blocked_pid, waiter);
    assert.deepEqual([ofIdle.blocked_correlation_id, ofIdle.blocking_correlation_id], [ids[1], ids[0]]);
    assert.deepEqual([ofIdle.locktype, ofIdle.mode, ofIdle.relation], ["advisory", "ExclusiveLock", null]);
    const ofOpen = locks.find(({ blocking_pid }) => blocking_pid === open)!;
    assert.deepEqual([ofOpen.blocked_pid, ofOpen.mode, ofOpen.blocked_correlation_id], [shared, "ShareLock", null]);
    const root = roots.find(({ pid }) => pid === idle)!;
    assert.deepEqual([root.correlation_id, root.state, root.xact_ms], [ids[0], "idle", null]);
    assert.equal(root.statement, "select pg_advisory_lock(1)");
  });

  test("says which prepared transaction blocks", async ({ postgres, site, collect }) => {
    await site.open("begin; update account set balance = 1 where id = 1; prepare transaction 'it''s ours'");
    await site.open("begin; select * from account; prepare transaction 'reads'");
    try {
      const writer = await site.wait("update account set balance = 2 where id = 1");
      const share = await site.wait("begin; lock table account in share row exclusive mode");
      const { locks, roots } = await collect();
      const ours = locks.filter(({ blocking_pid }) => blocking_pid === 0);
      assert.deepEqual(new Set(ours.map(({ blocked_pid }) => blocked_pid)), new Set([writer, share]));
      assert(ours.every((lock) => lock.blocking_statement === "PREPARE TRANSACTION 'it''s ours'"));
      assert(ours.every(({ depth, root_pid }) => depth === 1 && root_pid === 0));
      const [root, ...others] = roots.filter(({ pid }) => pid === 0);
      assert.deepEqual(others, [], "the one that only reads is in nobody's way");
      assert.deepEqual([root?.user, root?.app, root?.state, root?.blocked_count], ["postgres", null, "prepared", 2]);
      assert((root?.xact_ms ?? -1) >= 0);
    } finally {
      await postgres.query("rollback prepared 'it''s ours'");
      await postgres.query("rollback prepared 'reads'");
    }
  });

  test("names all holders that one waiter waits for and counts it for each", async ({ site, collect }) => {
    const text = "begin; lock table account in share mode";
    const holders = [(await site.open(text)).pid, (await site.open(text)).pid, (await site.open(text)).pid];
    const waiter = await site.wait("update account set balance = 1");
    const behind = await site.wait("begin; lock table account in access exclusive mode");
    const { locks, roots } = await collect();
    assert.deepEqual(
      new Set(columns(locks, "blocked_pid", "blocking_pid").map(String)),
      new Set(holders.flatMap((holder) => [[waiter, holder], [behind, holder]]).map(String)),
    );
    assert(locks.every(({ root_pid, depth }) => root_pid === holders[0] && depth === 1), "the oldest transaction");
    assert.deepEqual(roots.map(({ pid, blocked_count }) => [pid, blocked_count]), holders.map((pid) => [pid, 2]));
  });

  test("makes the longest transaction of a deadlock its root", async ({ site, collect }) => {
    const row = (id: number) => `update account set balance = 1 where id = ${id}`;
    const pids: number[] = [];
    const sessions: Client[] = [];
    for (const id of [1, 2, 3]) {
      const { pid, client } = await site.open(`begin; ${row(id)}`);
      pids.push(pid);
      sessions.push(client);
    }
    const [one, two, three] = pids as [number, number, number];
    sessions.forEach((client, index) => client.query(row((index + 1) % 3 + 1)).catch(() => {}));
    await waitFor("the deadlock", async () => (await site.waiting()).length === 3);
    const behind = await site.wait(row(3));
    const { locks, roots, waiting } = await collect();
    assert.deepEqual(columns(locks, "blocked_pid", "blocking_pid", "root_pid", "depth").slice(0, 3), [
      [one, two, one, 0],
      [three, one, one, 1],
      [two, three, one, 2],
    ]);
    assert.equal(locks.find(({ blocked_pid }) => blocked_pid === behind)?.root_pid, one);
    assert.deepEqual([roots.length, roots[0]?.pid, roots[0]?.blocked_count, waiting], [1, one, 3, 4]);
  });

  test("tells a role without privileges who, but not what", async ({ site, collect }) => {
    const id = crypto.randomUUID();
    const { pid: root } = await site.open("begin; lock table account", { app: `bitville-${id}` });
    const waiter = await site.wait("select 1 from account");
    const seen = await collect({ user: "monitor" });
    assert.equal(seen.locks[0]?.blocked_statement, "select 1 from account");
    const { locks, roots } = await collect({ user: "nobody" });
    assert.deepEqual(columns(locks, "blocked_pid", "blocking_pid", "blocking_correlation_id"), [[waiter, root, id]]);
    assert.deepEqual(columns(locks, "blocked_statement", "blocking_statement", "relation"), [
      [null, null, "public.account"],
    ]);
    assert.deepEqual([roots[0]?.user, roots[0]?.state, roots[0]?.xact_ms], ["postgres", null, null]);
  });

  test("names relations as SQL would, and those of another database by number", async ({ postgres, site, collect }) => {
    const [row] = await postgres.query(
      "create table if not exists far (id int); select 'far'::regclass::oid::int as oid",
      {
        database: "other",
      },
    );
    await site.open('begin; lock table "Odd name"');
    const near = await site.wait('select 1 from "Odd name"');
    await site.open("begin; lock table far", { database: "other" });
    const far = await site.wait("select 1 from far", { database: "other" });
    await site.open("begin; lock table pg_shdescription", { database: "other" });
    const shared = await site.wait("select 1 from pg_shdescription", { database: "other" });
    const { locks } = await collect();
    const names = new Map(locks.map(({ blocked_pid, relation }) => [blocked_pid, relation]));
    assert.deepEqual([names.get(near), names.get(far)], ['public."Odd name"', `other:${row?.oid}`]);
    assert.equal(names.get(shared), "pg_catalog.pg_shdescription");
  });

  test("leaves out a waiter that is gone and takes in one that came", async ({ site, collect }) => {
    assert.deepEqual(await collect({ also: [1, 2 ** 31 - 1] }), {
      locks: [],
      count: 0,
      has_blocking: false,
      waiting: 0,
      roots: [],
      truncated: false,
    });
    const { pid: root } = await site.open("begin; lock table account");
    const waiter = await site.wait("select 1 from account");
    const { locks, waiting } = await collect({ also: [1] });
    assert.deepEqual([columns(locks, "blocked_pid", "root_pid"), waiting], [[[waiter, root]], 1]);
  });

  test("takes a parallel query as one, as holder and as waiter", async ({ postgres, site, collect }) => {
    await postgres.query(`
      create table big as select g from generate_series(1, 1000) g; alter table big set (parallel_workers = 2);
      create function slow() returns int language plpgsql parallel safe as
      'begin perform pg_sleep(0.1); return (select count(*) from account); end'`);
    const parallel = `begin; set local parallel_setup_cost = 0; set local parallel_tuple_cost = 0;
      set local min_parallel_table_scan_size = 0; set local parallel_leader_participation = off;`;
    const { pid: holder } = await site.open("begin; lock table account");
    const { pid: leader, client } = await site.open(parallel);
    client.query("select count(slow()) from big").catch(() => {});
    await waitFor("two workers to wait", async () => (await site.waiting()).length === 2);
    const alter = await site.wait("alter table big add column note text");
    const { locks, roots, waiting } = await collect();
    const workers = columns(locks.filter(({ blocking_pid }) => blocking_pid === holder), "blocked_pid", "depth");
    if (version < 13) {
      assert.equal(workers.length, 2, "nothing tells whose worker it is");
      assert(workers.every(([pid, depth]) => pid !== leader && depth === 1));
      assert.deepEqual(new Set(roots.map(({ pid }) => pid)), new Set([holder, leader]));
      return;
    }
    assert.deepEqual(workers, [[leader, 1]]);
    assert.deepEqual(columns(locks, "blocked_pid", "blocking_pid", "root_pid", "depth"), [
      [leader, holder, holder, 1],
      [alter, leader, holder, 2],
    ]);
    assert.deepEqual([roots.length, roots[0]?.blocked_count, waiting], [1, 2, 2]);
  });
}

/**
 * What the server needs for a statement at best, in milliseconds, rows made ready to send included: as pg_stat_statements
 * has it.
 */
export async function serverMs(postgres: EmbeddedPostgres, { text, values }: Query, runs = 5): Promise<number> {
  await postgres.query("create extension if not exists pg_stat_statements; select pg_stat_statements_reset()");
  for (let run = 0; run < runs; run++) {
    await postgres.query(text, values === undefined ? {} : { values: [...values] });
  }
  const rows = await postgres.query("select * from pg_stat_statements where calls = $1", { values: [runs] });
  assert.equal(rows.length, 1);
  return Number(rows[0]?.min_exec_time ?? rows[0]?.min_time);
}

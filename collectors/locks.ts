/**
 * Who blocks whom: `pg_locks` and `pg_blocking_pids`, with the web request behind each side.
 *
 * Nobody waits: no statement is sent. Somebody waits: one statement asks about the waiters and those they wait for; what
 * travels grows with them and not with the square of a queue. A role that may not see who waits has to ask every time.
 * docs/documents/pg_locks.md has the definitions.
 *
 * @module
 */

import * as limits from "../limits.ts";
import type { Log } from "../log.ts";
import { growBlockingTree, type Place } from "./blocking_tree.ts";
import type { CollectContext, Collection, Collector } from "./collector.ts";
import { correlationId } from "./correlation.ts";
import type { Database, Row, Server } from "./database.ts";
import { locksSql, type LockViews, lockViewsSql, readLockViews } from "./locks_sql.ts";
import { presentQuery, type QueryText } from "./query_text.ts";
import { type Restraint, unrestrained } from "./restraint.ts";
import { readBoolean, readCount, readMs, readNumber, readText } from "./row.ts";

/** Tells which backends wait for a lock, from what was read of pg_stat_activity in this cycle anyway. */
export interface LockWaiters {
  /** Process ids of the backends with `wait_event_type = 'Lock'`; where it is known, the longest waiting first. */
  lockWaiters(context: CollectContext): Promise<readonly number[]>;
}

/** A backend, or a prepared transaction, which has no process: `pid` 0. */
interface Party {
  pid: number;
  user: string | null;
  app: string | null;
  state: string | null;
  statement: string | null;
  xactMs: number | null;
}

/** What somebody waits for. */
interface Wait {
  locktype: string | null;
  mode: string | null;
  relation: string | null;
  waitMs: number | null;
}

/** What the statement found. Ids are process ids; 0 or below are prepared transactions, which have none. */
interface Findings {
  parties: Map<number, Party>;
  waits: Map<number, Wait>;
  blockers: Map<number, readonly number[]>;
  /** Waiters that were not asked about. */
  unasked: number;
  truncated: boolean;
  queryText: QueryText;
}

/** Reads who waits for whom. */
export class LocksCollector implements Collector {
  readonly name = "pg_locks";
  readonly #database: Database;
  readonly #waiters: LockWaiters;
  readonly #log: Log;
  readonly #queryText: QueryText;
  readonly #restraint: Restraint;
  readonly #views = new WeakMap<Server, LockViews>();
  #truncated = false;

  constructor(
    options: { database: Database; waiters: LockWaiters; log: Log; queryText: QueryText; restraint?: Restraint },
  ) {
    this.#database = options.database;
    this.#waiters = options.waiters;
    this.#log = options.log;
    this.#queryText = options.queryText;
    this.#restraint = options.restraint ?? unrestrained;
  }

  async collect(context: CollectContext): Promise<Collection> {
    const waiting = await this.#waiters.lockWaiters(context);
    const server = await this.#database.server();
    // Without pg_read_all_stats pg_stat_activity hides what others wait for; pg_locks does not.
    const isQuiet = waiting.length === 0 && server.readsAllStats;
    const rows = isQuiet ? [] : await this.#ask(server, waiting, context.signal);
    const data = toData(readFindings(rows, this.#queryText));
    this.#sayTruncated(data);
    return { kind: "samples", data: { ...data }, rows: data.count };
  }

  async #ask(server: Server, waiting: readonly number[], signal: AbortSignal): Promise<readonly Row[]> {
    let views = this.#views.get(server);
    if (views === undefined) {
      views = readLockViews(await this.#database.query({ text: lockViewsSql }, signal));
      this.#views.set(server, views);
    }
    const { lockWaitersMax } = this.#restraint;
    const text = locksSql(views, { waiters: waiting.length });
    return await this.#database.query({ text, values: [waiting.slice(0, lockWaitersMax), lockWaitersMax] }, signal);
  }

  #sayTruncated({ truncated, waiting, count }: ReturnType<typeof toData>): void {
    if (truncated && !this.#truncated) this.#log.info("pg_locks_truncated", { waiting, count });
    this.#truncated = truncated;
  }
}

function readFindings(rows: readonly Row[], queryText: QueryText): Findings {
  const [first] = rows;
  const total = first === undefined ? 0 : readCount(first, "waiting");
  const waiters = rows.filter((row) => row.locktype !== null);
  const found: Findings = {
    parties: new Map(),
    waits: new Map(),
    blockers: new Map(),
    unasked: Math.max(0, total - waiters.length),
    truncated: total > waiters.length,
    queryText,
  };
  for (const row of rows) addParty(row, found);
  // A waiter that has ended, or got its lock, since the lock table was read waits no more.
  for (const row of waiters.filter((row) => readBoolean(row, "is_there"))) addWaiter(row, found);
  return found;
}

/** A parallel worker stands for its leader, unless the leader is in sight itself. */
function idOf(row: Row): number {
  return readNumber(row, "leader_pid") ?? readCount(row, "pid");
}

function addParty(row: Row, { parties, queryText }: Findings): void {
  const id = idOf(row);
  if (parties.has(id) && readCount(row, "pid") !== id) return;
  parties.set(id, {
    pid: id,
    user: readText(row, "user"),
    app: readText(row, "application_name"),
    state: readText(row, "state"),
    statement: toStatement(readText(row, "query"), queryText),
    xactMs: readMs(row, "xact_ms"),
  });
}

function addWaiter(row: Row, found: Findings): void {
  const id = idOf(row);
  const blockers = readBlockers(row, found);
  if (blockers.length === 0) return;
  found.blockers.set(id, [...(found.blockers.get(id) ?? []), ...blockers]);
  found.truncated ||= readBoolean(row, "is_cut");
  // Of a group that waits in several processes the leader's own wait is told, else the first.
  if (found.waits.has(id) && readCount(row, "pid") !== id) return;
  found.waits.set(id, {
    locktype: readText(row, "locktype"),
    mode: readText(row, "mode"),
    relation: readText(row, "relation"),
    waitMs: readMs(row, "wait_ms"),
  });
}

/** Those whom a waiter waits for. pg_blocking_pids says 0 for a prepared transaction; which one is told beside. */
function readBlockers(row: Row, { parties, queryText }: Findings): number[] {
  const pids = readList(row, "blocking_pids").map(Number);
  if (!pids.includes(0)) return pids;
  const prepared = readList(row, "prepared").map((value) => toPrepared(value as Row, queryText));
  if (prepared.length === 0) prepared.push({ id: 0, party: { ...nobody } });
  for (const { id, party } of prepared) parties.set(id, party);
  return [...pids.filter((pid) => pid !== 0), ...prepared.map(({ id }) => id)];
}

const nobody: Party = { pid: 0, user: null, app: null, state: "prepared", statement: null, xactMs: null };

/** Its transaction id, negative, is its id here: no process has such a one. */
function toPrepared(row: Row, queryText: QueryText): { id: number; party: Party } {
  const gid = (readText(row, "gid") ?? "").replaceAll("'", "''");
  return {
    id: -Number(readText(row, "transaction")),
    party: {
      ...nobody,
      user: readText(row, "user"),
      statement: toStatement(`PREPARE TRANSACTION '${gid}'`, queryText),
      xactMs: readMs(row, "xact_ms"),
    },
  };
}

function readList(row: Row, column: string): unknown[] {
  const value = row[column];
  if (value === null) return [];
  if (Array.isArray(value)) return value;
  throw new TypeError(`Cannot read column "${column}" because it must be an array: it is of type ${typeof value}`);
}

function toStatement(text: string | null, mode: QueryText): string | null {
  return presentQuery(text, { mode, charsMax: limits.lockStatementCharsMax });
}

function toData(found: Findings) {
  const tree = growBlockingTree(found.blockers, (one, other) => compareRoots(found.parties, one, other));
  const budget = new Budget();
  const roots = budget.take(
    tree.roots.map(({ id, blockedCount }) => toRoot(party(found, id), blockedCount)),
    limits.lockRootsMax,
  );
  const order = new Map(tree.roots.map(({ id }, index) => [id, index]));
  const waiters = [...tree.places].sort(([, one], [, other]) =>
    order.get(one.root)! - order.get(other.root)! || one.depth - other.depth
  );
  const edges = waiters.flatMap(([id, place]) =>
    [...new Set(found.blockers.get(id))].filter((blocker) => blocker !== id).map((blocker) => ({ id, place, blocker }))
  );
  const locks = budget.take(edges.map((edge) => toLock(found, edge)), limits.locksMax);
  return {
    locks,
    count: locks.length,
    has_blocking: locks.length > 0,
    waiting: found.waits.size + found.unasked,
    roots,
    truncated: found.truncated || budget.exceeded,
  };
}

/** The longest transaction first: the likeliest to have been forgotten. Without one last; then the lower id. */
function compareRoots(parties: Findings["parties"], one: number, other: number): number {
  const [oneMs, otherMs] = [one, other].map((id) => parties.get(id)?.xactMs ?? -1) as [number, number];
  return otherMs - oneMs || one - other;
}

function party({ parties }: Findings, id: number): Party {
  return parties.get(id) ?? { ...nobody, pid: id, state: null };
}

function toRoot({ pid, user, app, state, statement, xactMs }: Party, blockedCount: number) {
  const correlation_id = correlationId(app);
  return { pid, user, app, correlation_id, state, statement, xact_ms: xactMs, blocked_count: blockedCount };
}

function toLock(found: Findings, { id, place, blocker }: { id: number; place: Place; blocker: number }) {
  const blocked = party(found, id);
  const blocking = party(found, blocker);
  const wait = found.waits.get(id)!;
  return {
    blocked_pid: blocked.pid,
    blocked_user: blocked.user,
    blocked_app: blocked.app,
    blocked_correlation_id: correlationId(blocked.app),
    blocked_statement: blocked.statement,
    blocking_pid: blocking.pid,
    blocking_user: blocking.user,
    blocking_app: blocking.app,
    blocking_correlation_id: correlationId(blocking.app),
    blocking_statement: blocking.statement,
    root_pid: party(found, place.root).pid,
    depth: place.depth,
    locktype: wait.locktype,
    mode: wait.mode,
    relation: wait.relation,
    wait_ms: wait.waitMs,
  };
}

/** Keeps the document within its bytes: takes from the front of each list what still fits. */
class Budget {
  #bytes = limits.locksBytesMax;
  exceeded = false;

  take<T>(items: readonly T[], itemsMax: number): T[] {
    const taken: T[] = [];
    for (const item of items) {
      const bytes = new TextEncoder().encode(JSON.stringify(item)).length + 1;
      if (taken.length === itemsMax || bytes > this.#bytes) {
        this.exceeded = true;
        break;
      }
      this.#bytes -= bytes;
      taken.push(item);
    }
    return taken;
  }
}

/**
 * The statement behind `locks.ts`: everything about those who wait for a lock, and whom they wait for, in one answer.
 *
 * @module
 */

import * as limits from "../limits.ts";
import type { Row } from "./database.ts";
import { readText } from "./row.ts";

/** Which columns this server has that not every version has. */
export interface LockViews {
  /** `pg_locks.waitstart`. */
  hasWaitstart: boolean;
  /** `leader_pid` of pg_stat_activity and of the function under it. */
  hasLeaderPid: boolean;
}

/** Asks for the columns of {@link LockViews}. */
export const lockViewsSql = `/* bitville-monitor: pg_locks columns */
select attname::text as name from pg_catalog.pg_attribute
where (attrelid, attname) in (('pg_catalog.pg_locks'::regclass, 'waitstart'),
  ('pg_catalog.pg_stat_activity'::regclass, 'leader_pid'))`;

/** Reads the answer to {@link lockViewsSql}. */
export function readLockViews(rows: readonly Row[]): LockViews {
  const names = rows.map((row) => readText(row, "name"));
  return { hasWaitstart: names.includes("waitstart"), hasLeaderPid: names.includes("leader_pid") };
}

const objectColumns = [
  "database",
  "relation",
  "page",
  "tuple",
  "virtualxid",
  "transactionid",
  "classid",
  "objid",
  "objsubid",
];

/** Whether two rows of pg_locks are about the same thing. */
function sameObject(one: string, other: string): string {
  const columnsOf = (name: string) => objectColumns.map((column) => `${name}.${column}`).join(", ");
  return `${one}.locktype = ${other}.locktype and (${columnsOf(one)}) is not distinct from (${columnsOf(other)})`;
}

/**
 * One row a backend that waits or is waited for; `$1`: process ids of waiters in the order in which to ask about them
 * where the server does not know since when they wait, `$2`: about how many. By its parts:
 *
 * - held: the lock table, read once, without predicate locks, for which nobody waits. Whoever waits is taken from here,
 *   so that one who began to wait after the activity was read is not mistaken for a root.
 * - upgrading: those who wait for more of what they hold already; they block as holders, not only by their turn.
 * - waiting: with what pg_blocking_pids says of each, for a bounded number, longest waiting first. It names the holders
 *   and everybody ahead in the queue: 44,851 pairs for 300 waiters on one row.
 * - queues: who want the same in the same mode are blocked by the same holders. The one with the fewest ahead of it
 *   speaks for all of them.
 * - direct: the holders; when there are none left, only the first in the queue.
 * - edges: a waiter is told to wait for these only if pg_blocking_pids named them for this waiter too; if not, the
 *   table changed between the calls and its own list is taken.
 *
 * Names of relations come from the catalog's rows: nothing here opens or locks a relation of the user. Many backends are
 * looked up by one sweep, few by one call each: 20 µs a call, 2 µs a backend of a sweep.
 */
export function locksSql(views: LockViews, { waiters }: { waiters: number }): string {
  const activity = waiters > limits.activityLookupsMax
    ? "pg_catalog.pg_stat_get_activity(null) as activity on activity.pid = backends.pid"
    : "lateral pg_catalog.pg_stat_get_activity(backends.pid) as activity on true";
  return `/* bitville-monitor: pg_locks */
${edgesSql(views)}), ${namesSql}, ${preparedSql}
select backends.pid, activity.pid is not null as is_there,
  ${views.hasLeaderPid ? "activity.leader_pid" : "null::integer as leader_pid"},
  case when activity.usesysid <> 0 then pg_catalog.pg_get_userbyid(activity.usesysid) end::text as user,
  activity.application_name, activity.state,
  case when activity.state is not null or activity.query <> '<insufficient privilege>'
    then left(nullif(activity.query, ''), ${limits.lockStatementCharsMax + 1}) end as query,
  extract(epoch from clock.now - activity.xact_start)::float8 * 1000 as xact_ms,
  (select count(*)::integer from ordered) as waiting,
  waiting.locktype, waiting.mode, names.name as relation,
  extract(epoch from clock.now - waiting.waitstart)::float8 * 1000 as wait_ms,
  edges.pids[1:edges.pids_max] as blocking_pids,
  coalesce(pg_catalog.cardinality(edges.pids) > edges.pids_max, false) as is_cut,
  case when 0 = any(edges.pids) then prepared.transactions end as prepared
from clock cross join backends
left join ${activity}
left join edges on edges.pid = backends.pid
left join waiting on waiting.pid = edges.pid
left join prepared on prepared.object = waiting.object and prepared.mode = waiting.mode
left join places on places.pid = waiting.pid
left join names on names.database = places.database and names.relation = places.relation
where backends.pid <> 0
order by waiting.position`;
}

/** Who waits, and for whom. */
function edgesSql({ hasWaitstart }: LockViews): string {
  return `with clock as materialized (
  select pg_catalog.clock_timestamp() as now
), held as materialized (
  select pid, virtualtransaction, mode, granted, ${hasWaitstart ? "waitstart" : "null::timestamptz as waitstart"},
    locktype, ${objectColumns.join(", ")}
  from pg_catalog.pg_locks
  where mode <> 'SIReadLock'
), upgrading as materialized (
  select distinct wanted.pid
  from held as wanted join held on held.pid = wanted.pid and held.granted and ${sameObject("held", "wanted")}
  where not wanted.granted
), ordered as materialized (
  select held.*, case when upgrading.pid is null then 0 else held.pid end as upgrading_pid,
    dense_rank() over (order by locktype, database, relation, page, tuple, virtualxid, transactionid::text, classid,
      objid, objsubid) as object,
    row_number() over (order by waitstart, pg_catalog.array_position($1::integer[], held.pid), held.pid) as position
  from held left join upgrading on upgrading.pid = held.pid
  where not granted and held.pid is not null
), waiting as materialized (
  select *, case when position <= $2::integer then pg_catalog.pg_blocking_pids(pid) end as blocking_pids
  from ordered
), queues as materialized (
  select distinct on (object, mode, upgrading_pid) object, mode, upgrading_pid, pid, blocking_pids
  from waiting
  where blocking_pids <> '{}'
  order by object, mode, upgrading_pid, pg_catalog.cardinality(blocking_pids), position
), ahead as materialized (
  select queues.object, queues.mode, queues.upgrading_pid, queues.pid as waiter_pid, blocker.pid,
    waiting.pid is not null as waits, waiting.position, pg_catalog.cardinality(waiting.blocking_pids) as queue_length,
    coalesce(waiting.object = queues.object and waiting.upgrading_pid = 0, false) as queued
  from queues cross join pg_catalog.unnest(queues.blocking_pids) as blocker(pid)
  left join waiting on waiting.pid = blocker.pid
), direct as materialized (
  select object, mode, upgrading_pid, waiter_pid, coalesce(
    array_agg(pid order by waits, pid) filter (where not queued),
    (array_agg(pid order by queue_length, position) filter (where queued))[1:1]) as pids
  from ahead
  group by object, mode, upgrading_pid, waiter_pid
), edges as materialized (
  select waiting.pid,
    case when waiting.blocking_pids @> direct.pids then direct.pids else waiting.blocking_pids end as pids,
    greatest(1, ${limits.lockEdgesMax} / count(*) over ()) as pids_max
  from waiting left join direct using (object, mode, upgrading_pid)
  where waiting.position <= $2::integer
), backends as materialized (
  select pid from edges
  union
  select pg_catalog.unnest(pids[1:pids_max]) from edges`;
}

/**
 * What a waiter's lock is on. Who waits for a row waits for the transaction that changed it and has the row's tuple lock
 * meanwhile: that one's relation is meant. Another database's relations have no names here, only numbers.
 */
const namesSql = `places as materialized (
  select waiting.pid, coalesce(waiting.database, row_lock.database) as database,
    coalesce(waiting.relation, row_lock.relation) as relation
  from waiting left join (
    select pid, min(database) as database, min(relation) as relation
    from held where granted and locktype = 'tuple' group by pid
  ) as row_lock on row_lock.pid = waiting.pid and waiting.locktype = 'transactionid'
), names as materialized (
  select place.database, place.relation, coalesce(
    pg_catalog.quote_ident(nspname) || '.' || pg_catalog.quote_ident(relname), datname || ':' || place.relation, place.relation::text) as name
  from (select distinct database, relation from places where relation is not null) as place
  left join pg_catalog.pg_database on pg_database.oid = place.database
  left join pg_catalog.pg_class on pg_class.oid = place.relation
    and (place.database = 0 or datname = pg_catalog.current_database())
  left join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
)`;

/** The modes of a lock by their numbers, from 1, and with which each conflicts (PostgreSQL's manual, "Table-Level Locks"). */
const lockModes: readonly (readonly [name: string, conflictsWith: readonly number[]])[] = [
  ["AccessShareLock", [8]],
  ["RowShareLock", [7, 8]],
  ["RowExclusiveLock", [5, 6, 7, 8]],
  ["ShareUpdateExclusiveLock", [4, 5, 6, 7, 8]],
  ["ShareLock", [3, 4, 6, 7, 8]],
  ["ShareRowExclusiveLock", [3, 4, 5, 6, 7, 8]],
  ["ExclusiveLock", [2, 3, 4, 5, 6, 7, 8]],
  ["AccessExclusiveLock", [1, 2, 3, 4, 5, 6, 7, 8]],
];

function conflictsSql(): string {
  const rows = lockModes.map(([name, numbers]) =>
    `('${name}', '{${numbers.map((number) => lockModes[number - 1]![0]).join(",")}}'::text[])`
  );
  return `conflicts(mode, with_modes) as (values ${rows.join(", ")})`;
}

/**
 * Of the prepared transactions that hold what is waited for in a mode that conflicts: which they are. Each holds the lock
 * of its own transaction id beside.
 */
const preparedSql = `${conflictsSql()}, prepared as materialized (
  select direct.object, direct.mode, pg_catalog.json_agg(pg_catalog.json_build_object(
      'transaction', prepared.transaction::text, 'gid', prepared.gid, 'user', prepared.owner,
      'xact_ms', extract(epoch from clock.now - prepared.prepared)::float8 * 1000)) as transactions
  from clock cross join direct
  join waiting on waiting.pid = direct.waiter_pid
  join conflicts on conflicts.mode = direct.mode
  join held on held.pid is null and held.granted and held.mode = any(conflicts.with_modes)
    and ${sameObject("held", "waiting")}
  join held as own on own.pid is null and own.locktype = 'transactionid' and own.virtualtransaction = held.virtualtransaction
  join pg_catalog.pg_prepared_xacts as prepared on prepared.transaction = own.transactionid
  where 0 = any(direct.pids)
  group by direct.object, direct.mode
)`;

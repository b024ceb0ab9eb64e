/**
 * Who waited for whom: episodes put together from what was seen at single moments (pg_locks, once a cycle) and what the
 * server itself wrote (log_lock_waits, deadlocks).
 *
 * - One episode is one waiter waiting for one holder without a pause.
 * - What the log says is not lost between two cycles; what pg_locks says has the statements.
 *
 * @module
 */

import type { Database } from "../database.ts";
import { type LogEntry, mentionedPids, waitedMs } from "../extract_log.ts";
import * as limits from "../limits.ts";

/** One end of a wait. */
export interface WaitEnd {
  pid: number;
  /** Its request; null when none is known. */
  correlationId: string | null;
  statement: string | null;
}

/** What one line or one pair says. */
export interface Evidence {
  agentId: number;
  waiter: WaitEnd;
  holder: WaitEnd;
  atMs: number;
  /** How long it had waited then; null when it does not say. */
  waitedMs: number | null;
  /** Lock, mode and relation, as far as they are told. */
  lock: string | null;
  ended: "acquired" | "deadlock" | null;
  source: "pg_locks" | "log";
}

/** An episode, as the request sees it. */
export interface Wait {
  agentId: number;
  /** Whether the request waited, or held up the other. */
  role: "waited" | "held";
  pid: number;
  other: WaitEnd;
  startMs: number;
  /** When it is last known to have gone on. */
  endMs: number;
  lock: string | null;
  /** How it ended, if that is known. */
  ended: Evidence["ended"];
  /** Whether pg_locks or the log told it, or both. */
  sources: ("pg_locks" | "log")[];
}

/** Two pieces of evidence of one episode differ in its beginning by less. */
const sameStartMs = 1_500;

interface Locks {
  locks: {
    blocked_pid: number;
    blocked_correlation_id: string | null;
    blocked_statement: string | null;
    blocking_pid: number;
    blocking_correlation_id: string | null;
    blocking_statement: string | null;
    locktype: string | null;
    mode: string | null;
    relation: string | null;
    wait_ms: number | null;
  }[];
}

type Place = { agentId: number; atMs: number };

/** Every pair of a pg_locks document. */
export function lockEvidence({ locks }: Locks, { agentId, atMs }: Place): Evidence[] {
  return locks.map((lock) => ({
    ...{ agentId, atMs, waitedMs: lock.wait_ms, ended: null, source: "pg_locks" as const },
    waiter: {
      pid: lock.blocked_pid,
      correlationId: lock.blocked_correlation_id,
      statement: lock.blocked_statement,
    },
    holder: {
      pid: lock.blocking_pid,
      correlationId: lock.blocking_correlation_id,
      statement: lock.blocking_statement,
    },
    lock: [lock.locktype, lock.mode, lock.relation === null ? null : `on ${lock.relation}`].filter(Boolean).join(" "),
  }));
}

const waitLine = /^process (\d+) (still waiting for|acquired|detected deadlock while waiting for) (.*) after [\d.]+ ms/;

/** What one log entry says of who waits for whom; empty for most. */
export function logEvidence(entry: LogEntry, { agentId, atMs }: Place): Evidence[] {
  const { message, detail } = entry;
  if (entry.sqlstate === "40P01" || /^deadlock detected/.test(message)) {
    return deadlockEvidence(entry, { agentId, atMs });
  }
  const [, pid, what, lock] = waitLine.exec(message) ?? [];
  if (pid === undefined) return [];
  const waiter = { pid: Number(pid), correlationId: entry.correlation_id, statement: entry.statement };
  // The message names a table by its number; the context, where there is one, by its name.
  const [, relation] = /in relation "([^"]*)"/.exec(entry.context ?? "") ?? [];
  const named = relation === undefined
    ? lock!
    : lock!.replace(/ of relation \d+ of database \d+$|$/, ` in ${relation}`);
  const about = { agentId, atMs, waitedMs: waitedMs(entry), lock: named, waiter, source: "log" as const };
  if (what === "acquired") {
    return [{ ...about, ended: "acquired" as const, holder: { pid: 0, correlationId: null, statement: null } }];
  }
  const [, held] = /[Hh]olding the locks?: ([\d, ]+)/.exec(detail ?? "") ?? [];
  const holders = held === undefined ? [] : held.split(",").map(Number);
  return holders.map((one) => ({
    ...about,
    ended: what === "still waiting for" ? null : "deadlock" as const,
    holder: { pid: one, correlationId: null, statement: null },
  }));
}

function deadlockEvidence(entry: LogEntry, { agentId, atMs }: Place): Evidence[] {
  const detail = entry.detail ?? "";
  const statements = new Map(
    [...detail.matchAll(/^\s*Process (\d+): ([^]*?)(?=\n\s*Process \d+: |$(?![^]))/gm)].map((
      [, pid, text],
    ) => [pid!, text!]),
  );
  const end = (pid: string): WaitEnd => ({
    pid: Number(pid),
    correlationId: Number(pid) === entry.pid ? entry.correlation_id : null,
    statement: statements.get(pid) ?? null,
  });
  const edges = detail.matchAll(/Process (\d+) waits for (.*?); blocked by process (\d+)\./g);
  return [...edges].slice(0, mentionedPids(entry).length + 1).map(([, waiter, lock, holder]) => ({
    ...{ agentId, atMs, waitedMs: null, lock: lock!, ended: "deadlock" as const, source: "log" as const },
    ...{ waiter: end(waiter!), holder: end(holder!) },
  }));
}

/** Puts evidence together into episodes of one request. */
export class WaitBook {
  readonly #database: Database;
  readonly #id: string;
  readonly #evidence: Evidence[] = [];

  constructor(database: Database, id: string) {
    this.#database = database;
    this.#id = id;
  }

  add(evidence: Evidence): void {
    this.#evidence.push(evidence);
  }

  /** All episodes, the earliest first. */
  waits(): Wait[] {
    const waits: Wait[] = [];
    // What tells no beginning joins an episode that is known by then.
    const known = this.#evidence.map((one) => this.#resolved(one))
      .sort((a, b) => Number(a.waitedMs === null) - Number(b.waitedMs === null) || a.atMs - b.atMs);
    const starts = (one: Evidence) => one.atMs - (one.waitedMs ?? 0);
    for (const one of known.filter(({ holder }) => holder.pid !== 0 || holder.statement !== null)) {
      for (const role of this.#rolesIn(one)) this.#addTo(waits, one, role);
    }
    // That a lock was got at last does not say from whom: it ends what the waiter was waiting in.
    for (const one of known.filter(({ ended }) => ended === "acquired")) {
      const waited = waits.filter((wait) => waiterOf(wait) === one.waiter.pid && wait.agentId === one.agentId);
      for (const wait of waited.filter(({ startMs }) => Math.abs(startMs - starts(one)) < sameStartMs)) {
        Object.assign(wait, { ended: "acquired", endMs: Math.max(wait.endMs, one.atMs) });
      }
    }
    return waits.sort((a, b) => a.startMs - b.startMs || a.endMs - b.endMs);
  }

  #rolesIn({ waiter, holder }: Evidence): Wait["role"][] {
    const mine = (end: WaitEnd) => end.correlationId === this.#id;
    return [...mine(waiter) ? ["waited" as const] : [], ...mine(holder) && !mine(waiter) ? ["held" as const] : []];
  }

  #addTo(waits: Wait[], one: Evidence, role: Wait["role"]): void {
    const [mine, other] = role === "waited" ? [one.waiter, one.holder] : [one.holder, one.waiter];
    const startMs = one.atMs - (one.waitedMs ?? 0);
    const { source } = one;
    const same = waits.findLast((wait) =>
      wait.agentId === one.agentId && wait.role === role && wait.pid === mine.pid && wait.other.pid === other.pid &&
      (Math.abs(wait.startMs - startMs) < sameStartMs || (wait.startMs <= one.atMs && one.waitedMs === null))
    );
    if (same === undefined) {
      const about = { agentId: one.agentId, role, pid: mine.pid, lock: one.lock, ended: one.ended };
      waits.push({ ...about, other: { ...other }, startMs, endMs: one.atMs, sources: [source] });
      return;
    }
    // A document's time is of its cycle; the server's own lines are exact.
    if (source === "log" && one.waitedMs !== null) same.startMs = startMs;
    same.endMs = Math.max(same.endMs, one.atMs);
    same.ended ??= one.ended;
    same.other.statement ??= other.statement;
    same.other.correlationId ??= other.correlationId;
    if (source === "pg_locks") same.lock = one.lock;
    if (!same.sources.includes(source)) same.sources.push(source);
  }

  /** With the requests of processes that only have a number. */
  #resolved(one: Evidence): Evidence {
    const end = (given: WaitEnd): WaitEnd => ({
      ...given,
      correlationId: given.correlationId ?? this.#requestOf(one, given.pid),
    });
    return { ...one, waiter: end(one.waiter), holder: end(one.holder) };
  }

  #requestOf({ agentId, atMs }: Evidence, pid: number): string | null {
    if (pid === 0) return null;
    const row = this.#database.get(
      `SELECT correlation_id FROM backend WHERE agent_id = ?1 AND pid = ?2 AND last_at >= ?3 - ?4 AND first_at <= ?3 + ?4
        ORDER BY max(first_at - ?3, ?3 - last_at, 0) LIMIT 1`,
      ...[agentId, pid, atMs, limits.storyMarginMs],
    );
    return row === null ? null : String(row.correlation_id);
  }
}

function waiterOf({ role, pid, other }: Wait): number {
  return role === "waited" ? pid : other.pid;
}

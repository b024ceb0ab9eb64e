/**
 * Of a recording between two cycles (pg_burst): each of its samples as the documents of a cycle would have been at that
 * second, as far as it tells. A sample lists ten sessions and counts all; it names who holds up the others, and whom a
 * session waits for only where there is one such session. What was counted in the half minute before has no sessions.
 *
 * @module
 */

import { activityExtract, locksExtract, type Session } from "./extract_activity.ts";
import { type Extract, type Figures, type Sighting, sighting } from "./extract_shapes.ts";
import * as limits from "./limits.ts";

/** The type whose documents have figures by the second, of sessions and locks. */
export const burstType = "pg_burst";

/** What its counts of the time before the recording are stored under. */
export const beforeBurstType = "pg_burst_before";

/** A recording, by the names of docs/documents/pg_burst.md, as far as it is read. */
export interface BurstData {
  started_at: string;
  before: Count[];
  samples: Sample[];
}

interface Count {
  at: string;
  lock_waiters: number;
  /** Sessions that run a statement, by what they wait for: a wait_event_type, or `none`. */
  waits: Record<string, number>;
}

interface Sample {
  at: string;
  active: number;
  lock_waiters: number;
  by_state: Record<string, number>;
  sessions: SampledSession[];
  roots: Root[];
}

interface SampledSession extends Omit<Session, "state"> {
  state: string | null;
  usename: string | null;
  application_name: string | null;
  query_ms: number | null;
  query: string | null;
}

interface Root {
  pid: number;
  user: string | null;
  app: string | null;
  correlation_id: string | null;
  statement: string | null;
  blocked_count: number;
}

/** A sample, as a pg_stat_activity and a pg_locks document of its second. */
export interface BurstMoment {
  atMs: number;
  // deno-lint-ignore no-explicit-any -- the shapes of docs/schemas/, with null for what a sample does not tell
  activity: any;
  // deno-lint-ignore no-explicit-any -- the same
  locks: any;
  waits: SampledWait[];
}

/** A session that waits for a lock, and since when, at least: it may have begun before the recording. */
interface SampledWait {
  session: SampledSession;
  waitedMs: number;
}

/** What a sample counts beyond the sessions that it lists. */
const notListed = "not listed";

/** Every sample of a recording that was collected at `documentMs`. */
export function burstMoments({ started_at: startedAt, samples }: BurstData, documentMs: number): BurstMoment[] {
  const waiting = new Map<number, number>();
  return samples.flatMap((sample) => {
    const passedMs = Date.parse(sample.at) - Date.parse(startedAt);
    if (Number.isNaN(passedMs)) return [];
    const atMs = documentMs + Math.max(0, Math.min(passedMs, limits.burstMsMax));
    const waiters = sample.sessions.filter(isWaiting);
    for (const pid of waiting.keys()) if (!waiters.some((one) => one.pid === pid)) waiting.delete(pid);
    for (const { pid } of waiters) if (!waiting.has(pid)) waiting.set(pid, atMs);
    const waits = waiters.map((session) => ({ session, waitedMs: atMs - waiting.get(session.pid)! }));
    return [{ atMs, activity: activityOf(sample, atMs), locks: locksOf(sample, waits), waits }];
  });
}

/** Takes out what the page asks for: figures by the second, and every request that was seen. */
export function burstExtract(data: BurstData, documentMs: number): Partial<Extract> {
  const moments = beforeBurst(data, documentMs);
  const sightings: Sighting[] = [];
  for (const { atMs, activity, locks, waits } of burstMoments(data, documentMs)) {
    const [sessions, pairs] = [activityExtract(activity, atMs), locksExtract(locks, atMs)];
    sightings.push(...sessions.sightings ?? [], ...pairs.sightings ?? []);
    // Without a pair, too, a session waits, and a root holds up others.
    sightings.push(
      ...waits.flatMap(({ session: { correlation_id: id, pid }, waitedMs }) =>
        id === null ? [] : [{ ...sighting(id, atMs), pid, waitedMs }]
      ),
    );
    sightings.push(
      ...(locks.roots as Root[]).flatMap(({ correlation_id: id, pid }) =>
        id === null ? [] : [{ ...sighting(id, atMs), pid, heldUp: true }]
      ),
    );
    moments.push({ atMs, figures: { ...pairs.figures, ...loadOf(sessions.figures!, activity, locks) } });
  }
  return { moments, sightings };
}

/** Counts of the time before: of each wait the kind alone is known. */
function beforeBurst({ started_at: startedAt, before }: BurstData, documentMs: number): Figures[] {
  return before.flatMap(({ at, lock_waiters: waiting, waits }) => {
    const passedMs = Date.parse(startedAt) - Date.parse(at);
    if (Number.isNaN(passedMs)) return [];
    const atMs = documentMs - Math.max(0, Math.min(passedMs, limits.burstBeforeMsMax));
    const load = Object.entries(waits).map((
      [type, count],
    ) => [type === "none" ? "wait CPU" : `wait ${type}:${notListed}`, count]);
    return [{ atMs, type: beforeBurstType, figures: { ...Object.fromEntries(load), waiting } }];
  });
}

/** The load with those whom the sample counts and does not list. */
function loadOf(
  figures: Record<string, number>,
  { by_state: states }: { by_state: Record<string, number> },
  { waiting }: { waiting: number },
): Record<string, number> {
  const listed = (isLock: boolean) =>
    Object.entries(figures).filter(([name]) => name.startsWith("wait ") && name.startsWith("wait Lock:") === isLock)
      .reduce((sum, [, count]) => sum + count, 0);
  const rest = {
    [`wait Lock:${notListed}`]: waiting - listed(true),
    [`wait ${notListed}`]: (states.active ?? 0) - waiting - listed(false),
  };
  const idle = Object.entries(states).filter(([state]) => state.startsWith("idle in transaction"));
  return {
    ...figures,
    ...Object.fromEntries(Object.entries(rest).filter(([, count]) => count > 0)),
    idle_in_transaction: idle.reduce((sum, [, count]) => sum + count, 0),
  };
}

function isWaiting({ wait_event_type: type }: Pick<Session, "wait_event_type">): boolean {
  return type === "Lock";
}

function activityOf({ sessions, by_state }: Sample, atMs: number): BurstMoment["activity"] {
  return {
    sessions: sessions.map((session) => ({
      ...session,
      state: session.state ?? "unknown",
      ...{ backend_start: null, state_change: null, leader_pid: null, correlation_state: null },
      xact_start: before(atMs, session.xact_ms),
      // Of a session that runs nothing it is not known when its last statement began.
      query_start: session.state === "active" ? before(atMs, session.query_ms) : null,
    })),
    count: sessions.length,
    total_backends: Object.values(by_state).reduce((sum, count) => sum + count, 0),
    by_state,
  };
}

function before(atMs: number, ms: number | null): string | null {
  const date = new Date(atMs - (ms ?? NaN));
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

/** Who waits for whom is certain where one session holds up all that wait. */
function locksOf({ roots, lock_waiters: waiting }: Sample, waits: readonly SampledWait[]): BurstMoment["locks"] {
  const [root] = roots;
  const isOnly = root !== undefined && roots.length === 1 && root.blocked_count >= waiting;
  const locks = !isOnly ? [] : waits.map(({ session: one, waitedMs }) => ({
    ...{ blocked_pid: one.pid, blocked_user: one.usename, blocked_app: one.application_name },
    ...{ blocked_correlation_id: one.correlation_id, blocked_statement: one.query },
    ...{ blocking_pid: root.pid, blocking_user: root.user, blocking_app: root.app },
    ...{ blocking_correlation_id: root.correlation_id, blocking_statement: root.statement },
    ...{ root_pid: root.pid, depth: 1, locktype: one.wait_event, mode: null, relation: null },
    wait_ms: waitedMs,
  }));
  return { locks, count: locks.length, has_blocking: waiting > 0, waiting, roots, truncated: locks.length < waiting };
}

/**
 * Of documents of pg_stat_activity and pg_locks: what sessions waited for, and which requests waited or held up others.
 *
 * @module
 */

import { type Extract, sighting } from "./extract_shapes.ts";

/** A session, as far as it is read here. */
export interface Session {
  pid: number;
  state: string;
  wait_event_type: string | null;
  wait_event: string | null;
  xact_ms: number | null;
  correlation_id: string | null;
}

/** Of a pg_stat_activity document. */
export function activityExtract(data: { sessions: Session[]; total_backends: number }, atMs: number): Partial<Extract> {
  const figures: Record<string, number> = { backends: data.total_backends, idle_in_transaction: 0, longest_xact_ms: 0 };
  for (const { state, wait_event_type: type, wait_event: event, xact_ms: xactMs } of data.sessions) {
    figures.longest_xact_ms = Math.max(figures.longest_xact_ms!, xactMs ?? 0);
    if (state.startsWith("idle in transaction")) figures.idle_in_transaction!++;
    if (state !== "active") continue;
    const name = `wait ${type === null ? "CPU" : `${type}:${event ?? ""}`}`;
    figures[name] = (figures[name] ?? 0) + 1;
  }
  const sightings = data.sessions.flatMap(({ correlation_id: correlationId, pid }) =>
    correlationId === null ? [] : [{ ...sighting(correlationId, atMs), pid }]
  );
  return { figures, sightings };
}

interface Lock {
  blocked_pid: number;
  blocked_correlation_id: string | null;
  blocking_pid: number;
  blocking_correlation_id: string | null;
  wait_ms: number | null;
}

/** Of a pg_locks document. */
export function locksExtract(
  data: { locks: Lock[]; waiting: number; roots: unknown[] },
  atMs: number,
): Partial<Extract> {
  const longest = data.locks.reduce((most, { wait_ms: ms }) => Math.max(most, ms ?? 0), 0);
  const sightings = data.locks.flatMap((lock) => {
    const { blocked_correlation_id: blocked, blocking_correlation_id: blocking } = lock;
    return [
      ...blocked === null ? [] : [{ ...sighting(blocked, atMs), pid: lock.blocked_pid, waitedMs: lock.wait_ms ?? 0 }],
      ...blocking === null ? [] : [{ ...sighting(blocking, atMs), pid: lock.blocking_pid, heldUp: true }],
    ];
  });
  const figures = { waiting: data.waiting, roots: data.roots.length, longest_wait_ms: longest };
  return { figures, sightings };
}

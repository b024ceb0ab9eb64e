/**
 * Which numbers of an agent have arrived. Invariants:
 *
 * - The ranges of one life of an agent neither touch nor overlap: between two of them something is missing.
 * - A life begins when the agent's numbering begins anew, because its buffer was made anew. Ids ascend with the numbers,
 *   so a lower number with a higher id, or a known number under another id, is of a new life.
 *
 * @module
 */

import type { Database } from "./database.ts";

/** A number as it arrived. */
export interface Arrival {
  agentId: number;
  life: number;
  sequence: number;
  atMs: number;
}

/** What an agent's row says of its newest document. */
export interface AgentPosition {
  life: number;
  lastSequence: number;
  lastId: string;
}

/** The life that a document belongs to, given the newest one before. */
export function lifeOf(position: AgentPosition, { id, sequence }: { id: string; sequence: number }): number {
  const { life, lastSequence, lastId } = position;
  return sequence <= lastSequence && id > lastId ? life + 1 : life;
}

/** Adds a number to the ranges of its life. */
export function addSequence(database: Database, { agentId, life, sequence, atMs }: Arrival): void {
  const before = database.get(
    `SELECT first, last, last_at FROM sequence_range WHERE agent_id = ? AND life = ? AND first <= ?
      ORDER BY first DESC LIMIT 1`,
    ...[agentId, life, sequence],
  );
  if (before !== null && Number(before.last) >= sequence) return;
  const after = database.get(
    "SELECT first, last, last_at FROM sequence_range WHERE agent_id = ? AND life = ? AND first = ?",
    ...[agentId, life, sequence + 1],
  );
  const key = [agentId, life] as const;
  if (after !== null) {
    database.run("DELETE FROM sequence_range WHERE agent_id = ? AND life = ? AND first = ?", ...key, sequence + 1);
  }
  const [last, lastAt] = after === null ? [sequence, atMs] : [Number(after.last), Number(after.last_at)];
  if (before !== null && Number(before.last) === sequence - 1) {
    database.run(
      "UPDATE sequence_range SET last = ?, last_at = ? WHERE agent_id = ? AND life = ? AND first = ?",
      ...[last, lastAt, ...key, before.first as number],
    );
  } else {
    database.run(
      "INSERT INTO sequence_range (agent_id, life, first, last, first_at, last_at) VALUES (?, ?, ?, ?, ?, ?)",
      ...[...key, sequence, last, atMs, lastAt],
    );
  }
}

/** Numbers of one agent that have not arrived, between two that have. */
export interface Hole {
  life: number;
  from: number;
  to: number;
  /** When the documents before and after it were collected. */
  fromMs: number;
  toMs: number;
  /** What the agent says became of them; empty when it has said nothing. */
  reasons: { reason: string; records: number }[];
  /** How many it says are lost. The others are late. */
  lost: number;
}

/** The holes of an agent that touch a time, the newest first. */
export function holesOf(database: Database, agentId: number, span: { fromMs: number; toMs: number }): Hole[] {
  const ranges = database.all(
    `SELECT life, first, last, first_at, last_at FROM sequence_range WHERE agent_id = ?
      ORDER BY life DESC, first DESC LIMIT 1000`,
    agentId,
  );
  const holes: Hole[] = [];
  for (let index = 0; index + 1 < ranges.length; index++) {
    const [later, earlier] = [ranges[index]!, ranges[index + 1]!];
    if (later.life !== earlier.life) continue;
    const [fromMs, toMs] = [Number(earlier.last_at), Number(later.first_at)];
    if (toMs < span.fromMs || fromMs > span.toMs) continue;
    const [life, from, to] = [Number(later.life), Number(earlier.last) + 1, Number(later.first) - 1];
    const reasons = reasonsOf(database, agentId, { life, from, to });
    const lost = Math.min(to - from + 1, reasons.reduce((sum, { records }) => sum + records, 0));
    holes.push({ life, from, to, fromMs, toMs, reasons, lost });
  }
  return holes;
}

function reasonsOf(database: Database, agentId: number, hole: { life: number; from: number; to: number }) {
  return database.all(
    `SELECT reason, sum(records) AS records FROM loss_range
      WHERE agent_id = ? AND life = ? AND first <= ? AND last >= ? GROUP BY reason ORDER BY records DESC`,
    ...[agentId, hole.life, hole.to, hole.from],
  ).map(({ reason, records }) => ({ reason: String(reason), records: Number(records) }));
}

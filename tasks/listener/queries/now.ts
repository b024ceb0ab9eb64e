/**
 * One server at one moment: what the newest documents up to then say.
 *
 * @module
 */

import type { Database } from "../database.ts";
import { type BurstData, burstMoments, burstType } from "../extract_burst.ts";
import * as limits from "../limits.ts";
import type { WireDocument } from "../schemas.ts";
import { documentOfRow, latestDocument } from "./documents.ts";

const types = ["pg_stat_activity", "pg_locks", "system_metrics", "agent_status"] as const;

/** The data of one document, and when it was collected. */
export interface Moment {
  id: string;
  atMs: number;
  // deno-lint-ignore no-explicit-any -- its shape is that of docs/schemas/, by type; the listener has checked it
  data: any;
}

/** The newest of each type; null for a type that has not come. */
export type Now = Record<typeof types[number], Moment | null> & {
  /** The machine's figures of the cycle before: disks and network are counters. */
  system_before: Moment | null;
  /** Whether sessions and locks are a sample of a recording between two cycles, which lists ten sessions. */
  recorded: boolean;
};

/** What is known of an agent's server at a time. */
export function now(database: Database, agentId: number, toMs: number): Now {
  const moment = (type: string, atMs = toMs) => momentOf(latestDocument(database, { agentId, type }, atMs));
  const latest = Object.fromEntries(types.map((type) => [type, moment(type)])) as Record<
    typeof types[number],
    Moment | null
  >;
  const { system_metrics: system } = latest;
  const recorded = recordedMoment(database, agentId, toMs);
  const isNewer = recorded !== null && recorded.pg_stat_activity.atMs > (latest.pg_stat_activity?.atMs ?? 0);
  return {
    ...latest,
    ...isNewer ? recorded : {},
    system_before: system === null ? null : moment("system_metrics", system.atMs - 1),
    recorded: isNewer,
  };
}

/** The last sample of a recording shortly before a time. */
function recordedMoment(database: Database, agentId: number, toMs: number) {
  const row = database.get(
    "SELECT at, n FROM figure WHERE agent_id = ? AND type = ? AND at BETWEEN ? AND ? ORDER BY at DESC LIMIT 1",
    ...[agentId, burstType, toMs - limits.burstMomentMs, toMs],
  );
  const found = row === null ? null : documentOfRow(database, Number(row.n));
  if (row === null || found === null) return null;
  const { id, data } = found.document;
  const moment = burstMoments(data as unknown as BurstData, found.atMs).find(({ atMs }) => atMs === row.at);
  if (moment === undefined) return null;
  const { atMs, activity, locks } = moment;
  return { pg_stat_activity: { id, atMs, data: activity }, pg_locks: { id, atMs, data: locks } };
}

function momentOf(document: WireDocument | null): Moment | null {
  if (document === null) return null;
  const { id, timestamp, data } = document;
  return { id, atMs: Date.parse(timestamp), data };
}

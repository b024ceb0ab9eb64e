/**
 * One server at one moment: what the newest documents up to then say.
 *
 * @module
 */

import type { Database } from "../database.ts";
import type { WireDocument } from "../schemas.ts";
import { latestDocument } from "./documents.ts";

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
};

/** What is known of an agent's server at a time. */
export function now(database: Database, agentId: number, toMs: number): Now {
  const moment = (type: string, atMs = toMs) => momentOf(latestDocument(database, { agentId, type }, atMs));
  const latest = Object.fromEntries(types.map((type) => [type, moment(type)])) as Now;
  const { system_metrics: system } = latest;
  return { ...latest, system_before: system === null ? null : moment("system_metrics", system.atMs - 1) };
}

function momentOf(document: WireDocument | null): Moment | null {
  if (document === null) return null;
  const { id, timestamp, data } = document;
  return { id, atMs: Date.parse(timestamp), data };
}

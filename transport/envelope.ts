/**
 * The document on the wire: what was collected, and who says so. The one place that gives ids.
 *
 * @module
 */

import { monotonicFactory } from "ulid";
import type { Clock } from "../clock.ts";

/** What a collector's run leaves to be delivered. */
export interface Draft {
  /** The document's type, such as `pg_stat_activity`. */
  type: string;
  /** When it was collected. */
  timestamp: Date;
  data: Record<string, unknown>;
  /** The mark up to which it tells of losses (`loss_ledger.ts`); once it is delivered they need no telling any more. */
  tells?: number;
}

/** A sealed document: its identity, and its JSON as it goes to the listener on every attempt. */
export interface SealedDocument {
  /** ULID, the same on every retry. */
  id: string;
  sequence: number;
  type: string;
  /** ISO 8601, UTC, milliseconds: when it was collected. */
  timestamp: string;
  json: string;
}

/** Makes a document of a draft. The sequence number is the outbox's to give. */
export type Seal = (draft: Draft, sequence: number) => SealedDocument;

/** Who this agent is, for every document it sends. */
export interface Origin {
  project: string;
  host: string;
  version: string;
}

/** Returns a function that seals drafts in this agent's name, each with an id of its own, in ascending order. */
export function createSeal(origin: Origin, clock: Pick<Clock, "now">): Seal {
  const nextId = monotonicFactory();
  return function seal(draft, sequence) {
    const id = nextId(clock.now().getTime());
    const timestamp = draft.timestamp.toISOString();
    const json = JSON.stringify({
      id,
      project: origin.project,
      host: origin.host,
      type: draft.type,
      sequence,
      timestamp,
      agent: { version: origin.version },
      data: draft.data,
    });
    return { id, sequence, type: draft.type, timestamp, json };
  };
}

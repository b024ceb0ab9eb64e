/**
 * The document on the wire: what was collected, and who says so. The one place that gives ids.
 *
 * @module
 */

import { monotonicFactory } from "ulid";
import type { Clock } from "../clock.ts";

/**
 * A value of a draft's data that is JSON already, in UTF-8: what it was made of need not be kept until it is stored. The
 * bytes belong to whoever made it, and may change once the draft is stored.
 */
export class ReadyJson {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** For whoever makes JSON of a draft without {@link createSeal}. */
  toJSON(): unknown {
    return JSON.parse(new TextDecoder().decode(this.bytes));
  }
}

/** What a collector's run leaves to be delivered. */
export interface Draft {
  /** The document's type, such as `pg_stat_activity`. */
  type: string;
  /** When it was collected. */
  timestamp: Date;
  /** One of the values may be {@link ReadyJson}. */
  data: Record<string, unknown>;
  /** The mark up to which it tells of losses (`loss_ledger.ts`); once it is delivered they need no telling any more. */
  tells?: number;
}

/** A sealed document: its identity, and its JSON in UTF-8 as it goes to the listener on every attempt. */
export interface SealedDocument {
  /** ULID, the same on every retry. */
  id: string;
  sequence: number;
  type: string;
  /** ISO 8601, UTC, milliseconds: when it was collected. */
  timestamp: string;
  json: Uint8Array<ArrayBuffer>;
}

/** Makes a document of a draft. The sequence number is the outbox's to give. */
export type Seal = (draft: Draft, sequence: number) => SealedDocument;

/** Who this agent is, for every document it sends. */
export interface Origin {
  project: string;
  host: string;
  version: string;
}

/**
 * Returns a function that seals drafts in this agent's name, each with an id of its own, in ascending order. `random`
 * gives numbers in [0, 1); without it the system is asked for each of an id's sixteen.
 */
export function createSeal(origin: Origin, clock: Pick<Clock, "now">, random?: () => number): Seal {
  const nextId = monotonicFactory(random);
  return function seal(draft, sequence) {
    const id = nextId(clock.now().getTime());
    const timestamp = draft.timestamp.toISOString();
    const head = JSON.stringify({
      id,
      project: origin.project,
      host: origin.host,
      type: draft.type,
      sequence,
      timestamp,
      agent: { version: origin.version },
    });
    const json = withData(head, draft.data);
    return { id, sequence, type: draft.type, timestamp, json };
  };
}

const encoder = new TextEncoder();

/** The object of this JSON with `data` in it. */
function withData(head: string, data: Draft["data"]): Uint8Array<ArrayBuffer> {
  const start = `${head.slice(0, -1)},"data":`;
  const ready = Object.entries(data).find(([, value]) => value instanceof ReadyJson);
  if (ready === undefined) return encoder.encode(`${start}${JSON.stringify(data)}}`);
  const [name, { bytes }] = ready as [string, ReadyJson];
  const rest = JSON.stringify({ ...data, [name]: undefined });
  const before = encoder.encode(`${start}{${JSON.stringify(name)}:`);
  const after = encoder.encode(`${rest === "{}" ? "" : ","}${rest.slice(1)}}`);
  const json = new Uint8Array(before.length + bytes.length + after.length);
  json.set(before);
  json.set(bytes, before.length);
  json.set(after, before.length + bytes.length);
  return json;
}

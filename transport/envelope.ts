/**
 * The document on the wire: what was collected, and who says so. The one place that gives ids.
 *
 * @module
 */

import { monotonicFactory } from "ulid";
import type { Clock } from "../clock.ts";
import { lentJsonBytesMin } from "../limits.ts";

/**
 * A value of a draft's data that is JSON already, in UTF-8: what it was made of need not be kept until it is stored. The
 * block belongs to whoever made it, and may change once the draft is stored; until then it is the envelope's, too, which
 * is written around the value where there is room.
 */
export class ReadyJson {
  readonly block: Uint8Array<ArrayBuffer>;
  readonly start: number;
  readonly end: number;

  /** Takes a block and where the value stands in it; without, it is all of it. */
  constructor(block: Uint8Array<ArrayBuffer>, { start = 0, end = block.length } = {}) {
    this.block = block;
    this.start = start;
    this.end = end;
  }

  /** The value alone. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.block.subarray(this.start, this.end);
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
  /** The JSON stands in a block of the draft's: it may change once the draft is stored. */
  isLent: boolean;
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
    const head = {
      id,
      project: origin.project,
      host: origin.host,
      type: draft.type,
      sequence,
      timestamp,
      agent: { version: origin.version },
    };
    return { id, sequence, type: draft.type, timestamp, ...withData(head, draft.data) };
  };
}

const encoder = new TextEncoder();

/** The JSON of this object with `data` in it. */
function withData(head: Record<string, unknown>, data: Draft["data"]): Pick<SealedDocument, "json" | "isLent"> {
  const ready = Object.entries(data).find(([, value]) => value instanceof ReadyJson);
  // In one go: a text that is put together is copied whole before it is encoded.
  if (ready === undefined) return { json: encoder.encode(JSON.stringify({ ...head, data })), isLent: false };
  const [name, value] = ready as [string, ReadyJson];
  const rest = JSON.stringify({ ...data, [name]: undefined });
  const before = encoder.encode(`${JSON.stringify(head).slice(0, -1)},"data":{${JSON.stringify(name)}:`);
  const after = encoder.encode(`${rest === "{}" ? "" : ","}${rest.slice(1)}}`);
  return around(value, before, after);
}

/** Beside a large value, where there is room; a small one is copied, so that its JSON can be kept and sent. */
function around(value: ReadyJson, before: Uint8Array, after: Uint8Array): Pick<SealedDocument, "json" | "isLent"> {
  const { block, bytes } = value;
  const [start, end] = [value.start - before.length, value.end + after.length];
  const isLent = bytes.length >= lentJsonBytesMin && start >= 0 && end <= block.length;
  const json = isLent ? block.subarray(start, end) : new Uint8Array(end - start);
  if (!isLent) json.set(bytes, before.length);
  json.set(before);
  json.set(after, before.length + bytes.length);
  return { json, isLent };
}

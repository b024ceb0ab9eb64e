/**
 * What the outbox keeps in Deno KV: keys, values, and the check of whatever is read back.
 *
 * ```
 * ["state"]               → OutboxState, in the same commit as whatever it counts
 * ["losses"]              → LossLedger, likewise
 * ["document", sequence]  → Header of a document that waits
 * ["rejected", sequence]  → Header of a document that the listener refused, with the reason
 * ["chunk", sequence, n]  → a piece of the compressed JSON
 * ["checkpoint", name]    → how far a source has been carried
 * ```
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { chunkBytesMax, recordOverheadBytes } from "../limits.ts";
import { NewerFormatError } from "./kv_file.ts";
import type { LostDocument } from "./loss_ledger.ts";
import type { OutboxEntry } from "./outbox.ts";
import type { SequenceTotals } from "./sequence_file.ts";

/** The format that this code reads and writes. A higher one is of a newer agent and is left alone. */
const formatVersion = 2;

/** The figures of the outbox; `nextSequence` less one = `delivered` + `records` + the four losses in records. */
export interface OutboxState extends SequenceTotals {
  format: number;
  nextSequence: number;
  /** Documents that wait, and the bytes of everything stored, rejected ones included. */
  records: number;
  bytes: number;
  /** Rejected documents still kept for a look, and their share of `bytes`. */
  rejectedKept: number;
  rejectedBytes: number;
}

/** A document's identity and size; its text is in the chunks. */
export interface Header {
  id: string;
  sequence: number;
  type: string;
  timestamp: string;
  chunks: number;
  /** Compressed, without overhead. */
  gzipBytes: number;
  /** CRC-32 of the compressed bytes; documents of format 1 have none. */
  crc?: number;
  /** Why the listener refused it; only in rejected ones. */
  reason?: string;
  /** The mark up to which it tells of losses; only in an `agent_status`. */
  tells?: number;
}

/** The state of an outbox that never held anything. */
export const emptyState: OutboxState = {
  format: formatVersion,
  nextSequence: 1,
  records: 0,
  bytes: 0,
  rejectedKept: 0,
  rejectedBytes: 0,
  deliveredRecords: 0,
  evictedRecords: 0,
  evictedBytes: 0,
  rejectedRecords: 0,
  quarantinedRecords: 0,
  unstoredRecords: 0,
  quarantinedFiles: 0,
};

/** Where the figures are. */
export const stateKey: Deno.KvKey = ["state"];

/** Where the ledger of losses is. */
export const lossesKey: Deno.KvKey = ["losses"];

/** Where the header of a waiting document is. */
export function documentKey(sequence: number): Deno.KvKey {
  return ["document", sequence];
}

/** Where the header of a rejected document is. */
export function rejectedKey(sequence: number): Deno.KvKey {
  return ["rejected", sequence];
}

/** Where a source's checkpoint is. */
export function checkpointKey(name: string): Deno.KvKey {
  return ["checkpoint", name];
}

/** Where a piece of a document is, waiting or rejected. */
export function chunkKey(sequence: number, index: number): Deno.KvKey {
  return ["chunk", sequence, index];
}

/** Reads a state back, of this format or an older one. Throws when the value is none, or of a newer format. */
export function parseState(value: unknown): OutboxState {
  if (!isRecord(value)) throw new TypeError("Cannot read the outbox because its state is not an object");
  const format = value.format;
  if (typeof format === "number" && format > formatVersion) {
    throw new NewerFormatError({ format, known: formatVersion, nextSequence: Number(value.nextSequence) });
  }
  const state = { ...emptyState };
  const names = Object.keys(state) as (keyof OutboxState)[];
  for (const name of format === 1 ? names.filter((one) => !addedInFormat2.has(one)) : names) {
    const figure = value[name];
    if (typeof figure !== "number" || !Number.isSafeInteger(figure) || figure < 0) {
      throw new TypeError(`Cannot read the outbox because "${name}" of its state must be a whole number`);
    }
    state[name] = figure;
  }
  return format === 1 ? withDelivered(state) : state;
}

const addedInFormat2: ReadonlySet<keyof OutboxState> = new Set([
  "deliveredRecords",
  "quarantinedRecords",
  "unstoredRecords",
  "quarantinedFiles",
]);

/** Delivered is whatever was captured and has no other end. */
function withDelivered(state: OutboxState): OutboxState {
  const { nextSequence, records, evictedRecords, rejectedRecords } = state;
  const deliveredRecords = Math.max(0, nextSequence - 1 - records - evictedRecords - rejectedRecords);
  return { ...state, format: formatVersion, deliveredRecords };
}

/** Reads a header back; null when the value is none. */
export function parseHeader(value: unknown): Header | null {
  if (!isRecord(value)) return null;
  const { id, sequence, type, timestamp, chunks, gzipBytes, crc, reason, tells } = value;
  if (typeof id !== "string" || typeof type !== "string" || typeof timestamp !== "string") return null;
  if (typeof sequence !== "number" || typeof chunks !== "number" || typeof gzipBytes !== "number") return null;
  const header: Header = { id, sequence, type, timestamp, chunks, gzipBytes };
  if (typeof crc === "number") header.crc = crc;
  if (typeof reason === "string") header.reason = reason;
  if (typeof tells === "number") header.tells = tells;
  return header;
}

/** Stands for a header that cannot be read, so that its place can be cleared. */
export function unreadableHeader(sequence: number): Header {
  return { id: "", sequence, type: "unreadable", timestamp: "", chunks: 0, gzipBytes: 0 };
}

/** What the ledger of losses keeps of a document. */
export function lostDocument(header: Header): LostDocument {
  const { sequence, type, timestamp } = header;
  return { sequence, type, timestamp, bytes: storedBytes(header) };
}

/** What a document counts towards the cap. */
export function storedBytes(header: { gzipBytes: number }): number {
  return header.gzipBytes + recordOverheadBytes;
}

/** Cuts bytes into pieces of at most `size`, without copying them. */
export function cutIntoChunks(bytes: Uint8Array, size: number): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; start += size) chunks.push(bytes.subarray(start, start + size));
  return chunks;
}

/** The header of a document that is cut into pieces of `limits.chunkBytesMax`. */
export function headerOf(
  { id, sequence, type, timestamp }: Pick<Header, "id" | "sequence" | "type" | "timestamp">,
  { gzip, tells }: { gzip: Uint8Array; tells: number | undefined },
): Header {
  const chunks = Math.ceil(gzip.length / chunkBytesMax);
  const header = { id, sequence, type, timestamp, chunks, gzipBytes: gzip.length, crc: crc32(gzip) };
  return tells === undefined ? header : { ...header, tells };
}

/** Puts the pieces together again; null when one is missing, of the wrong size or changed. */
export function joinChunks(header: Header, chunks: readonly unknown[]): OutboxEntry | null {
  const gzip = new Uint8Array(header.gzipBytes);
  let offset = 0;
  for (const chunk of chunks) {
    if (!(chunk instanceof Uint8Array) || offset + chunk.length > gzip.length) return null;
    gzip.set(chunk, offset);
    offset += chunk.length;
  }
  if (chunks.length !== header.chunks || offset !== gzip.length) return null;
  if (header.crc !== undefined && header.crc !== crc32(gzip)) return null;
  const { id, sequence, type, timestamp } = header;
  return { id, sequence, type, timestamp, gzip };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

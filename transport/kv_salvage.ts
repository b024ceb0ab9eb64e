/**
 * Reads what can still be read of a damaged outbox: with SQLite itself, because Deno KV ends the process over some kinds
 * of damage. Knows how Deno KV keeps keys and values (Deno 2.9.6; the salvage tests tell when that changes).
 *
 * @module
 */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import { deserialize } from "node:v8";
import * as limits from "../limits.ts";
import { chunkKey, documentKey, type Header, joinChunks, parseHeader } from "./kv_records.ts";
import type { OutboxEntry } from "./outbox.ts";

/** A document that was saved, with its header. */
export interface SavedDocument {
  header: Header;
  entry: OutboxEntry;
}

/** How Deno KV marks values: JavaScript ones, and bytes as they are. */
const encodingV8 = 1;
const encodingBytes = 3;

/** A damaged file, open for reading. */
export class DamagedFile implements Disposable {
  readonly #file: DatabaseSync;
  readonly #get: StatementSync;

  private constructor(file: DatabaseSync) {
    this.#file = file;
    this.#get = file.prepare("select v, v_encoding from kv where k = ?");
  }

  /** Null when nothing at all can be read. */
  static open(path: string): DamagedFile | null {
    let file: DatabaseSync | null = null;
    try {
      file = new DatabaseSync(path, { readOnly: true });
      return new DamagedFile(file);
    } catch {
      file?.close();
      return null;
    }
  }

  /** The value of a key, unchecked; undefined when it is not there or cannot be read. */
  value(key: Deno.KvKey): unknown {
    try {
      return valueOf(this.#get.get(encodeKey(key)));
    } catch {
      return undefined;
    }
  }

  /** Names and values of all checkpoints; null when they cannot be listed. */
  checkpoints(): { name: string; value: unknown }[] | null {
    const found: { name: string; value: unknown }[] = [];
    try {
      for (const row of this.#rows(["checkpoint"], "asc")) {
        const name = decodeText(row.k as Uint8Array, encodeKey(["checkpoint"]).length);
        found.push({ name, value: valueOf(row) });
      }
      return found;
    } catch {
      return null;
    }
  }

  /** The documents that are whole, in order of their numbers, which lie between these. */
  *documents(between: { from: number; to: number }): Generator<SavedDocument> {
    for (const sequence of this.#sequences(between)) {
      const header = parseHeader(this.value(documentKey(sequence)));
      if (header === null || header.sequence !== sequence) continue;
      const chunks = Array.from({ length: header.chunks }, (_, index) => this.value(chunkKey(sequence, index)));
      const entry = joinChunks(header, chunks);
      if (entry !== null) yield { header, entry };
    }
  }

  /** From both ends as far as the list can be read, and every number in between where it cannot. */
  #sequences({ from, to }: { from: number; to: number }): number[] {
    const up = this.#list("asc");
    if (up.whole) return up.sequences;
    const down = this.#list("desc");
    const first = (up.sequences.at(-1) ?? from - 1) + 1;
    const last = (down.sequences.at(-1) ?? to + 1) - 1;
    const hidden = Math.max(0, Math.min(last - first + 1, limits.salvageLookupsMax));
    const between = Array.from({ length: hidden }, (_, index) => first + index);
    return [...new Set([...up.sequences, ...between, ...down.sequences.reverse()])].sort((one, other) => one - other);
  }

  #list(order: "asc" | "desc"): { sequences: number[]; whole: boolean } {
    const sequences: number[] = [];
    try {
      for (const { k } of this.#rows(["document"], order)) sequences.push(decodeNumber(k as Uint8Array));
      return { sequences, whole: true };
    } catch {
      return { sequences, whole: false };
    }
  }

  #rows(prefix: Deno.KvKey, order: "asc" | "desc"): Iterable<Row> {
    const start = encodeKey(prefix);
    const end = Uint8Array.from([...start, 0xff]);
    const statement = this.#file.prepare(
      `select k, v, v_encoding from kv where k > ? and k < ? order by k ${order}`,
    );
    return statement.iterate(start, end) as Iterable<Row>;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

type Row = Record<string, unknown>;

function valueOf(row: Row | undefined): unknown {
  if (row?.v_encoding === encodingBytes) return row.v;
  return row?.v_encoding === encodingV8 ? deserialize(row.v as Uint8Array) : undefined;
}

/** FoundationDB's tuple encoding, of which the outbox uses texts and positive numbers. */
function encodeKey(key: Deno.KvKey): Uint8Array {
  return Uint8Array.from(key.flatMap((part) => typeof part === "number" ? encodeNumber(part) : encodeText(part)));
}

function encodeText(part: Deno.KvKeyPart): number[] {
  return [0x02, ...new TextEncoder().encode(String(part)), 0];
}

/** A double, big end first, with the sign turned so that bytes sort as numbers do. */
function encodeNumber(number: number): number[] {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, number);
  view.setUint8(0, view.getUint8(0) ^ 0x80);
  return [0x21, ...new Uint8Array(view.buffer)];
}

/** The number at the end of a key. */
function decodeNumber(key: Uint8Array): number {
  const view = new DataView(key.slice(-8).buffer);
  view.setUint8(0, view.getUint8(0) ^ 0x80);
  return view.getFloat64(0);
}

/** The text that begins at `offset` with its mark and ends with the key. */
function decodeText(key: Uint8Array, offset: number): string {
  return new TextDecoder().decode(key.subarray(offset + 1, -1));
}

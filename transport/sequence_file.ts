/**
 * The file `sequence` beside the outbox: how far numbers have been given. It has its full size from the start and is
 * only ever overwritten in place, which works on a disk that has no room left, and it outlives a damaged outbox.
 *
 * ```
 * 512 bytes: checksum, blank, JSON, filled up with blanks      written in turn: a torn write
 * 512 bytes: the same                                          leaves the other one whole
 * ```
 *
 * Invariants:
 *
 * - the whole slot with the higher version is the truth;
 * - no number from `ceiling` on was ever given;
 * - every number below `settled` + 1 was delivered, or is counted as lost.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
import type { LossTotals } from "./outbox.ts";

/** What the file says. */
export interface SequenceNote {
  /** The next number, as far as it has been noted. */
  next: number;
  /** The next number as the outbox knows it: below `next` when that could not be written. */
  stored: number;
  /** Numbers below are reserved: what comes after a loss of the outbox begins here. */
  ceiling: number;
  /** All numbers up to this one need no delivery any more. */
  settled: number;
  /** Whether `next` was synced before anything could be sent under the number before it; otherwise `ceiling` is safe. */
  exact: boolean;
  /** The outbox's totals, to go on counting from. */
  totals: SequenceTotals;
}

/** Since the outbox was made. */
export interface SequenceTotals extends LossTotals {
  /** Documents that the listener has taken. */
  deliveredRecords: number;
}

/** Above all numbers that may have been given: a run that was killed may have stored some before it noted them. */
export function nextOf({ exact, next, ceiling }: SequenceNote): number {
  return exact ? next : ceiling;
}

const slotBytes = 512;

/** The file, open for overwriting; whether it can be is seen when it is written. */
export class SequenceFile implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #step: (name: string) => void | Promise<void>;
  #version: number;
  #note: SequenceNote | null;

  private constructor(file: Deno.FsFile, read: VersionedNote | null, step: SequenceFileOptions["step"]) {
    this.#file = file;
    this.#version = read?.version ?? 0;
    this.#note = read?.note ?? null;
    this.#step = step ?? (() => undefined);
  }

  /** Opens the file, or makes it. Throws what the file system says. */
  static async open(path: string, options: SequenceFileOptions = {}): Promise<SequenceFile> {
    const file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
    try {
      const bytes = await readFile(file);
      if (bytes.length < 2 * slotBytes) {
        // Behind what is there: a file that a crash has cut short keeps its first slot.
        await file.seek(bytes.length, Deno.SeekMode.Start);
        await writeAll(file, new Uint8Array(2 * slotBytes - bytes.length).fill(blank));
        await file.syncData();
      }
      return new SequenceFile(file, parseSlots(bytes), options.step);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** What it says; null when it is new, or both slots are damaged. */
  get note(): SequenceNote | null {
    return this.#note;
  }

  /**
   * Overwrites the older slot. Not `durable`: it outlives this process, but maybe not the machine. One call at a time.
   * Throws what the file system says, and then what it said before still holds.
   */
  async write(note: SequenceNote, { durable }: { durable: boolean }): Promise<void> {
    const version = this.#version + 1;
    const slot = formatSlot({ version, note });
    await this.#step("before the sequence is noted");
    // Only the write goes to the disk, and so only it needs a thread.
    this.#file.seekSync((version % 2) * slotBytes, Deno.SeekMode.Start);
    await writeAll(this.#file, slot);
    if (durable) await this.#file.syncData();
    await this.#step("after the sequence is noted");
    this.#version = version;
    this.#note = note;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** How a file is opened. */
export interface SequenceFileOptions {
  /** Called around every write: tests die there. */
  step?: ((name: string) => void | Promise<void>) | undefined;
}

interface VersionedNote {
  version: number;
  note: SequenceNote;
}

const blank = 0x20;

/** What an unopened file says, for who may read it and not write; null when it says nothing. */
export function parseSlots(bytes: Uint8Array): VersionedNote | null {
  const slots = [bytes.subarray(0, slotBytes), bytes.subarray(slotBytes, 2 * slotBytes)].map(parseSlot);
  return slots.reduce((best, slot) => slot !== null && slot.version > (best?.version ?? -1) ? slot : best, null);
}

function formatSlot(content: VersionedNote): Uint8Array {
  const json = JSON.stringify(content);
  const text = `${checksum(json)} ${json}`.padEnd(slotBytes);
  if (text.length > slotBytes) throw new RangeError(`Cannot note the sequence because a slot has ${slotBytes} bytes`);
  return new TextEncoder().encode(text);
}

function parseSlot(slot: Uint8Array): VersionedNote | null {
  const text = Buffer.from(slot).toString("latin1").trimEnd();
  const json = text.slice(9);
  if (json === "" || text.slice(0, 8) !== checksum(json)) return null;
  const content = JSON.parse(json) as VersionedNote;
  const { next, stored, ceiling, settled, totals } = content.note ?? {};
  const figures = [content.version, next, stored, ceiling, settled, ...Object.values(totals ?? {})];
  return figures.every((figure) => Number.isSafeInteger(figure)) ? content : null;
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, "0");
}

async function readFile(file: Deno.FsFile): Promise<Uint8Array> {
  const bytes = new Uint8Array(2 * slotBytes);
  let length = 0;
  while (length < bytes.length) {
    const read = await file.read(bytes.subarray(length));
    if (read === null) break;
    length += read;
  }
  return bytes.subarray(0, length);
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  let rest = bytes;
  while (rest.length > 0) rest = rest.subarray(await file.write(rest));
}

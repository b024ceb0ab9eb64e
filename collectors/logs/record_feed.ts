/**
 * Cuts a stream of bytes into blocks of whole lines, decoded at once.
 *
 * - What is held is the unfinished end: at most `logRecordBytesMax` and one push.
 * - A record that grows beyond is handed to a {@link Giant}, which keeps little of it, until it ends.
 * - Offsets count bytes of the file; a newline is one byte and one character whatever stands around it, invalid UTF-8
 *   included, so that lines tell where characters are in the bytes.
 *
 * @module
 */

import * as limits from "../../limits.ts";

const newline = 10;
const firstBytes = 64 * 1024;
/** Of a time up to its seconds. */
const markChars = 19;
const endOfLine = Uint8Array.of(newline);

/** Takes an overlong record piece by piece. */
export interface Giant {
  /** Takes bytes; returns how many belong to the record when it ends among them, else -1. */
  write(bytes: Uint8Array): number;
  /** A short record in its place, with an end of line. */
  result(): Uint8Array;
}

/** What is done with the blocks. */
export interface RecordHandler {
  /** Reads records; returns the characters that are used up, always whole lines. */
  read(block: Block): number;
  giant(): Giant;
  /** A record of which `bytes` were skipped. The shortened one follows as a block of its own. */
  skipped(bytes: number): void;
}

/** Whole lines. */
export class Block {
  readonly text: string;
  readonly #bytes: Uint8Array;
  readonly #base: number;
  /** In the file, of the end: a shortened record ends where the long one did. */
  readonly #end: number;
  /** Characters and bytes up to which they have been matched. */
  #chars = 0;
  #matched = 0;
  readonly #oneToOne: boolean;
  /** Nothing follows that could complete a record: all of it has to be used up. */
  readonly isFinal: boolean;

  constructor(bytes: Uint8Array, base: number, finalEnd?: number) {
    this.text = decoder.decode(bytes);
    this.#bytes = bytes;
    this.#base = base;
    this.#end = finalEnd ?? base + bytes.length;
    this.isFinal = finalEnd !== undefined;
    // All ASCII, or invalid bytes that each became one replacement character.
    this.#oneToOne = this.text.length === bytes.length;
  }

  /** Where in the file the character stands. It begins a line, or 19 characters of ASCII. Asked in ascending order. */
  offsetOf(char: number): number {
    if (char === this.text.length) return this.#end;
    if (this.#oneToOne) return this.#base + char;
    const lineStart = char === 0 ? 0 : this.text.lastIndexOf("\n", char - 1) + 1;
    while (this.#chars < lineStart) {
      this.#chars = this.text.indexOf("\n", this.#chars) + 1;
      this.#matched = this.#bytes.indexOf(newline, this.#matched) + 1;
    }
    return this.#base + (char === lineStart ? this.#matched : this.#find(char));
  }

  /** Invalid bytes have another length as text, so the place is found by what stands there. */
  #find(char: number): number {
    const mark = this.text.slice(char, char + markChars);
    let found = this.#matched - 1;
    for (let at = this.#chars - 1; at < char;) {
      at = this.text.indexOf(mark, at + 1);
      found = indexOfAscii(this.#bytes, mark, found + 1);
    }
    return found;
  }
}

// A byte order mark is a character like others: what is dropped could not be counted.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Feeds a {@link RecordHandler}. */
export class RecordFeed {
  readonly #handler: RecordHandler;
  readonly #recordBytesMax: number;
  #buffer = new Uint8Array(firstBytes);
  #length = 0;
  /** In the file, of the buffer's first byte, or of the giant's. */
  #base: number;
  #giant: Giant | null = null;
  #giantBytes = 0;

  constructor(handler: RecordHandler, options: { offset: number; recordBytesMax?: number }) {
    this.#handler = handler;
    this.#base = options.offset;
    this.#recordBytesMax = options.recordBytesMax ?? limits.logRecordBytesMax;
  }

  /** In the file, of the first byte that no block has used up. */
  get base(): number {
    return this.#base;
  }

  push(bytes: Uint8Array): void {
    let rest = bytes;
    if (this.#giant !== null) {
      const used = this.#feedGiant(rest);
      if (used < 0) return;
      rest = rest.subarray(used);
    }
    this.#append(rest);
    this.#readLines(this.#buffer.subarray(this.#length - rest.length, this.#length).lastIndexOf(newline) >= 0);
  }

  /** Hands over what is left, with an end of line that the file does not have. */
  finish(): void {
    if (this.#giant !== null) return this.#endGiant();
    const end = this.#base + this.#length;
    if (this.#length > 0) {
      this.#append(endOfLine);
      this.#handler.read(new Block(this.#buffer.subarray(0, this.#length), this.#base, end));
    }
    this.#length = 0;
    this.#base = end;
  }

  #readLines(hasNewEnd: boolean): void {
    if (hasNewEnd) {
      const end = this.#buffer.subarray(0, this.#length).lastIndexOf(newline) + 1;
      const block = new Block(this.#buffer.subarray(0, end), this.#base);
      const used = this.#handler.read(block);
      this.#drop(used === block.text.length ? end : block.offsetOf(used) - this.#base);
    }
    if (this.#length > this.#recordBytesMax) this.#beginGiant();
  }

  #beginGiant(): void {
    this.#giant = this.#handler.giant();
    this.#giantBytes = 0;
    const held = this.#buffer.slice(0, this.#length);
    this.#length = 0;
    const used = this.#feedGiant(held);
    // The record was long, but whole; what stands behind it is read as usual.
    if (used >= 0 && used < held.length) this.push(held.subarray(used));
  }

  /** Returns how many of the bytes were the giant's when it ends among them, else -1. */
  #feedGiant(bytes: Uint8Array): number {
    const used = this.#giant!.write(bytes);
    this.#giantBytes += used < 0 ? bytes.length : used;
    if (used >= 0) this.#endGiant();
    return used;
  }

  #endGiant(): void {
    const kept = this.#giant!.result();
    const end = this.#base + this.#giantBytes;
    this.#handler.skipped(Math.max(0, this.#giantBytes - kept.length));
    this.#giant = null;
    this.#handler.read(new Block(kept, this.#base, end));
    this.#base = end;
  }

  #append(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(length, this.#buffer.length * 2));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = length;
  }

  #drop(count: number): void {
    this.#buffer.copyWithin(0, count, this.#length);
    this.#length -= count;
    this.#base += count;
  }
}

function indexOfAscii(bytes: Uint8Array, text: string, from: number): number {
  const first = text.charCodeAt(0);
  for (let at = bytes.indexOf(first, from);; at = bytes.indexOf(first, at + 1)) {
    let length = 1;
    while (length < text.length && bytes[at + length] === text.charCodeAt(length)) length++;
    if (length === text.length || at < 0) return at;
  }
}

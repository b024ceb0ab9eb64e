/**
 * Records beyond what is held: they are read over, and leave a short record of the same form that the parsers read
 * like any other. Their texts are cut, but stay longer than an entry's limit, so that the cut is marked there.
 *
 * - State is one byte's worth of grammar and counters; what is kept is bounded by limits.ts.
 * - A character of UTF-8, an escape and a doubled quote are kept whole or not at all.
 *
 * @module
 */

import * as limits from "../../limits.ts";
import type { Giant } from "./record_feed.ts";

const newline = 10;
const quote = 34;
const comma = 44;
const backslash = 92;
const hexDigits = 4;

/** Grows up to what the limits allow. */
class Kept {
  #bytes = new Uint8Array(64 * 1024);
  #length = 0;

  add(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(this.#length * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = byte;
  }

  take(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** Counts the bytes of a text and says which are kept. */
class TextRoom {
  #bytes = 0;
  #texts = 0;
  #isFull = false;

  begin(): void {
    this.#bytes = 0;
    this.#texts++;
    this.#isFull = this.#texts > limits.logGiantTextsMax;
  }

  /** Whether a byte that begins a character is kept, or one that belongs to the character before. */
  takes(byte: number): boolean {
    if (this.#isFull) return false;
    this.#bytes++;
    const beginsCharacter = (byte & 0xc0) !== 0x80;
    if (beginsCharacter && this.#bytes > limits.logGiantTextBytesMax) this.#isFull = true;
    return !this.#isFull;
  }
}

/** A line of stderr: its beginning. */
export class LineGiant implements Giant {
  readonly #kept = new Kept();
  readonly #room = new TextRoom();

  constructor() {
    this.#room.begin();
  }

  write(bytes: Uint8Array): number {
    const end = bytes.indexOf(newline);
    for (const byte of bytes.subarray(0, end < 0 ? limits.logGiantTextBytesMax + hexDigits : end)) {
      if (!this.#room.takes(byte)) break;
      this.#kept.add(byte);
    }
    return end < 0 ? -1 : end + 1;
  }

  result(): Uint8Array {
    this.#kept.add(newline);
    return this.#kept.take();
  }
}

/** A line of jsonlog: everything between its strings and the beginning of each. */
export class JsonGiant implements Giant {
  readonly #kept = new Kept();
  readonly #room = new TextRoom();
  #inString = false;
  /** Bytes of an escape that are still to come. */
  #escapeRest = 0;
  #keepsEscape = false;

  constructor() {
    this.#room.begin();
  }

  write(bytes: Uint8Array): number {
    for (let index = 0; index < bytes.length; index++) {
      const byte = bytes[index]!;
      if (byte === newline) return index + 1;
      if (!this.#inString) this.#writeOutside(byte);
      else if (this.#escapeRest > 0) this.#writeEscape(byte);
      else this.#writeInside(byte);
    }
    return -1;
  }

  result(): Uint8Array {
    this.#kept.add(newline);
    return this.#kept.take();
  }

  #writeOutside(byte: number): void {
    if (byte === quote) {
      this.#inString = true;
      this.#room.begin();
      this.#kept.add(byte);
    } else if (this.#room.takes(byte)) this.#kept.add(byte);
  }

  #writeEscape(byte: number): void {
    this.#escapeRest--;
    // The letter behind the backslash: four digits follow a u.
    if (byte === 0x75 && this.#escapeRest === 0 && !this.#inDigits) {
      this.#escapeRest = hexDigits;
      this.#inDigits = true;
    }
    if (this.#escapeRest === 0) this.#inDigits = false;
    if (this.#keepsEscape) this.#kept.add(byte);
  }

  #inDigits = false;

  #writeInside(byte: number): void {
    if (byte === quote) {
      this.#inString = false;
      this.#kept.add(byte);
      this.#room.begin();
      return;
    }
    const isKept = this.#room.takes(byte);
    if (byte === backslash) {
      this.#escapeRest = 1;
      this.#keepsEscape = isKept;
    }
    if (isKept) this.#kept.add(byte);
  }
}

/** A record of csvlog: its commas, its quotes and the beginning of each field. */
export class CsvGiant implements Giant {
  readonly #kept = new Kept();
  readonly #room = new TextRoom();
  #state: "outside" | "inside" | "quote inside" | "broken" = "outside";

  constructor() {
    this.#room.begin();
  }

  write(bytes: Uint8Array): number {
    for (let index = 0; index < bytes.length; index++) {
      const byte = bytes[index]!;
      if (byte === newline && this.#state !== "inside") return index + 1;
      this.#write(byte);
    }
    return -1;
  }

  result(): Uint8Array {
    if (this.#state === "inside") this.#kept.add(quote);
    this.#kept.add(newline);
    return this.#kept.take();
  }

  #write(byte: number): void {
    if (this.#state === "broken") return;
    if (this.#state === "inside") {
      if (byte === quote) this.#state = "quote inside";
      else if (this.#room.takes(byte)) this.#kept.add(byte);
    } else if (this.#state === "quote inside") this.#writeBehindQuote(byte);
    else this.#writeOutside(byte);
  }

  #writeOutside(byte: number): void {
    if (byte === quote) this.#state = "inside";
    if (byte === comma) this.#room.begin();
    if (this.#room.takes(byte)) this.#kept.add(byte);
  }

  #writeBehindQuote(byte: number): void {
    if (byte === quote) {
      this.#state = "inside";
      if (!this.#room.takes(byte)) return;
      this.#kept.add(quote);
      this.#kept.add(quote);
      return;
    }
    // A quote that nothing may follow but a comma or the end: the record was torn and another one written behind it.
    this.#kept.add(quote);
    this.#state = byte === comma ? "outside" : "broken";
    if (byte === comma) this.#writeOutside(byte);
  }
}

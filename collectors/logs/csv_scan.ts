/**
 * Finds the fields of one CSV record, without copying any.
 *
 * @module
 */

const newline = 10;
const carriageReturn = 13;
const quote = 34;
const comma = 44;
const doubledQuote = /""/g;
/** More than any version has. */
const columnsMax = 64;

/** How a scan ended. */
export type CsvOutcome = "record" | "unfinished" | "broken";

/** Reused for every record: it holds the places of the last one. */
export class CsvScan {
  /** Fields of the record. */
  columns = 0;
  /** Behind the record and its end of line; of a broken one, where it broke. */
  end = 0;
  readonly #starts = new Int32Array(columnsMax);
  /** Negative where there are doubled quotes in the field. */
  readonly #ends = new Int32Array(columnsMax);

  /** Reads the record that begins at `start`, up to an end of line outside of quotes. */
  read(text: string, start: number): CsvOutcome {
    this.columns = 0;
    for (let at = start;;) {
      const isQuoted = text.charCodeAt(at) === quote;
      const end = isQuoted ? this.#readQuoted(text, at + 1) : this.#readPlain(text, at);
      if (end < 0) {
        this.end = text.length;
        return "unfinished";
      }
      const next = text.charCodeAt(end);
      if (next === comma) at = end + 1;
      else if (next === newline || (next === carriageReturn && text.charCodeAt(end + 1) === newline)) {
        this.end = end + (next === newline ? 1 : 2);
        return "record";
      } else {
        this.end = end;
        return end === text.length ? "unfinished" : "broken";
      }
    }
  }

  /** A field of the record that was read last; null when it is empty or not there. */
  field(text: string, column: number): string | null {
    if (column >= this.columns || column >= columnsMax) return null;
    const start = this.#starts[column]!;
    const end = this.#ends[column]!;
    if (start === end) return null;
    // The pattern leaves one flat text, replaceAll a chain of as many parts as there are quotes.
    return end >= 0 ? text.slice(start, end) : text.slice(start, -end).replace(doubledQuote, '"');
  }

  /** Returns where the field ends, -1 when the text ends before. */
  #readPlain(text: string, start: number): number {
    for (let at = start; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit !== comma && unit !== newline && unit !== carriageReturn) continue;
      this.#add(start, at);
      return at;
    }
    return -1;
  }

  /** Takes the place behind the opening quote; returns that behind the closing one, or -1. */
  #readQuoted(text: string, start: number): number {
    let hasQuotes = false;
    for (let at = start;; at += 2) {
      at = text.indexOf('"', at);
      if (at < 0) return -1;
      if (text.charCodeAt(at + 1) !== quote) {
        this.#add(start, hasQuotes ? -at : at);
        return at + 1;
      }
      hasQuotes = true;
    }
  }

  #add(start: number, end: number): void {
    const column = this.columns++;
    if (column >= columnsMax) return;
    this.#starts[column] = start;
    this.#ends[column] = end;
  }
}

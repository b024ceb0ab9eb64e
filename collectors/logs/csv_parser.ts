/**
 * Reads what `log_destination = csvlog` writes: 23 columns in PostgreSQL 12, 24 in 13, 26 from 14 on. Why not with a
 * library: docs/decisions/csv.md.
 *
 * - A record ends at an end of line outside of quotes. What begins with no time is no record: a line of level UNKNOWN.
 * - Within quotes a quote is doubled. One that is not, and has no comma or end of line behind it, shows that a record
 *   was torn (the server was killed) and another one written behind it. The torn one becomes an entry of level UNKNOWN,
 *   the other is read. A statement cannot forge this, because its quotes are doubled.
 *
 * @module
 */

import { emptyEntry, type LogEntry, noState } from "./entry.ts";
import { CsvScan } from "./csv_scan.ts";
import { CsvGiant } from "./giants.ts";
import { levelOf } from "./languages.ts";
import type { Block, Giant } from "./record_feed.ts";
import { RecordParser } from "./record_parser.ts";

/** Where the columns that are wanted stand. */
const column = {
  log_time: 0,
  user_name: 1,
  database_name: 2,
  process_id: 3,
  session_id: 5,
  session_line_num: 6,
  error_severity: 11,
  sql_state_code: 12,
  message: 13,
  detail: 14,
  hint: 15,
  internal_query_pos: 17,
  context: 18,
  query: 19,
  query_pos: 20,
  application_name: 22,
  backend_type: 23,
  query_id: 25,
} as const;
const columnsMin = 23;

/** `2026-11-21 06:12:28` */
const secondsChars = 19;
const recordStart = /\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [A-Za-z0-9:+-]{1,12},/g;

/** See {@link LogParser}. */
export class CsvParser extends RecordParser {
  readonly #scan = new CsvScan();

  protected override createGiant(): Giant {
    return new CsvGiant();
  }

  protected override readBlock(block: Block): number {
    const { text } = block;
    let start = 0;
    while (start < text.length) {
      const end = this.#readRecord(block, start);
      if (end === start) break;
      start = end;
    }
    return start;
  }

  /** Returns where the next record begins; `start` when this one is not complete. */
  #readRecord(block: Block, start: number): number {
    const { text } = block;
    if (!beginsRecord(text, start)) return this.#readForeign(block, start);
    const scan = this.#scan;
    const outcome = scan.read(text, start);
    if (outcome === "unfinished" && !block.isFinal) return start;
    if (outcome === "record" && this.#isRecord(text)) {
      this.#emit(this.#entryOf(text), block, { start, end: scan.end });
      return scan.end;
    }
    const end = this.#endOfTorn(text, start);
    const line = text.slice(start, end).trimEnd();
    this.#emit(emptyEntry("UNKNOWN", line, this.file), block, { start, end });
    return end;
  }

  #readForeign(block: Block, start: number): number {
    const end = block.text.indexOf("\n", start) + 1;
    const line = block.text.slice(start, end).trimEnd();
    if (line !== "") this.#emit(emptyEntry("UNKNOWN", line, this.file), block, { start, end });
    else {
      this.counts.lines++;
      this.counts.blankLines++;
    }
    return end;
  }

  /** Where a whole record stands in the same text, before the scan went wrong; else the end of that line. */
  #endOfTorn(text: string, start: number): number {
    const { end } = this.#scan;
    recordStart.lastIndex = start + 1;
    let found = -1;
    for (let match = recordStart.exec(text); match !== null && match.index <= end; match = recordStart.exec(text)) {
      found = match.index;
    }
    if (found >= 0) return found;
    const lineEnd = text.indexOf("\n", Math.max(start, end - 1));
    return lineEnd < 0 ? text.length : lineEnd + 1;
  }

  #emit(entry: LogEntry, block: Block, at: { start: number; end: number }): void {
    const { text } = block;
    for (let end = text.indexOf("\n", at.start); end >= 0 && end < at.end; end = text.indexOf("\n", end + 1)) {
      this.counts.lines++;
      // Mostly the record's only one: behind it a search would go to the end of the next.
      if (end === at.end - 1) break;
    }
    this.add(entry, block.offsetOf(at.end));
  }

  #isRecord(text: string): boolean {
    const { columns } = this.#scan;
    return columns >= columnsMin && levelOf(this.#scan.field(text, column.error_severity) ?? "") !== "UNKNOWN";
  }

  #entryOf(text: string): LogEntry {
    const scan = this.#scan;
    const state = scan.field(text, column.sql_state_code);
    const entry = emptyEntry(
      levelOf(scan.field(text, column.error_severity)!, state),
      this.#messageOf(text),
      this.file,
    );
    entry.timestamp = this.#timestampOf(scan.field(text, column.log_time)!);
    entry.pid = numberOf(scan.field(text, column.process_id));
    entry.sqlstate = state === noState ? null : state;
    entry.detail = scan.field(text, column.detail);
    entry.hint = scan.field(text, column.hint);
    entry.context = scan.field(text, column.context);
    entry.statement = scan.field(text, column.query);
    entry.user = scan.field(text, column.user_name);
    entry.database = scan.field(text, column.database_name);
    entry.application_name = scan.field(text, column.application_name);
    entry.session_id = scan.field(text, column.session_id);
    entry.session_line = numberOf(scan.field(text, column.session_line_num));
    entry.backend_type = scan.field(text, column.backend_type);
    const queryId = scan.field(text, column.query_id);
    entry.query_id = queryId === "0" ? null : queryId;
    return entry;
  }

  #messageOf(text: string): string {
    const message = this.#scan.field(text, column.message) ?? "";
    const position = this.#scan.field(text, column.query_pos) ?? this.#scan.field(text, column.internal_query_pos);
    return position === null ? message : `${message} at character ${position}`;
  }

  #timestampOf(time: string): string | null {
    const iso = this.zone.toIso(time);
    if (iso === null) this.counts.unknownTimes++;
    return iso;
  }
}

function beginsRecord(text: string, start: number): boolean {
  const first = text.charCodeAt(start);
  return first >= 0x30 && first <= 0x39 && text[start + 4] === "-" && text[start + secondsChars] === ".";
}

function numberOf(text: string | null): number | null {
  return text === null ? null : Number(text);
}

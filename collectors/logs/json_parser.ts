/**
 * Reads what `log_destination = jsonlog` writes (PostgreSQL 15 and later): one object a line, without the keys that
 * have no value. A line that is no such object is an entry of level UNKNOWN.
 *
 * @module
 */

import { emptyEntry, type LogEntry, noState } from "./entry.ts";
import { JsonGiant } from "./giants.ts";
import { levelOf } from "./languages.ts";
import type { Block, Giant } from "./record_feed.ts";
import { RecordParser } from "./record_parser.ts";

/** A line as it was read: the keys that are wanted. Nothing in it has been checked. */
interface JsonLine {
  timestamp?: unknown;
  user?: unknown;
  dbname?: unknown;
  pid?: unknown;
  session_id?: unknown;
  line_num?: unknown;
  error_severity?: unknown;
  state_code?: unknown;
  message?: unknown;
  detail?: unknown;
  hint?: unknown;
  internal_position?: unknown;
  context?: unknown;
  statement?: unknown;
  cursor_position?: unknown;
  application_name?: unknown;
  backend_type?: unknown;
  query_id?: unknown;
}

/** No string can hold this: a quote in it has a backslash before it. */
const queryIdKey = '"query_id":';
const digits = /-?\d{1,19}/y;

/** See {@link LogParser}. */
export class JsonParser extends RecordParser {
  protected override createGiant(): Giant {
    return new JsonGiant();
  }

  protected override readBlock(block: Block): number {
    const { text } = block;
    for (let start = 0; start < text.length;) {
      const end = text.indexOf("\n", start);
      this.counts.lines++;
      if (start === end) this.counts.blankLines++;
      else {
        this.add(this.#entryOf(text.slice(start, end)), block.offsetOf(end + 1));
      }
      start = end + 1;
    }
    return text.length;
  }

  #entryOf(text: string): LogEntry {
    const line = parseLine(text);
    if (line === null) return emptyEntry("UNKNOWN", text, this.file);
    const level = levelOf(String(line.error_severity));
    const position = line.cursor_position ?? line.internal_position;
    const message = typeof line.message === "string" ? line.message : "";
    const entry = emptyEntry(
      level,
      position === undefined ? message : `${message} at character ${position}`,
      this.file,
    );
    entry.timestamp = this.#timestampOf(line.timestamp);
    entry.pid = numberOf(line.pid);
    entry.sqlstate = line.state_code === noState ? null : textOf(line.state_code);
    entry.detail = textOf(line.detail);
    entry.hint = textOf(line.hint);
    entry.context = textOf(line.context);
    entry.statement = textOf(line.statement);
    entry.user = textOf(line.user);
    entry.database = textOf(line.dbname);
    entry.application_name = textOf(line.application_name);
    entry.session_id = textOf(line.session_id);
    entry.session_line = numberOf(line.line_num);
    entry.query_id = queryIdOf(line.query_id, text);
    entry.backend_type = textOf(line.backend_type);
    return entry;
  }

  #timestampOf(value: unknown): string | null {
    if (typeof value !== "string") return null;
    const iso = this.zone.toIso(value);
    if (iso === null) this.counts.unknownTimes++;
    return iso;
  }
}

function parseLine(text: string): JsonLine | null {
  if (text.charCodeAt(0) !== 0x7b) return null;
  try {
    const line = JSON.parse(text) as JsonLine;
    return levelOf(String(line.error_severity)) === "UNKNOWN" ? null : line;
  } catch {
    return null;
  }
}

function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

/** `JSON.parse` rounds what has more than 53 bits; then the line has the digits. */
function queryIdOf(value: unknown, text: string): string | null {
  if (typeof value !== "number" || value === 0) return null;
  if (Number.isSafeInteger(value)) return String(value);
  digits.lastIndex = text.lastIndexOf(queryIdKey) + queryIdKey.length;
  return digits.exec(text)?.[0] ?? null;
}

/**
 * One entry of a PostgreSQL server log, the same whatever format it was written in.
 *
 * @module
 */

import * as limits from "../../limits.ts";
import { correlationId } from "../correlation.ts";
import { presentMessage, presentQuery, type QueryText } from "../query_text.ts";
import { isRaised, placeholder } from "../redact.ts";
import { truncate } from "../text.ts";

/** PostgreSQL's severities in English, and `UNKNOWN` for a line that no PostgreSQL has written. */
const logEntryLevels = [
  "DEBUG",
  "LOG",
  "INFO",
  "NOTICE",
  "WARNING",
  "ERROR",
  "FATAL",
  "PANIC",
  "UNKNOWN",
] as const;
/** One of them. */
export type LogEntryLevel = (typeof logEntryLevels)[number];

/** An entry as it goes over the wire (docs/documents/pg_log.md). Null is what the line or its format does not tell. */
export interface LogEntry {
  /** ISO 8601, UTC, milliseconds. */
  timestamp: string | null;
  pid: number | null;
  level: LogEntryLevel;
  /** With ` at character N` behind it where the server tells a position in the statement. */
  message: string;
  /** Null instead of 00000, which is no error. */
  sqlstate: string | null;
  detail: string | null;
  hint: string | null;
  context: string | null;
  statement: string | null;
  user: string | null;
  database: string | null;
  application_name: string | null;
  correlation_id: string | null;
  session_id: string | null;
  /** Counts entries in csvlog and jsonlog; in stderr also the lines that belong to one, as the server does. */
  session_line: number | null;
  /** A signed 64-bit integer in decimal digits; null instead of 0, which is none. */
  query_id: string | null;
  backend_type: string | null;
  file: string | null;
}

/** The SQLSTATE of what is no error; jsonlog leaves it out. */
export const noState = "00000";

const texts = ["detail", "hint", "context", "statement"] as const;
const names = ["user", "database", "application_name", "backend_type", "session_id"] as const;

/** An entry that says nothing yet. */
export function emptyEntry(level: LogEntryLevel, message: string, file: string | null): LogEntry {
  return {
    timestamp: null,
    pid: null,
    level,
    message,
    sqlstate: null,
    detail: null,
    hint: null,
    context: null,
    statement: null,
    user: null,
    database: null,
    application_name: null,
    correlation_id: null,
    session_id: null,
    session_line: null,
    query_id: null,
    backend_type: null,
    file,
  };
}

/** Cuts what is too long and looks for the correlation id. Returns whether anything was cut. */
export function finishEntry(entry: LogEntry): boolean {
  const name = entry.application_name;
  if (name !== null) entry.correlation_id = name === lastName ? lastId : rememberId(name);
  return isTooLong(entry) && cutEntry(entry);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A copy of a text: V8 keeps the whole block for as long as a part that was cut out of it is kept. */
export function detachText(text: string): string {
  return decoder.decode(encoder.encode(text));
}

/** Copies the texts of an entry that is kept for longer than its neighbours. */
export function detachEntry(entry: LogEntry): LogEntry {
  entry.message = detachText(entry.message);
  for (const field of [...texts, ...names, "query_id"] as const) {
    const text = entry[field];
    if (text !== null) entry[field] = detachText(text);
  }
  return entry;
}

/**
 * Copies the texts of entries that are only a small part of the block of so many characters that they were read from.
 * Returns whether they are.
 */
export function detachSparse(
  records: readonly { entry: LogEntry }[],
  block: { from: number; chars: number },
): boolean {
  let chars = (records.length - block.from) * entryChars;
  for (let index = block.from; index < records.length && chars * sparseFactor < block.chars; index++) {
    const { message, statement, detail, context } = records[index]!.entry;
    chars += message.length + lengthOf(statement) + lengthOf(detail) + lengthOf(context);
  }
  if (chars * sparseFactor >= block.chars) return false;
  for (let index = block.from; index < records.length; index++) detachEntry(records[index]!.entry);
  return true;
}

/** Of a line's prefix, about. */
const entryChars = 100;
/** A batch holds the blocks of its entries: so many times its own size at most. */
const sparseFactor = 4;

// Neighbours in a log mostly have the same name, and comparing it is faster than reading it.
let lastName = "";
let lastId: string | null = null;

function rememberId(name: string): string | null {
  lastId = correlationId(name);
  lastName = name;
  return lastId;
}

/** The entry as `collection.query_text` allows it to leave the server. */
export function presentEntry(entry: LogEntry, mode: QueryText): LogEntry {
  const presentation = { mode, charsMax: limits.logTextCharsMax };
  const present = (text: string | null) => text === null ? null : presentMessage(text, presentation);
  const isHidden = mode !== "full" && isRaised(entry);
  const presentOwn = (text: string | null) => isHidden && text !== null ? placeholder : present(text);
  return {
    ...entry,
    message: presentOwn(entry.message) ?? "",
    detail: presentOwn(entry.detail),
    hint: presentOwn(entry.hint),
    context: present(entry.context),
    statement: presentQuery(entry.statement, presentation),
  };
}

function isTooLong(entry: LogEntry): boolean {
  const { logTextCharsMax: textMax, logNameCharsMax: nameMax } = limits;
  return entry.message.length > textMax || lengthOf(entry.statement) > textMax || lengthOf(entry.detail) > textMax ||
    lengthOf(entry.context) > textMax || lengthOf(entry.hint) > textMax || lengthOf(entry.user) > nameMax ||
    lengthOf(entry.database) > nameMax || lengthOf(entry.application_name) > nameMax ||
    lengthOf(entry.backend_type) > nameMax || lengthOf(entry.session_id) > nameMax;
}

function cutEntry(entry: LogEntry): true {
  const { logTextCharsMax, logNameCharsMax } = limits;
  entry.message = truncate(entry.message, logTextCharsMax);
  for (const field of texts) entry[field] = cut(entry[field], logTextCharsMax);
  for (const field of names) entry[field] = cut(entry[field], logNameCharsMax);
  return true;
}

function cut(text: string | null, charsMax: number): string | null {
  return text === null ? null : truncate(text, charsMax);
}

function lengthOf(text: string | null): number {
  return text === null ? 0 : text.length;
}

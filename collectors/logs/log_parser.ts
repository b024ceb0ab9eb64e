/**
 * The seam between bytes of a growing log file and entries. One parser reads one file, in blocks of any size.
 *
 * @module
 */

import type { LogEntry } from "./entry.ts";
import type { TimeZone } from "./timezone.ts";

/** The formats of `log_destination`. */
export const logFormats = ["stderr", "csvlog", "jsonlog"] as const;
export type LogFormat = (typeof logFormats)[number];

/**
 * Where a later parser goes on so that nothing is lost and nothing comes twice. Plain data, to be stored with whatever
 * carries the entries before it: positions in the file, in bytes.
 */
export interface ResumePoint {
  /** The first byte that no returned entry has used up. */
  readonly offset: number;
  /** Lines after it that belonged to returned entries: other processes had written in between. Nearly always empty. */
  readonly claimed: readonly number[];
}

/** An entry, and the point to resume at once this entry and all before it are safe. */
export interface LogRecord extends ResumePoint {
  readonly entry: LogEntry;
}

/** What a parser has seen. */
export interface ParserCounts {
  bytes: number;
  /** Ends of lines, whatever they hold. */
  lines: number;
  /** Lines without a character, which are no entries. */
  blankLines: number;
  /** Entries of which a text was cut. */
  cutEntries: number;
  /** Bytes of overlong records that were never held, only read over. */
  skippedBytes: number;
  /** Entries whose time has a zone that cannot be told, so that `timestamp` is null. */
  unknownTimes: number;
}

/** What a parser needs to know of its file. */
export interface ParserOptions {
  /** What `file` of the entries says. */
  file?: string | null;
  /** How the times of `log_timezone` are understood. Default: what their abbreviation says by itself. */
  zone?: TimeZone;
  /** Whether `lc_messages` is known to be another language than English. Default: found out. */
  isTranslated?: boolean;
  /** Where the first byte of the first push stands. Default: the file's beginning. */
  from?: ResumePoint;
}

/** Turns bytes into entries, in the order in which the file has their first lines. */
export interface LogParser {
  readonly counts: Readonly<ParserCounts>;
  /** Where to go on when everything returned so far is safe; moves on with each call. */
  readonly resume: ResumePoint;
  /** Takes the next bytes of the file. They may be changed once it has returned. */
  push(bytes: Uint8Array): LogRecord[];
  /**
   * Gives up waiting for further lines of entries that are complete as they stand; for a file that has been idle.
   * A line without its end stays.
   */
  settle(): LogRecord[];
  /** The file has ended: returns what is left, a line without its end included. Nothing may be pushed afterwards. */
  finish(): LogRecord[];
}

/** Counts of a parser that has seen nothing. */
export function noCounts(): ParserCounts {
  return { bytes: 0, lines: 0, blankLines: 0, cutEntries: 0, skippedBytes: 0, unknownTimes: 0 };
}

/** Of a file's beginning. */
export const fileStart: ResumePoint = { offset: 0, claimed: [] };
/** No line is claimed. */
export const noneClaimed: readonly number[] = [];

/**
 * An entry of stderr while lines of it may come, and the line that is being read.
 *
 * @module
 */

import * as limits from "../../limits.ts";
import type { LogEntry } from "./entry.ts";
import { lineKinds } from "./languages.ts";
import type { Block } from "./record_feed.ts";

/** An entry that may get further lines. */
export interface OpenEntry {
  entry: LogEntry;
  offset: number;
  /** The field that a continuation line adds to; null for what has no field. */
  growing: "message" | "detail" | "hint" | "context" | "statement" | null;
  /** Place of the last line in {@link lineKinds}; -1 after the first line, beyond them when none may follow. */
  lastKind: number;
  /** The first line, when its names can be read in several ways. */
  ambiguous: string | null;
  /** Of the message in that line. */
  messageChars: number;
  /** Where lines of it stand behind later entries. */
  late: number[] | null;
}

/** A line that is being read. */
export interface Line {
  block: Block;
  start: number;
  end: number;
  /** Behind the severity or the label. */
  rest: number;
}

/** After it no line may follow. */
export const noKindLeft: number = lineKinds.length;
/** With `log_error_verbosity = verbose`. */
const verboseState = /^([0-9A-Z]{5}): /;

/** What a line says from a place on: one character more than may stay, so that the cut is seen. */
export function textOf({ block, end }: Line, start: number): string {
  return block.text.slice(start, Math.min(end, start + limits.logTextCharsMax + 1));
}

/** `log_error_verbosity = verbose` sets the SQLSTATE before the message; that it is set is known by the LOCATION. */
export function takeVerboseState(entry: LogEntry): void {
  const [before, state] = verboseState.exec(entry.message) ?? [];
  if (before === undefined || state === undefined) return;
  entry.sqlstate = state;
  entry.message = entry.message.slice(before.length);
}

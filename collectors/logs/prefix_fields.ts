/**
 * From a matched prefix to the fields of an entry.
 *
 * @module
 */

import type { LogEntry } from "./entry.ts";
import { knownName } from "./languages.ts";
import type { ParserCounts } from "./log_parser.ts";
import type { Prefix } from "./prefix.ts";
import { epochToIso, type TimeZone } from "./timezone.ts";

/** In a name that can be taken for more than a name: the end of a severity, perhaps cut. */
const endOfSeverity = /: {2}|: ?$/;

/** Behind a severity or a label. */
const endOfWord = ":  ";

/** Reads the lines of one prefix. */
export class PrefixFields {
  /** In the text of the last match: behind the severity or the label. */
  rest = 0;
  /** Whether the last match could be another one, and nothing is known that tells which. */
  isDoubtful = false;
  readonly #prefix: Prefix;
  readonly #zone: TimeZone;
  readonly #counts: ParserCounts;

  constructor(prefix: Prefix, zone: TimeZone, counts: ParserCounts) {
    this.#prefix = prefix;
    this.#zone = zone;
    this.#counts = counts;
  }

  /**
   * Reads the line that begins at `start` with the longest names; null for one without the prefix. Tries the shortest
   * first, because nearly always they are the same. Where the prefix is not known as a whole the shortest count.
   */
  match(text: string, start: number, end: number): RegExpExecArray | null {
    const { pattern, shortest, namesCharsMax, isPartial } = this.#prefix;
    this.isDoubtful = false;
    shortest.lastIndex = start;
    let match = shortest.exec(text);
    this.rest = shortest.lastIndex;
    if (namesCharsMax === 0) return match;
    if (match !== null) {
      const next = text.indexOf(endOfWord, this.rest);
      if (next < 0 || next >= end || next > this.rest + namesCharsMax) return match;
    }
    pattern.lastIndex = start;
    if (isPartial) {
      this.isDoubtful = match !== null && pattern.test(text) && pattern.lastIndex !== this.rest;
      return match;
    }
    match = pattern.exec(text);
    this.rest = pattern.lastIndex;
    return match;
  }

  /** Sets what the prefix tells. */
  fill(entry: LogEntry, match: RegExpExecArray): void {
    const { groups } = this.#prefix;
    entry.timestamp = this.#timestamp(match);
    entry.pid = this.pid(match);
    entry.user = this.#nameOf(textOf(match, groups.user));
    entry.database = this.#nameOf(textOf(match, groups.database));
    entry.application_name = this.#nameOf(textOf(match, groups.application_name));
    entry.backend_type = this.#nameOf(textOf(match, groups.backend_type));
    entry.sqlstate = textOf(match, groups.sqlstate) ?? null;
    entry.session_id = textOf(match, groups.session_id) ?? null;
    const sessionLine = textOf(match, groups.session_line);
    entry.session_line = sessionLine === undefined ? null : Number(sessionLine);
    const queryId = textOf(match, groups.query_id);
    entry.query_id = queryId === undefined || queryId === "0" ? null : queryId;
  }

  /** The process, from `%p` or from the session's id. */
  pid(match: RegExpExecArray): number | null {
    const { groups } = this.#prefix;
    const pid = textOf(match, groups.pid);
    if (pid !== undefined) return Number(pid);
    const session = textOf(match, groups.session_id);
    return session === undefined ? null : parseInt(session.slice(session.indexOf(".") + 1), 16);
  }

  /** Whether a name may be a name and the beginning of a message. */
  isAmbiguous(match: RegExpExecArray): boolean {
    const { names } = this.#prefix;
    for (let index = 0; index < names.length; index++) {
      const name = match[names[index]!];
      if (name !== undefined && name.indexOf(":") >= 0 && endOfSeverity.test(name)) return true;
    }
    return false;
  }

  /** The names, in the order in which they stand in the prefix. */
  names(match: RegExpExecArray): string[] {
    return this.#prefix.names.map((group) => match[group] ?? "");
  }

  /** Reads a line with the names that its session is known to have; null when it cannot be read so. */
  readWithNames(line: string, names: readonly string[]): RegExpExecArray | null {
    const match = this.#prefix.withNames(names).exec(line);
    return match?.[this.#prefix.severityGroup] === undefined ? null : match;
  }

  #timestamp(match: RegExpExecArray): string | null {
    const { groups } = this.#prefix;
    const stamp = textOf(match, groups.stamp);
    if (stamp === undefined) {
      const epoch = textOf(match, groups.epoch);
      return epoch === undefined ? null : epochToIso(epoch);
    }
    const iso = this.#zone.toIso(stamp);
    if (iso === null) this.#counts.unknownTimes++;
    return iso;
  }

  #nameOf(text: string | undefined): string | null {
    return knownName(this.#prefix.isPadded ? text?.trim() : text);
  }
}

/** Of a group; 0 is none. */
function textOf(match: RegExpExecArray, group: number): string | undefined {
  return group === 0 ? undefined : match[group];
}

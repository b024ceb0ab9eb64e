/**
 * Reads what `log_destination = stderr` writes, with any `log_line_prefix`.
 *
 * - A line that begins with a TAB continues the line before it.
 * - DETAIL, HINT, QUERY, CONTEXT, LOCATION, BACKTRACE and STATEMENT come at most once an entry, in this order, and
 *   belong to the last entry of their process, also when other processes have written in between. So the last
 *   `logOpenEntriesMax` entries, or half of them, stay open. QUERY, LOCATION and BACKTRACE have no field; LOCATION tells
 *   that the SQLSTATE stands before the message (`log_error_verbosity = verbose`).
 * - A line without the prefix is an entry of its own, of level UNKNOWN; so is what belongs to no open entry.
 * - Entries leave in the order of their first lines. What is held: the open entries, each text cut beyond its limit,
 *   the block that the youngest texts are slices of, and the unfinished line (`record_feed.ts`).
 *
 * @module
 */

import * as limits from "../../limits.ts";
import { detachEntry, detachSparse, detachText, emptyEntry, finishEntry, type LogEntry, noState } from "./entry.ts";
import { LineGiant } from "./giants.ts";
import { englishPosition, kindOf, levelOf, lineKinds } from "./languages.ts";
import {
  fileStart,
  type LogParser,
  type LogRecord,
  noCounts,
  noneClaimed,
  type ParserCounts,
  type ParserOptions,
  type ResumePoint,
} from "./log_parser.ts";
import { compilePrefix, defaultPrefix, type Prefix } from "./prefix.ts";
import { type Line, noKindLeft, type OpenEntry, takeVerboseState, textOf } from "./open_entry.ts";
import { PrefixFields } from "./prefix_fields.ts";
import { type Block, RecordFeed } from "./record_feed.ts";
import { TimeZone } from "./timezone.ts";

const tab = 9;

/** See {@link LogParser}. */
export class StderrParser implements LogParser {
  readonly counts: ParserCounts = noCounts();
  readonly #prefix: Prefix;
  readonly #file: string | null;
  readonly #fields: PrefixFields;
  readonly #feed: RecordFeed;
  readonly #open: OpenEntry[] = [];
  /** Whose line the last one was; null for a line that was left out, as is what continues it. */
  #last: OpenEntry | null = null;
  #leavesOut = false;
  #claimed: readonly number[];
  #records: LogRecord[] = [];
  /** In the file, behind the last line that has been read. */
  #read: number;
  /** Names that the processes had when there was no doubt. */
  readonly #sessions = new Map<number, string[]>();
  /** Whether a word of another language has been seen. */
  #isTranslated: boolean;

  constructor(options: ParserOptions & { prefix?: string } = {}) {
    const { file = null, zone = new TimeZone(), from = fileStart, prefix = defaultPrefix } = options;
    this.#isTranslated = options.isTranslated ?? false;
    this.#prefix = compilePrefix(prefix);
    this.#file = file;
    this.#fields = new PrefixFields(this.#prefix, zone, this.counts);
    this.#claimed = from.claimed;
    this.#read = from.offset;
    const skipped = (bytes: number) => {
      this.counts.skippedBytes += bytes;
    };
    const read = (block: Block) => this.#readBlock(block);
    this.#feed = new RecordFeed({ read, giant: () => new LineGiant(), skipped }, { offset: from.offset });
  }

  get resume(): ResumePoint {
    return { offset: this.#open[0]?.offset ?? this.#read, claimed: this.#claimed };
  }

  push(bytes: Uint8Array): LogRecord[] {
    this.counts.bytes += bytes.length;
    this.#feed.push(bytes);
    return this.#take();
  }

  settle(): LogRecord[] {
    this.#emit(this.#open.length);
    this.#last = null;
    return this.#take();
  }

  finish(): LogRecord[] {
    this.#feed.finish();
    return this.settle();
  }

  #take(): LogRecord[] {
    const records = this.#records;
    this.#records = [];
    return records;
  }

  #readBlock(block: Block): number {
    const { text } = block;
    const { severityGroup, labelGroup } = this.#prefix;
    const from = this.#records.length;
    const line = { block, start: 0, end: 0, rest: 0 };
    while (line.start < text.length) {
      const { start } = line;
      const end = line.end = text.indexOf("\n", start);
      this.counts.lines++;
      if (start === end) this.counts.blankLines++;
      else if (text.charCodeAt(start) === tab) this.#continue(line);
      else {
        this.#leavesOut = false;
        const match = this.#fields.match(text, start, end);
        line.rest = this.#fields.rest;
        if (match === null) {
          this.#openEntry(line, emptyEntry("UNKNOWN", textOf(line, start), this.#file), noKindLeft);
        } else if (match[severityGroup] !== undefined) this.#begin(line, match);
        else this.#attach(line, { match, label: match[labelGroup]! });
      }
      line.start = end + 1;
    }
    this.#read = block.offsetOf(text.length);
    if (detachSparse(this.#records, { from, chars: text.length })) {
      for (const { entry } of this.#open) detachEntry(entry);
    }
    return text.length;
  }

  /** The first line of an entry. */
  #begin(line: Line, match: RegExpExecArray): void {
    const entry = emptyEntry("UNKNOWN", textOf(line, line.rest), this.#file);
    this.#readHead(entry, match);
    const opened = this.#openEntry(line, entry, -1);
    if (this.#prefix.names.length === 0) return;
    if (this.#fields.isDoubtful) {
      // Rather no level than a forged one; a line that follows may tell.
      entry.level = "UNKNOWN";
      entry.message = textOf(line, line.start);
      opened.messageChars = entry.message.length;
    } else if (!this.#fields.isAmbiguous(match)) return this.#remember(entry.pid, match);
    opened.ambiguous = line.block.text.slice(line.start, line.rest) + textOf(line, line.rest);
    const names = entry.pid === null ? undefined : this.#sessions.get(entry.pid);
    if (names !== undefined) this.#reconsider(opened, names);
  }

  /** Level and fields of an entry's first line. */
  #readHead(entry: LogEntry, match: RegExpExecArray): void {
    const word = match[this.#prefix.severityGroup]!;
    entry.level = levelOf(word);
    if (entry.level !== word) this.#isTranslated = true;
    this.#fields.fill(entry, match);
  }

  /** User and database of a session stay as they are; an application may be named anew to forge a line. */
  #remember(pid: number | null, match: RegExpExecArray): void {
    if (pid === null || this.#prefix.hasApplication) return;
    if (this.#sessions.get(pid)?.every((name, index) => name === match[this.#prefix.names[index]!])) return;
    if (this.#sessions.size >= limits.logSessionsMax) this.#sessions.clear();
    this.#sessions.set(pid, this.#fields.names(match).map(detachText));
  }

  /** A line that belongs to an entry before it. */
  #attach(line: Line, { match, label }: { match: RegExpExecArray; label: string }): void {
    const kind = kindOf(label)!;
    const place = lineKinds.indexOf(kind);
    const rest = textOf(line, line.rest);
    if (label !== kind.toUpperCase()) this.#isTranslated = true;
    const owner = this.#ownerOf(match, place);
    if (owner === null) return this.#orphan(line, match, `${label}:  ${rest}`);
    if (owner !== this.#open.at(-1)) (owner.late ??= []).push(line.block.offsetOf(line.start));
    if (owner.ambiguous !== null && owner.lastKind < 0) this.#reconsider(owner, this.#fields.names(match));
    owner.lastKind = place;
    this.#last = owner;
    owner.growing = null;
    if (kind === "location") takeVerboseState(owner.entry);
    else if (kind !== "query" && kind !== "backtrace") {
      owner.entry[kind] = rest;
      owner.growing = kind;
    }
  }

  /** What belongs to an entry that is gone, or was never in this file. */
  #orphan(line: Line, match: RegExpExecArray, message: string): void {
    if (this.#claimed.length > 0 && this.#claimed.includes(line.block.offsetOf(line.start))) {
      this.#last = null;
      this.#leavesOut = true;
      return;
    }
    const entry = emptyEntry("UNKNOWN", message, this.#file);
    this.#fields.fill(entry, match);
    this.#openEntry(line, entry, noKindLeft);
  }

  #ownerOf(match: RegExpExecArray, place: number): OpenEntry | null {
    const pid = this.#fields.pid(match);
    for (let index = this.#open.length - 1; index >= 0; index--) {
      const open = this.#open[index]!;
      // Without a process in the prefix: the last entry of any.
      if (open.lastKind === noKindLeft || (pid !== null && open.entry.pid !== pid)) continue;
      return open.lastKind < place ? open : null;
    }
    return null;
  }

  #continue(line: Line): void {
    if (this.#leavesOut) return;
    const text = textOf(line, line.start + 1);
    if (this.#last === null) {
      this.#openEntry(line, emptyEntry("UNKNOWN", text, this.#file), noKindLeft);
      return;
    }
    const { entry, growing } = this.#last;
    if (growing === null) return;
    const before = entry[growing] ?? "";
    if (before.length <= limits.logTextCharsMax) entry[growing] = `${before}\n${text}`;
  }

  #openEntry(line: Line, entry: LogEntry, lastKind: number): OpenEntry {
    const offset = line.block.offsetOf(line.start);
    const opened: OpenEntry = {
      entry,
      offset,
      growing: "message",
      lastKind,
      ambiguous: null,
      messageChars: entry.message.length,
      late: null,
    };
    this.#last = opened;
    this.#open.push(opened);
    if (this.#open.length > limits.logOpenEntriesMax) this.#emit(limits.logOpenEntriesMax / 2);
    return opened;
  }

  /** Hands on the oldest entries: several at once, because taking the first of an array moves all others. */
  #emit(count: number): void {
    const leaving = this.#open.splice(0, count);
    for (let index = 0; index < leaving.length; index++) {
      const { entry, late } = leaving[index]!;
      this.#finish(entry);
      const offset = (leaving[index + 1] ?? this.#open[0])?.offset ?? this.#read;
      if (late !== null || this.#claimed.length > 0) {
        this.#claimed = [...this.#claimed, ...late ?? []].filter((claimed) => claimed > offset);
      }
      this.#records.push({ entry, offset, claimed: this.#claimed.length === 0 ? noneClaimed : this.#claimed });
    }
  }

  #finish(entry: LogEntry): void {
    if (this.#isTranslated && entry.level !== "UNKNOWN") entry.message = englishPosition(entry.message);
    // Where the words do not tell a notice from a warning.
    if (entry.level === "WARNING" && entry.sqlstate === noState) entry.level = "NOTICE";
    if (entry.sqlstate === noState) entry.sqlstate = null;
    if (finishEntry(entry)) this.counts.cutEntries++;
  }

  /** Something else tells the names of the session: the first line is read with them, if it can be. */
  #reconsider(open: OpenEntry, names: readonly string[]): void {
    const match = this.#fields.readWithNames(open.ambiguous!, names);
    if (match === null) return;
    // The message was the end of this line, and now begins elsewhere in it.
    const { entry } = open;
    const message = open.ambiguous!.slice(match[0].length);
    entry.message = message + entry.message.slice(open.messageChars);
    open.messageChars = message.length;
    this.#readHead(entry, match);
  }
}

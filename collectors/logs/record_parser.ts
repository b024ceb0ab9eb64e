/**
 * What the parsers of csvlog and jsonlog share: there an entry is one record, complete by itself, so that nothing is
 * held open and nothing is claimed ahead.
 *
 * @module
 */

import { detachSparse, finishEntry, type LogEntry } from "./entry.ts";
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
import { type Block, type Giant, RecordFeed } from "./record_feed.ts";
import { TimeZone } from "./timezone.ts";

/** A {@link LogParser} of a format whose entries are records. */
export abstract class RecordParser implements LogParser {
  readonly counts: ParserCounts = noCounts();
  protected readonly file: string | null;
  protected readonly zone: TimeZone;
  readonly #feed: RecordFeed;
  #records: LogRecord[] = [];

  constructor(options: ParserOptions = {}) {
    const { file = null, zone = new TimeZone(), from = fileStart } = options;
    this.file = file;
    this.zone = zone;
    const skipped = (bytes: number) => {
      this.counts.skippedBytes += bytes;
    };
    const read = (block: Block) => {
      const from = this.#records.length;
      const used = this.readBlock(block);
      detachSparse(this.#records, { from, chars: block.text.length });
      return used;
    };
    this.#feed = new RecordFeed({ read, giant: () => this.createGiant(), skipped }, { offset: from.offset });
  }

  get resume(): ResumePoint {
    return { offset: this.#feed.base, claimed: noneClaimed };
  }

  push(bytes: Uint8Array): LogRecord[] {
    this.counts.bytes += bytes.length;
    this.#feed.push(bytes);
    return this.#take();
  }

  settle(): LogRecord[] {
    return [];
  }

  finish(): LogRecord[] {
    this.#feed.finish();
    return this.#take();
  }

  /** Reads the records of a block; returns the characters that are used up. */
  protected abstract readBlock(block: Block): number;

  /** What takes a record that is too long to be held. */
  protected abstract createGiant(): Giant;

  /** Hands on an entry; `offset` is where in the file the next one begins. */
  protected add(entry: LogEntry, offset: number): void {
    if (finishEntry(entry)) this.counts.cutEntries++;
    this.#records.push({ entry, offset, claimed: noneClaimed });
  }

  #take(): LogRecord[] {
    const records = this.#records;
    this.#records = [];
    return records;
  }
}

/**
 * One generation of a log: a file from its creation or truncation to its end, whatever its name has become.
 *
 * @module
 */

import * as limits from "../../limits.ts";
import type { Head, LogFileInfo } from "./log_files.ts";
import { fileStart, type LogParser, type LogRecord, type ResumePoint } from "./log_parser.ts";

/** What is stored of a generation. */
export interface GenerationState {
  path: string;
  dev: number;
  ino: number;
  head: Head;
  resume: ResumePoint;
}

/** A file that is read, and where. */
export class Generation {
  /** Where it is found now. */
  path: string;
  readonly dev: number;
  readonly ino: number;
  head: Head;
  /** As last seen. */
  size: number;
  /** A finished copy: nobody writes to it any more. */
  isCopy = false;
  /** Looks in a row that found nothing new. */
  idleReads = 0;
  #resume: ResumePoint;
  #open: { file: Deno.FsFile; parser: LogParser } | null = null;
  #readBytes: number;
  #isAbandoned = false;

  constructor(info: LogFileInfo, options: { head: Head; resume?: ResumePoint }) {
    this.path = info.path;
    this.dev = info.dev;
    this.ino = info.ino;
    this.size = info.size;
    this.head = options.head;
    this.#resume = options.resume ?? fileStart;
    this.#readBytes = this.#resume.offset;
  }

  /** Bytes that have been read. */
  get readBytes(): number {
    return this.#readBytes;
  }

  get isOpen(): boolean {
    return this.#open !== null;
  }

  /** What to store so that a later process goes on here. */
  get state(): GenerationState {
    const { path, dev, ino, head } = this;
    return { path, dev, ino, head, resume: this.#resume };
  }

  /** Reads the next block; null at the end of the file. Throws what the file system says. */
  async read(createParser: (from: ResumePoint) => LogParser): Promise<LogRecord[] | null> {
    if (this.#isAbandoned) return null;
    this.#open ??= await this.#openAt(createParser);
    const bytes = await this.#open.file.read(buffer);
    if (bytes === null) return null;
    this.#readBytes += bytes;
    this.size = Math.max(this.size, this.#readBytes);
    return this.#advance(this.#open.parser.push(buffer.subarray(0, bytes)));
  }

  /** Entries that nothing will be added to, after a pause. */
  settle(): LogRecord[] {
    return this.#open === null ? [] : this.#advance(this.#open.parser.settle());
  }

  /** The file has ended: what was left of it. */
  finish(): LogRecord[] {
    const records = this.#open?.parser.finish() ?? [];
    this.close();
    return records;
  }

  /** Nothing more of it can be had: what was held is all there is. */
  abandon(): void {
    this.isCopy = true;
    this.#isAbandoned = true;
  }

  /** Goes on in a copy of the same generation, from where nothing is lost. */
  moveTo(copy: LogFileInfo): void {
    this.close();
    this.path = copy.path;
    this.size = copy.size;
    this.isCopy = true;
    this.#readBytes = this.#resume.offset;
  }

  close(): void {
    this.#open?.file.close();
    this.#open = null;
  }

  async #openAt(createParser: (from: ResumePoint) => LogParser): Promise<{ file: Deno.FsFile; parser: LogParser }> {
    const file = await Deno.open(this.path);
    await file.seek(this.#resume.offset, Deno.SeekMode.Start);
    this.#readBytes = this.#resume.offset;
    return { file, parser: createParser(this.#resume) };
  }

  #advance(records: LogRecord[]): LogRecord[] {
    if (this.#open !== null) this.#resume = this.#open.parser.resume;
    return records;
  }
}

/** One for all: a block is parsed before the next is read. */
const buffer = new Uint8Array(limits.logBlockBytes);

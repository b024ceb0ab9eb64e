/**
 * One generation of a log: a file from its creation or truncation to its end, whatever its name has become.
 *
 * - What is read is parsed only if the file still begins as before once it has been read: one that was truncated and
 *   written anew beyond our position is another generation.
 * - A block is parsed in pieces, each when it is asked for; nothing else is done with the file before the last of them.
 * - Only the file that is meant is read, never another one that has got its name.
 *
 * @module
 */

import * as limits from "../../limits.ts";
import {
  type Head,
  headOf,
  isHeadOf,
  isSameFile,
  type LogFileInfo,
  openIfThere,
  readBeginning,
  readFirstBytes,
  statLogFile,
} from "./log_files.ts";
import { fileStart, type LogParser, type LogRecord, type ResumePoint } from "./log_parser.ts";

/** What is stored of a generation. */
export interface GenerationState {
  path: string;
  dev: number;
  ino: number;
  head: Head;
  resume: ResumePoint;
  /** As last seen. */
  size: number;
  /** Nothing more of it can be had: what it had is counted already. */
  isLost: boolean;
}

/** Makes the parser of a file; `block` is the first that it will be given. */
export type CreateParser = (from: ResumePoint, block: Uint8Array) => LogParser;

/** A file that is read, and where. */
export class Generation {
  /** Where it is found now. */
  path: string;
  dev: number;
  ino: number;
  head: Head;
  /** As last seen. */
  size: number;
  mtimeMs: number;
  /** A finished copy: nobody writes to it any more. */
  isCopy = false;
  /** Looks in a row that found nothing new. */
  idleReads = 0;
  #resume: ResumePoint;
  #open: { file: Deno.FsFile; parser: LogParser | null } | null = null;
  #readBytes: number;
  /** Of the block that was read last, what has not been parsed. */
  #unparsed: Uint8Array | null = null;
  #buffer: Uint8Array | null = null;
  #pieceBytes = limits.logPieceBytes;
  #isAbandoned = false;
  #isMisplaced = false;
  #isRewritten = false;

  constructor(info: LogFileInfo, options: { head: Head; resume?: ResumePoint }) {
    this.path = info.path;
    this.dev = info.dev;
    this.ino = info.ino;
    this.size = info.size;
    this.mtimeMs = info.mtimeMs;
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

  /** It is not, or not any more, what its name leads to: where it is now must be found before it can be read. */
  get isMisplaced(): boolean {
    return !this.#isAbandoned && (this.#isMisplaced || this.#isRewritten);
  }

  /** Whether it has been read to its end, as last seen, and no line is held that has no end yet. */
  get isReadToItsEnd(): boolean {
    return this.#readBytes >= this.size && this.#resume.offset === this.#readBytes;
  }

  /** What to store so that a later process goes on here. */
  get state(): GenerationState {
    const { path, dev, ino, head, size } = this;
    return { path, dev, ino, head, size, resume: this.#resume, isLost: this.#isAbandoned };
  }

  /**
   * Reads the next block and parses its first piece; null when there is none at the moment. The others are `parseOn`'s.
   * Throws what the file system says.
   */
  async read(createParser: CreateParser): Promise<LogRecord[] | null> {
    if (this.#isAbandoned || this.#isRewritten) return null;
    const open = await this.#opened();
    if (open === null) return null;
    this.#buffer ??= takeBuffer();
    try {
      const bytes = await open.file.read(this.#buffer);
      if (bytes === null || !await this.#isStillSame(open.file, this.#readBytes + bytes)) {
        this.#releaseBuffer();
        return null;
      }
      const block = this.#buffer.subarray(0, bytes);
      this.#readBytes += bytes;
      this.size = Math.max(this.size, this.#readBytes);
      open.parser ??= createParser(this.#resume, block);
      this.#unparsed = block;
    } catch (error) {
      this.close();
      throw error;
    }
    return this.parseOn();
  }

  /** Parses the next piece of the block that was read; null when there is none left. */
  parseOn(): LogRecord[] | null {
    const parser = this.#open?.parser;
    const block = this.#unparsed;
    if (block === null || !parser) return null;
    try {
      const records = parser.push(block.subarray(0, this.#pieceBytes));
      this.#unparsed = block.length > this.#pieceBytes ? block.subarray(this.#pieceBytes) : null;
      // A long record is looked at again with each piece that is not its last.
      this.#pieceBytes = records.length === 0 ? 2 * this.#pieceBytes : limits.logPieceBytes;
      if (this.#unparsed === null) this.#releaseBuffer();
      return this.#advance(records);
    } catch (error) {
      // What was read and not parsed is read again.
      this.close();
      throw error;
    }
  }

  /** Whether the file still is this generation. One that is not found is not judged. */
  async isIntact(): Promise<boolean> {
    if (this.#isRewritten) return false;
    const open = await this.#opened();
    if (open === null) return true;
    const { size } = await open.file.stat();
    return size >= this.#readBytes && await this.#isStillSame(open.file, this.#readBytes);
  }

  /**
   * The server writes otherwise than was thought: from the first entry that has not been returned on, all is read again
   * by a parser made anew. What can no longer be read stays with the old one.
   */
  async restartParser(): Promise<void> {
    const open = this.#open;
    if (open === null || open.parser === null || this.#isAbandoned || this.#isRewritten) return;
    await open.file.seek(this.#resume.offset, Deno.SeekMode.Start);
    this.#readBytes = this.#resume.offset;
    open.parser = null;
    this.idleReads = 0;
  }

  /** When the file was written last, as far as its handle tells. */
  async writtenMs(): Promise<number> {
    return (await this.#open?.file.stat())?.mtime?.getTime() ?? 0;
  }

  /** Whether no name leads to it any more: what holds its space on the disk is our handle alone. */
  async isDeleted(): Promise<boolean> {
    if (this.#open !== null) return (await this.#open.file.stat()).nlink === 0;
    const info = await statLogFile(this.path);
    return info === null || !isSameFile(info, this);
  }

  /** Entries that nothing will be added to, after a pause. */
  settle(): LogRecord[] {
    return this.#advance(this.#open?.parser?.settle() ?? []);
  }

  /** The file has ended: what was left of it. Of one that was lost the last line is missing its end, and is left out. */
  finish(): LogRecord[] {
    const parser = this.#open?.parser;
    const records = (this.#isAbandoned ? parser?.settle() : parser?.finish()) ?? [];
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
    this.foundAt(copy);
    this.size = copy.size;
    this.isCopy = true;
  }

  /** Goes on where it was found: in the same file or in a copy. */
  relocate(found: LogFileInfo): void {
    if (isSameFile(found, this)) this.foundAt(found);
    else this.moveTo(found);
  }

  /** It has another name now; it is read from where nothing is lost. */
  foundAt(info: LogFileInfo): void {
    this.close();
    ({ path: this.path, dev: this.dev, ino: this.ino, mtimeMs: this.mtimeMs } = info);
    this.size = Math.max(this.size, info.size);
    this.#isMisplaced = this.#isRewritten = false;
  }

  close(): void {
    this.#open?.file.close();
    this.#open = null;
    this.#unparsed = null;
    this.#releaseBuffer();
    this.#readBytes = this.#resume.offset;
  }

  async #opened(): Promise<{ file: Deno.FsFile; parser: LogParser | null } | null> {
    if (this.#open !== null) return this.#open;
    const file = await openIfThere(this.path);
    const info = await file?.stat();
    this.#isMisplaced = info?.dev !== this.dev || info.ino !== this.ino;
    if (file === null) return null;
    if (this.#isMisplaced) {
      file.close();
      return null;
    }
    await file.seek(this.#resume.offset, Deno.SeekMode.Start);
    this.#readBytes = this.#resume.offset;
    return this.#open = { file, parser: null };
  }

  /** Compares the file's beginning, notes more of it if there is more, and goes back to a position. */
  async #isStillSame(file: Deno.FsFile, position: number): Promise<boolean> {
    const first = await readFirstBytes(file);
    file.seekSync(position, Deno.SeekMode.Start);
    if (!isHeadOf(first, this.head)) this.#isRewritten = true;
    else if (first.length > this.head.bytes) this.head = headOf(first);
    return !this.#isRewritten;
  }

  #releaseBuffer(): void {
    spareBuffer = this.#buffer ?? spareBuffer;
    this.#buffer = null;
  }

  #advance(records: LogRecord[]): LogRecord[] {
    this.#resume = this.#open?.parser?.resume ?? this.#resume;
    return records;
  }
}

/** A generation that nobody has read; throws when another file has taken its name since it was looked at. */
export async function beginGeneration(info: LogFileInfo, resume: ResumePoint): Promise<Generation> {
  const first = await readBeginning(info);
  if (first === null) throw new Deno.errors.NotFound(`Cannot find ${info.path} as it was`);
  return new Generation(info, { head: headOf(first), resume });
}

/** A stored generation, where it was found. */
export function restoreGeneration(found: LogFileInfo, state: GenerationState): Generation {
  const generation = new Generation(found, { head: state.head, resume: state.resume });
  generation.isCopy = !isSameFile(found, state);
  return generation;
}

/** Whether a file with these first bytes is one of these. An empty one has nothing but its inode. */
export function isAmong(
  generations: readonly Pick<Generation, "dev" | "ino" | "head">[],
  file: LogFileInfo,
  first: Uint8Array,
): boolean {
  return generations.some((one) => one.head.bytes === 0 ? isSameFile(one, file) : isHeadOf(first, one.head));
}

/** Logs are read one after the other: one buffer serves all files. */
let spareBuffer: Uint8Array | null = null;

function takeBuffer(): Uint8Array {
  const buffer = spareBuffer ?? new Uint8Array(limits.logBlockBytes);
  spareBuffer = null;
  return buffer;
}

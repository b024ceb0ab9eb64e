/**
 * One log by its name, through all its rotations: a queue of generations, of which the first is read and the last is the
 * one that the server writes.
 *
 * Invariants:
 *
 * - what was unread in an old generation is read before the new one;
 * - a generation is told by its inode and the hash of its first bytes: renamed it is the same file, truncated it is
 *   another one, and its copy takes its place;
 * - a generation leaves the queue when it has been read to its end and the next one has begun;
 * - what can no longer be found is counted, in bytes as last seen.
 *
 * @module
 */

import * as limits from "../../limits.ts";
import { Generation, type GenerationState } from "./generation.ts";
import { hasHead, type Head, type LogFileInfo, readHead, statLogFile } from "./log_files.ts";
import { fileStart, type LogParser, type LogRecord, type ResumePoint } from "./log_parser.ts";

/** What is stored of a log: plain data. */
export interface FamilyState {
  path: string;
  generations: GenerationState[];
  /** Heads of generations that were read to their end. */
  done: Head[];
  /** Wall time of the last change, in milliseconds since 1970. */
  atMs: number;
}

/** Entries of one read, and what to store once some or all of them are safe. */
export interface LogChunk {
  records: LogRecord[];
  /** What to store when the first `count` records are safe. */
  stateAfter: (count: number) => FamilyState;
}

/** What a family needs of its surroundings. */
export interface FamilyOptions {
  path: string;
  createParser: (from: ResumePoint) => LogParser;
  nowMs: () => number;
  onRotation: (fields: { file: string; kind: "renamed" | "truncated" }) => void;
  onLoss: (fields: { file: string; bytes: number; since: string }) => void;
}

/** A log that is followed. */
export class LogFamily {
  readonly #options: FamilyOptions;
  #queue: Generation[] = [];
  #done: Head[] = [];
  #atMs: number;

  /** Restores what an earlier process stored; without, the log begins where the caller says with {@link begin}. */
  constructor(options: FamilyOptions, state?: FamilyState) {
    this.#options = options;
    this.#atMs = state?.atMs ?? options.nowMs();
    this.#done = state?.done ?? [];
    this.#restored = state?.generations ?? [];
  }

  #restored: GenerationState[];
  /** Nothing has the name at the moment. */
  #isGone = false;

  get path(): string {
    return this.#options.path;
  }

  /** Where reading stands, for `agent_status`. */
  get progress(): { file: string; offset: number; size: number } {
    const [first] = this.#queue;
    return { file: this.path, offset: first?.readBytes ?? 0, size: first?.size ?? 0 };
  }

  /** Whether nothing is followed any more: the file is gone and was read to its end. */
  get isOver(): boolean {
    return this.#queue.length === 0 && this.#restored.length === 0;
  }

  /** Whether a file is one of this log's, under whatever name. */
  async knows(info: LogFileInfo): Promise<boolean> {
    const states = [...this.#queue.map(({ state }) => state), ...this.#restored];
    if (states.some(({ dev, ino }) => dev === info.dev && ino === info.ino)) return true;
    for (const { head } of states) if (await hasHead(info, head)) return true;
    return await this.#isDone(info);
  }

  /** Begins with a file that was not followed before: at its end, or at its beginning if it is new. */
  async begin(info: LogFileInfo, options: { atEnd: boolean }): Promise<void> {
    const resume = options.atEnd ? { offset: info.size, claimed: [] } : fileStart;
    this.#queue.push(new Generation(info, { head: await readHead(info.path), resume }));
  }

  /** Looks what has become of the files. `siblings` are the files of the folder. */
  async look(siblings: readonly LogFileInfo[]): Promise<void> {
    if (this.#restored.length > 0) await this.#restore(siblings);
    const info = await statLogFile(this.path);
    const current = this.#queue.at(-1);
    this.#isGone = info === null;
    if (info === null) return;
    if (current === undefined) return await this.#append(info);
    if (current.dev !== info.dev || current.ino !== info.ino) return await this.#replaced(current, { info, siblings });
    if (info.size === current.size) return;
    if (await this.#wasTruncated(current, info)) return await this.#truncated(current, { info, siblings });
    current.size = info.size;
    if (current.head.bytes < limits.logHeadBytesMax) current.head = await readHead(info.path);
  }

  /** Reads the next entries; null when there is nothing new. Throws what the file system says. */
  async read(): Promise<LogChunk | null> {
    const [generation] = this.#queue;
    if (generation === undefined) return null;
    if (!generation.isOpen && generation.readBytes >= generation.size && this.#queue.length === 1) return null;
    const records = await generation.read(this.#options.createParser);
    if (records !== null) {
      generation.idleReads = 0;
      return this.#chunk(records, this.state);
    }
    generation.idleReads += 1;
    if (!this.#isAtItsEnd(generation)) {
      const settled = generation.idleReads === 1 ? generation.settle() : [];
      return settled.length === 0 ? null : this.#chunk(settled, this.state);
    }
    const before = this.state;
    const rest = generation.finish();
    this.#queue.shift();
    this.#done = [...this.#done, generation.head].slice(-limits.logGenerationsRemembered);
    return this.#chunk(rest, before);
  }

  close(): void {
    for (const generation of this.#queue) generation.close();
  }

  #chunk(records: LogRecord[], before: FamilyState): LogChunk {
    this.#atMs = before.atMs;
    const after = this.state;
    const stateAfter = (count: number): FamilyState => {
      const last = records[count - 1];
      if (last === undefined || count === records.length) return after;
      const [first, ...rest] = before.generations;
      const resume = { offset: last.offset, claimed: last.claimed };
      return first === undefined ? after : { ...before, generations: [{ ...first, resume }, ...rest] };
    };
    return { records, stateAfter };
  }

  /** What to store so that a later process goes on here, once all entries returned so far are safe. */
  get state(): FamilyState {
    const generations = this.#queue.map(({ state }) => state);
    return { path: this.path, generations, done: this.#done, atMs: this.#options.nowMs() };
  }

  /**
   * A copy has an end; another file is over when it rests and the next one has something to say. One that was deleted is
   * let go when it rests for longer: an open file keeps its space on the disk.
   */
  #isAtItsEnd(generation: Generation): boolean {
    const next = this.#queue[1];
    if (generation.isCopy) return true;
    if (next === undefined) return this.#isGone && generation.idleReads >= limits.logGoneReads;
    return generation.idleReads >= 2 && next.size > 0;
  }

  async #append(info: LogFileInfo, resume: ResumePoint = fileStart): Promise<void> {
    this.#queue.push(new Generation(info, { head: await readHead(info.path), resume }));
  }

  async #wasTruncated(current: Generation, info: LogFileInfo): Promise<boolean> {
    return info.size < current.readBytes || (current.head.bytes > 0 && !await hasHead(info, current.head));
  }

  /** Another file has the name: the old one is read on through its handle, or where it is found. */
  async #replaced(
    current: Generation,
    { info, siblings }: { info: LogFileInfo; siblings: readonly LogFileInfo[] },
  ): Promise<void> {
    this.#options.onRotation({ file: this.path, kind: "renamed" });
    if (!current.isOpen && current.readBytes < current.size) {
      const found = await this.#find(current.state, siblings);
      if (found === null) this.#lose(current);
      else if (found.ino === current.ino) current.path = found.path;
      else current.moveTo(found);
    }
    await this.#append(info);
  }

  /** The same file begins anew: what was unread is in its copy, or gone. */
  async #truncated(
    current: Generation,
    { info, siblings }: { info: LogFileInfo; siblings: readonly LogFileInfo[] },
  ): Promise<void> {
    this.#options.onRotation({ file: this.path, kind: "truncated" });
    const others = siblings.filter(({ ino, dev }) => ino !== info.ino || dev !== info.dev);
    const copy = await this.#find(current.state, others);
    if (copy !== null) current.moveTo(copy);
    else this.#lose(current);
    await this.#append(info);
  }

  /** Where a stored generation is now: under its inode, else as a copy with the same head that reaches far enough. */
  async #find(state: GenerationState, files: readonly LogFileInfo[]): Promise<LogFileInfo | null> {
    const fitting = files.filter(({ size }) => size >= state.resume.offset);
    const byInode = fitting.find(({ dev, ino }) => dev === state.dev && ino === state.ino);
    for (const file of byInode === undefined ? fitting : [byInode, ...fitting]) {
      if (await hasHead(file, state.head)) return file;
    }
    return null;
  }

  /** Nothing is left of what had not been read. */
  #lose(generation: Generation): void {
    const bytes = Math.max(0, generation.size - generation.readBytes);
    this.#options.onLoss({ file: this.path, bytes, since: new Date(this.#atMs).toISOString() });
    generation.abandon();
  }

  /** After a restart: finds the stored generations again, and those that came and went in between. */
  async #restore(siblings: readonly LogFileInfo[]): Promise<void> {
    const info = await statLogFile(this.path);
    const files = info === null ? siblings : [info, ...siblings.filter(({ path }) => path !== info.path)];
    const taken = new Set<string>();
    for (const state of this.#restored) {
      // It was empty: nothing tells which of the files it became, and all of them are unread.
      if (state.head.bytes === 0) continue;
      const found = await this.#find(state, files);
      if (found === null) {
        this.#options.onLoss({ file: this.path, bytes: 0, since: new Date(this.#atMs).toISOString() });
        continue;
      }
      taken.add(found.path);
      const generation = new Generation(found, { head: state.head, resume: state.resume });
      generation.isCopy = found.ino !== state.ino || found.dev !== state.dev;
      this.#queue.push(generation);
    }
    this.#restored = [];
    const between = files.filter((file) => file.path.startsWith(this.path) && file.mtimeMs >= this.#atMs - 1_000);
    for (const file of between.sort(byAge)) {
      if (taken.has(file.path) || file.path === this.path || await this.#isDone(file)) continue;
      await this.#append(file);
    }
    if (info !== null && !taken.has(info.path)) await this.#append(info);
  }

  async #isDone(file: LogFileInfo): Promise<boolean> {
    for (const head of this.#done) if (await hasHead(file, head)) return true;
    return false;
  }
}

/** The oldest first; of two of the same millisecond the one that has been rotated more often: `.2` before `.1`. */
function byAge(one: LogFileInfo, other: LogFileInfo): number {
  return one.mtimeMs - other.mtimeMs || other.path.localeCompare(one.path, "en", { numeric: true });
}

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
 * - files that came and went between two looks are read in their turn;
 * - what can no longer be found is counted, in bytes as last seen;
 * - a look either does all it has to do, or throws and has done nothing.
 *
 * @module
 */

import { posix } from "node:path";
import * as limits from "../../limits.ts";
import {
  beginGeneration,
  type CreateParser,
  findGeneration,
  type Generation,
  type GenerationState,
  isAmong,
  restoreGeneration,
} from "./generation.ts";
import { byAge, hasAnyHead, type Head, listLogFiles, type LogFileInfo, statLogFile, without } from "./log_files.ts";
import { fileStart, type LogRecord } from "./log_parser.ts";

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
  createParser: CreateParser;
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
  #lookedMs: number; // Wall time of the look before: what was written since may be new.

  /** Restores what an earlier process stored; without, the log begins where the caller says with {@link begin}. */
  constructor(options: FamilyOptions, state?: FamilyState) {
    this.#options = options;
    this.#atMs = state?.atMs ?? options.nowMs();
    this.#lookedMs = this.#atMs;
    this.#done = state?.done ?? [];
    this.#restored = state?.generations ?? [];
  }

  #restored: GenerationState[];
  #isGone = false; // Nothing has the name at the moment.

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
    return await hasAnyHead(info, [...states.map(({ head }) => head), ...this.#done]);
  }

  /**
   * Begins with a file that was not followed before: at its end, or, if it is new, at its beginning, after what was
   * rotated away under its name since `sinceMs`.
   */
  async begin(info: LogFileInfo, options: { atEnd: true } | { atEnd: false; sinceMs: number }): Promise<void> {
    if (options.atEnd) this.#queue = [await beginGeneration(info, { offset: info.size, claimed: [] })];
    else {
      this.#lookedMs = options.sinceMs;
      this.#queue = await this.#newer(info, await this.#files());
    }
  }

  /** Looks what has become of the files. */
  async look(): Promise<void> {
    const nowMs = this.#options.nowMs();
    if (this.#restored.length > 0) await this.#restore();
    for (const old of this.#queue.slice(0, -1)) if (old.isMisplaced) await this.#findAgain(old);
    const info = await statLogFile(this.path);
    this.#isGone = info === null;
    if (info !== null) await this.#compare(info);
    this.#lookedMs = nowMs;
  }

  /** The file that has the name, with the one that had it. */
  async #compare(info: LogFileInfo): Promise<void> {
    const current = this.#queue.at(-1);
    if (current === undefined) this.#queue = await this.#newer(info, await this.#files());
    else if (current.dev !== info.dev || current.ino !== info.ino) await this.#replaced(current, info);
    else if (info.size === current.size && info.mtimeMs === current.mtimeMs) return;
    else if (!await current.isIntact()) await this.#truncated(current, info);
    else {
      // Nothing tells an empty file from the one that it becomes: what it held in between may have been rotated away.
      if (current.head.bytes === 0 || current.readBytes === 0) {
        const copies = await this.#between(info, await this.#files());
        this.#sayRotations("truncated", copies.length);
        this.#queue.splice(-1, 0, ...copies);
      }
      [current.size, current.mtimeMs] = [info.size, info.mtimeMs];
    }
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
    if (generation.isMisplaced) return null;
    generation.idleReads += 1;
    const before = this.state;
    if (!this.#isAtItsEnd(generation)) {
      const settled = await this.#isResting(generation) ? generation.settle() : [];
      return settled.length === 0 ? null : this.#chunk(settled, before);
    }
    const rest = generation.finish();
    this.#queue.shift();
    this.#done = [...this.#done, generation.head].slice(-limits.logGenerationsRemembered);
    return this.#chunk(rest, before);
  }

  async restartParser(): Promise<void> {
    await this.#queue[0]?.restartParser();
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

  /** Whether nothing more can belong to the last entry: one that is being written may be seen in part. */
  async #isResting(generation: Generation): Promise<boolean> {
    if (generation.idleReads > 1) return generation.idleReads === 2;
    return Math.abs(this.#options.nowMs() - await generation.writtenMs()) >= limits.logRestMs;
  }

  /** Another file has the name: the old one is read on through its handle, or where it is found. */
  async #replaced(current: Generation, info: LogFileInfo): Promise<void> {
    const files = await this.#files();
    const found = current.isOpen ? null : await findGeneration(current.state, without(info, files));
    const newer = await this.#newer(info, files);
    this.#sayRotations("renamed", newer.length);
    if (found !== null) current.relocate(found);
    else if (!current.isOpen) this.#lose(current);
    this.#queue.push(...newer);
  }

  /** The same file begins anew: what was unread is in its copy, or gone. */
  async #truncated(current: Generation, info: LogFileInfo): Promise<void> {
    const files = await this.#files();
    const copy = await findGeneration(current.state, without(info, files));
    const newer = await this.#newer(info, files);
    this.#sayRotations("truncated", newer.length);
    if (copy !== null) current.moveTo(copy);
    else this.#lose(current);
    this.#queue.push(...newer);
  }

  #sayRotations(kind: "renamed" | "truncated", times: number): void {
    for (let time = 0; time < times; time++) this.#options.onRotation({ file: this.path, kind });
  }

  async #findAgain(old: Generation): Promise<void> {
    const found = await findGeneration(old.state, await this.#files());
    if (found !== null) old.relocate(found);
    else this.#lose(old);
  }

  /** As they are now: a list from before a rotation lacks its copy. */
  #files(): Promise<LogFileInfo[]> {
    return listLogFiles(posix.dirname(this.path));
  }

  /** What has come since the last look: files that were rotated away in between, and the one that has the name now. */
  async #newer(info: LogFileInfo, files: readonly LogFileInfo[]): Promise<Generation[]> {
    return [...await this.#between(info, files), await beginGeneration(info, fileStart)];
  }

  /** Files of this log that nobody has read, the oldest first. */
  async #between(
    info: LogFileInfo | null,
    files: readonly LogFileInfo[],
    known: readonly Generation[] = this.#queue,
  ): Promise<Generation[]> {
    const others = without(info, files).filter(({ path, mtimeMs }) =>
      path.startsWith(this.path) && path !== this.path && mtimeMs >= this.#lookedMs - 1_000
    );
    const newer: Generation[] = [];
    for (const file of others.sort(byAge)) {
      const begun = await beginGeneration(file, fileStart);
      // As it is now: a copy that is being made was empty a moment ago. One that is empty still is none of what is new.
      const now = { ...file, size: Math.max(file.size, begun.head.bytes) };
      if (begun.head.bytes > 0 && !await isAmong(known, now) && !await hasAnyHead(now, this.#done)) newer.push(begun);
    }
    return newer;
  }

  /** Nothing is left of what had not been read. */
  #lose(generation: Generation): void {
    const bytes = generation.size - generation.readBytes;
    if (bytes > 0) this.#sayLost(bytes);
    generation.abandon();
  }

  #sayLost(bytes: number): void {
    this.#options.onLoss({ file: this.path, bytes, since: new Date(this.#atMs).toISOString() });
  }

  /** After a restart: finds the stored generations again, and those that came and went in between. */
  async #restore(): Promise<void> {
    const info = await statLogFile(this.path);
    const files = await this.#files();
    const queue: Generation[] = [];
    const lost: GenerationState[] = [];
    for (const state of this.#restored) {
      // It was empty: nothing tells which of the files it became, and all of them are unread.
      if (state.head.bytes === 0) continue;
      const found = await findGeneration(state, files);
      if (found === null) lost.push(state);
      else queue.push(restoreGeneration(found, state));
    }
    if (queue.at(-1)?.path !== this.path) {
      queue.push(...await this.#between(info, files, queue));
      if (info !== null) queue.push(await beginGeneration(info, fileStart));
    }
    [this.#queue, this.#restored] = [queue, []];
    for (const { size, resume } of lost) this.#sayLost(Math.max(0, size - resume.offset));
  }
}

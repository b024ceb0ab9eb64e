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
 * - a look either does all it has to do, or throws and can be done again.
 *
 * @module
 */

import * as limits from "../../limits.ts";
import {
  beginGeneration,
  type CreateParser,
  type Generation,
  type GenerationState,
  isAmong,
  restoreGeneration,
} from "./generation.ts";
import { chunkOf, type FamilyState, type LogChunk, type LogLoss } from "./log_family_state.ts";
import { isSameFile, type LogFileInfo, statLogFile } from "./log_files.ts";
import { fileStart } from "./log_parser.ts";
import { Siblings } from "./log_siblings.ts";

/** What a family needs of its surroundings. */
export interface FamilyOptions {
  path: string;
  createParser: CreateParser;
  nowMs: () => number;
  onRotation: (fields: { file: string; kind: "renamed" | "truncated" }) => void;
  onLoss: (loss: LogLoss) => void;
}

/** A log that is followed. */
export class LogFamily {
  readonly #options: FamilyOptions;
  readonly #siblings: Siblings;
  #queue: Generation[] = [];
  #restored: GenerationState[];
  #lookedMs: number; // Wall time of the look before.
  #isGone = false; // Nothing has the name at the moment.
  #isUnsure = false; // The last look has failed: what the file that is held open has become is not known.
  /** Something is followed that the look before did not know of. */
  #hasChanged = false;
  #looks = 0;
  /** Until this look siblings are searched: a list may have missed one, or a file be on its way to another name. */
  #searchUntil = 0;

  /** Restores what an earlier process stored; without, the log begins where the caller says with {@link begin}. */
  constructor(options: FamilyOptions, state?: FamilyState) {
    this.#options = options;
    this.#lookedMs = state?.atMs ?? options.nowMs();
    this.#siblings = new Siblings(options.path, state?.done ?? []);
    this.#restored = state?.generations ?? [];
  }

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

  /** Whether nothing has been written for so long that the file was closed, nor since: there is nothing to read. */
  get isQuiet(): boolean {
    const [first, next] = this.#queue;
    if (first === undefined || next !== undefined || this.#isGone || this.#isUnsure) return false;
    return !first.isOpen && first.isReadToItsEnd && first.idleReads >= limits.logQuietReads;
  }

  /** What to store so that a later process goes on here, once all entries returned so far are safe. */
  get state(): FamilyState {
    const generations = [...this.#restored, ...this.#queue.map(({ state }) => state)];
    return { path: this.path, generations, done: this.#siblings.done, atMs: this.#lookedMs };
  }

  /** Whether a file with these first bytes is one of this log's, under whatever name. */
  knows(info: LogFileInfo, first: Uint8Array): boolean {
    return isAmong([...this.#queue, ...this.#restored], info, first) || this.#siblings.wasRead(first);
  }

  /**
   * Begins with a file that was not followed before, at an offset; if it is new, after what was rotated away under its
   * name since `sinceMs`. What is older counts as read.
   */
  async begin(info: LogFileInfo, { offset, sinceMs }: { offset: number; sinceMs: number }): Promise<void> {
    const current = await beginGeneration(info, { offset, claimed: [] });
    this.#queue = [...await this.#siblings.unread({ followed: [], current, sinceMs }), current];
  }

  /** Looks what has become of the files. Returns whether what is followed has changed and is to be stored. */
  async look(): Promise<boolean> {
    const nowMs = this.#options.nowMs();
    this.#looks += 1;
    this.#isUnsure = true;
    if (this.#restored.length > 0) await this.#restore();
    const info = await statLogFile(this.path);
    if (info === null && !this.#isGone) this.#searchAgain();
    this.#isGone = info === null;
    for (const old of this.#queue) {
      if (!old.isMisplaced || (info !== null && old === this.#queue.at(-1))) continue;
      this.#goOn(old, await this.#siblings.find(old.state));
      this.#hasChanged = true;
    }
    if (info !== null) await this.#compare(info);
    if (this.#isSearchDue) await this.#search(info);
    [this.#lookedMs, this.#isUnsure] = [nowMs, false];
    const hasChanged = this.#hasChanged;
    this.#hasChanged = false;
    return hasChanged;
  }

  /** Reads the next entries; null when there is nothing new. Throws what the file system says. */
  async read(): Promise<LogChunk | null> {
    const [generation] = this.#queue;
    if (generation === undefined) return null;
    // Of the file that has the name, the look tells whether there is more.
    const isCurrent = this.#queue.length === 1 && !this.#isGone && !this.#isUnsure;
    if (!isCurrent || generation.readBytes < generation.size) {
      const records = await generation.read(this.#options.createParser);
      if (generation.isMisplaced) return null;
      if (records !== null) {
        generation.idleReads = 0;
        return chunkOf(records, this.state);
      }
    }
    generation.idleReads += 1;
    if (await this.#isAtItsEnd(generation)) return this.#finish(generation);
    const settled = await this.#settle(generation);
    if (isCurrent && generation.idleReads >= limits.logQuietReads && generation.isReadToItsEnd) generation.close();
    return settled;
  }

  /** The next entries of what was read; null when there are none. To be asked until then before anything else. */
  readOn(): LogChunk | null {
    const records = this.#queue[0]?.parseOn();
    return records ? chunkOf(records, this.state) : null;
  }

  async restartParser(): Promise<void> {
    await this.#queue[0]?.restartParser();
  }

  close(): void {
    for (const generation of this.#queue) generation.close();
  }

  #finish(generation: Generation): LogChunk {
    const before = this.state;
    const rest = generation.finish();
    this.#queue.shift();
    this.#siblings.markRead(generation.head);
    return chunkOf(rest, before, this.state);
  }

  /** Entries that nothing more can belong to: one that is being written may be seen in part. */
  async #settle(generation: Generation): Promise<LogChunk | null> {
    const isResting = generation.idleReads > 1 ||
      Math.abs(this.#options.nowMs() - await generation.writtenMs()) >= limits.logRestMs;
    if (!isResting || generation.idleReads > 2) return null;
    const before = this.state;
    const settled = generation.settle();
    return settled.length === 0 ? null : chunkOf(settled, before, this.state);
  }

  /**
   * A copy has an end; another file is over when it rests and the next one has something to say. One that was deleted is
   * let go when it rests for longer: an open file keeps its space on the disk.
   */
  async #isAtItsEnd(generation: Generation): Promise<boolean> {
    if (generation.isCopy) return true;
    const next = this.#queue[1];
    if (next !== undefined && next.size > 0) return generation.idleReads >= 2;
    if (next === undefined && !this.#isGone) return false;
    return generation.idleReads >= limits.logGoneReads && await generation.isDeleted();
  }

  /** The file that has the name, with the one that had it. */
  async #compare(info: LogFileInfo): Promise<void> {
    const current = this.#queue.at(-1);
    if (current === undefined || !isSameFile(current, info)) await this.#replaced(current, info);
    else if (info.size === current.size && info.mtimeMs === current.mtimeMs) return;
    else if (!await current.isIntact()) await this.#truncated(current, info);
    else {
      // Nothing tells an empty file from the one that it becomes: what it held in between may have been rotated away.
      if (current.head.bytes === 0 || current.readBytes === 0) await this.#insertMissed(info, "truncated");
      [current.size, current.mtimeMs] = [info.size, info.mtimeMs];
    }
  }

  /** Another file has the name: the old one is read on through its handle, or where it is found. */
  async #replaced(current: Generation | undefined, info: LogFileInfo): Promise<void> {
    // It may have been truncated before its file got another name.
    const isHeld = current === undefined || (current.isOpen && await current.isIntact());
    const found = isHeld ? null : await this.#siblings.find(current.state, info);
    await this.#append(info, "renamed");
    if (!isHeld) this.#goOn(current, found);
  }

  /** The same file begins anew: what was unread is in its copy, or gone. */
  async #truncated(current: Generation, info: LogFileInfo): Promise<void> {
    const copy = await this.#siblings.find(current.state, info);
    await this.#append(info, "truncated");
    this.#goOn(current, copy);
  }

  /** What was found takes the generation's place; with nothing, what was unread of it is lost. */
  #goOn(generation: Generation, found: LogFileInfo | null): void {
    if (found !== null) return generation.relocate(found);
    this.#sayLost(generation.size - generation.readBytes);
    generation.abandon();
  }

  /** What has come since the last look: files that were rotated away in between, and the one that has the name now. */
  async #append(info: LogFileInfo, kind: "renamed" | "truncated"): Promise<void> {
    const current = await beginGeneration(info, fileStart);
    const unread = await this.#siblings.unread({ followed: this.#queue, current });
    this.#sayRotations(kind, unread.length + 1);
    this.#queue.push(...unread, current);
    this.#searchAgain();
    this.#hasChanged = true;
  }

  /** Puts what came and went between two looks where it belongs, before the file that has the name. */
  async #insertMissed(info: LogFileInfo | null, kind: "renamed" | "truncated"): Promise<void> {
    const current = info === null ? null : this.#queue.at(-1) ?? null;
    const unread = await this.#siblings.unread({ followed: this.#queue, current });
    if (unread.length === 0) return;
    this.#sayRotations(kind, unread.length);
    for (const missed of unread) {
      const place = this.#queue.findIndex((other) => other === current || other.mtimeMs > missed.mtimeMs);
      this.#queue.splice(place < 0 ? this.#queue.length : place, 0, missed);
    }
    this.#hasChanged = true;
  }

  #searchAgain(): void {
    this.#searchUntil = this.#looks + limits.logSearchLooks;
  }

  /** A sibling that may not be read yet is tried again now and then. */
  get #isSearchDue(): boolean {
    return this.#looks <= this.#searchUntil || (!this.#siblings.isComplete && this.#looks % limits.logRetryLooks === 0);
  }

  async #search(info: LogFileInfo | null): Promise<void> {
    const last = this.#queue.at(-1);
    if (info === null && last !== undefined && !last.isOpen) {
      const found = await this.#siblings.find(last.state);
      if (found !== null) last.relocate(found);
    }
    await this.#insertMissed(info, "renamed");
  }

  #sayRotations(kind: "renamed" | "truncated", times: number): void {
    for (let time = 0; time < times; time++) this.#options.onRotation({ file: this.path, kind });
  }

  #sayLost(bytes: number): void {
    this.#options.onLoss({ file: this.path, bytes: Math.max(0, bytes), since: new Date(this.#lookedMs).toISOString() });
  }

  /** After a restart: finds the stored generations again, and those that came and went in between. */
  async #restore(): Promise<void> {
    const queue: Generation[] = [];
    const lost: GenerationState[] = [];
    for (const state of this.#restored) {
      // It was empty: nothing tells which of the files it became, and all of them are unread.
      if (state.head.bytes === 0 || state.isLost) continue;
      const found = await this.#siblings.find(state);
      if (found === null) lost.push(state);
      else queue.push(restoreGeneration(found, state));
    }
    const info = await statLogFile(this.path);
    const last = queue.at(-1);
    const isFound = last !== undefined && info !== null && isSameFile(last, info);
    if (!isFound && info !== null) queue.push(await beginGeneration(info, fileStart));
    const current = info === null ? null : queue.at(-1) ?? null;
    const unread = await this.#siblings.unread({ followed: queue, current });
    queue.splice(info === null ? queue.length : -1, 0, ...unread);
    for (const { size, resume } of lost) this.#sayLost(size - resume.offset);
    [this.#queue, this.#restored, this.#hasChanged] = [queue, [], true];
    this.#searchAgain();
  }
}

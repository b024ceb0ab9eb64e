/**
 * The generations of one log, the oldest first: what a look at its name and at the files beside it has found.
 *
 * Invariants:
 *
 * - a generation is told by its inode and the hash of its first bytes: renamed it is the same file, truncated it is
 *   another one, and its copy takes its place;
 * - the last one has the log's name, unless nothing has;
 * - files that came and went between two looks stand where they belong in time;
 * - what can no longer be found is counted, in bytes as last seen;
 * - a look either does all it has to do, or throws and can be done again.
 *
 * @module
 */

import * as limits from "../../limits.ts";
import { beginGeneration, type Generation, type GenerationState, isAmong, restoreGeneration } from "./generation.ts";
import type { FamilyState, LogLoss } from "./log_family_state.ts";
import { isSameFile, type LogFileInfo, statLogFile } from "./log_files.ts";
import { fileStart } from "./log_parser.ts";
import { Siblings } from "./log_siblings.ts";

/** Which log, and who wants to know what becomes of it. */
export interface GenerationQueueOptions {
  path: string;
  nowMs: () => number;
  onRotation: (fields: { file: string; kind: "renamed" | "truncated" }) => void;
  onLoss: (loss: LogLoss) => void;
}

/** The generations of a log that are not read to their end. Close it. */
export class GenerationQueue {
  readonly #options: GenerationQueueOptions;
  readonly #siblings: Siblings;
  #queue: Generation[] = [];
  /** What an earlier process stored, until the first look finds it again. */
  #restored: GenerationState[];
  /** Wall time of the look before. */
  #lookedMs: number;
  #isGone = false;
  /** The last look has failed: what the file that is held open has become is not known. */
  #isUnsure = false;
  /** Something is followed that the look before did not know of. */
  #hasChanged = false;
  #looks = 0;
  /** Until this look siblings are searched: a list may have missed one, or a file be on its way to another name. */
  #searchUntil = 0;

  /** Takes up what an earlier process stored; without, the caller says with {@link begin} where the log begins. */
  constructor(options: GenerationQueueOptions, state?: FamilyState) {
    this.#options = options;
    this.#lookedMs = state?.atMs ?? options.nowMs();
    this.#siblings = new Siblings(options.path, state?.done ?? []);
    this.#restored = state?.generations ?? [];
  }

  /** The one to read. */
  get first(): Generation | undefined {
    return this.#queue[0];
  }

  /** The one to read after it. */
  get second(): Generation | undefined {
    return this.#queue[1];
  }

  /** Whether nothing is followed any more. */
  get isEmpty(): boolean {
    return this.#queue.length === 0 && this.#restored.length === 0;
  }

  /** Whether nothing has the name at the moment. */
  get isGone(): boolean {
    return this.#isGone;
  }

  /** Whether the first one is known to be the file that has the name: the next look will tell of what is new in it. */
  get isCurrent(): boolean {
    return this.#queue.length === 1 && !this.#isGone && !this.#isUnsure;
  }

  /** What to store so that a later process goes on here. */
  get state(): FamilyState {
    const generations = [...this.#restored, ...this.#queue.map(({ state }) => state)];
    return { path: this.#options.path, generations, done: this.#siblings.done, atMs: this.#lookedMs };
  }

  /** Whether a file with these first bytes is or was one of the queue, under whatever name. */
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
    const info = await statLogFile(this.#options.path);
    if (info === null && !this.#isGone) this.#searchAgain();
    this.#isGone = info === null;
    await this.#findMisplaced(info);
    if (info !== null) await this.#compare(info);
    if (this.#isSearchDue) await this.#search(info);
    this.#lookedMs = nowMs;
    this.#isUnsure = false;
    const hasChanged = this.#hasChanged;
    this.#hasChanged = false;
    return hasChanged;
  }

  /** The first one was read to its end, and leaves. */
  shift(): void {
    const generation = this.#queue.shift();
    if (generation !== undefined) this.#siblings.markRead(generation.head);
  }

  close(): void {
    for (const generation of this.#queue) generation.close();
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
    const info = await statLogFile(this.#options.path);
    const last = queue.at(-1);
    const isFound = last !== undefined && info !== null && isSameFile(last, info);
    if (!isFound && info !== null) queue.push(await beginGeneration(info, fileStart));
    const current = info === null ? null : queue.at(-1) ?? null;
    const unread = await this.#siblings.unread({ followed: queue, current });
    queue.splice(info === null ? queue.length : -1, 0, ...unread);
    for (const { size, resume } of lost) this.#sayLost(size - resume.offset);
    this.#queue = queue;
    this.#restored = [];
    this.#hasChanged = true;
    this.#searchAgain();
  }

  /** Reading has met another file where one was, or nothing. Of the file that has the name, `compare` tells. */
  async #findMisplaced(info: LogFileInfo | null): Promise<void> {
    for (const generation of this.#queue) {
      if (!generation.isMisplaced || (info !== null && generation === this.#queue.at(-1))) continue;
      this.#goOn(generation, await this.#siblings.find(generation.state));
      this.#hasChanged = true;
    }
  }

  /** The file that has the name, with the one that had it. */
  async #compare(info: LogFileInfo): Promise<void> {
    const current = this.#queue.at(-1);
    if (current === undefined || !isSameFile(current, info)) return await this.#replaced(current, info);
    if (info.size === current.size && info.mtimeMs === current.mtimeMs) return;
    if (!await current.isIntact()) return await this.#truncated(current, info);
    // Nothing tells an empty file from the one that it becomes: what it held in between may have been rotated away.
    if (current.head.bytes === 0 || current.readBytes === 0) await this.#insertMissed(info, "truncated");
    current.size = info.size;
    current.mtimeMs = info.mtimeMs;
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
    const { path, onRotation } = this.#options;
    for (let time = 0; time < times; time++) onRotation({ file: path, kind });
  }

  #sayLost(bytes: number): void {
    const { path, onLoss } = this.#options;
    onLoss({ file: path, bytes: Math.max(0, bytes), since: new Date(this.#lookedMs).toISOString() });
  }
}

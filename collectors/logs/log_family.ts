/**
 * One log by its name, through all its rotations: reads the first of its generations (`generation_queue.ts`) until that
 * one is over, and then the next.
 *
 * Invariants:
 *
 * - what was unread in an old generation is read before the new one;
 * - a generation leaves the queue when it has been read to its end and the next one has begun;
 * - what is to be stored with entries never says that more was read than these.
 *
 * @module
 */

import * as limits from "../../limits.ts";
import type { CreateParser, Generation } from "./generation.ts";
import { GenerationQueue, type GenerationQueueOptions } from "./generation_queue.ts";
import { chunkOf, type FamilyState, type LogChunk } from "./log_family_state.ts";
import type { LogFileInfo } from "./log_files.ts";

/** What a family needs of its surroundings. */
export interface FamilyOptions extends GenerationQueueOptions {
  createParser: CreateParser;
}

/** A log that is followed. Close it. */
export class LogFamily {
  readonly #options: FamilyOptions;
  readonly #queue: GenerationQueue;

  /** Restores what an earlier process stored; without, the log begins where the caller says with {@link begin}. */
  constructor(options: FamilyOptions, state?: FamilyState) {
    this.#options = options;
    this.#queue = new GenerationQueue(options, state);
  }

  get path(): string {
    return this.#options.path;
  }

  /** Where reading stands, for `agent_status`. */
  get progress(): { file: string; offset: number; size: number } {
    const { first } = this.#queue;
    return { file: this.path, offset: first?.readBytes ?? 0, size: first?.size ?? 0 };
  }

  /** Whether nothing is followed any more: the file is gone and was read to its end. */
  get isOver(): boolean {
    return this.#queue.isEmpty;
  }

  /** Whether nothing has been written for so long that the file was closed, nor since: there is nothing to read. */
  get isQuiet(): boolean {
    const { first, isCurrent } = this.#queue;
    return first !== undefined && isCurrent && !first.isOpen && isResting(first);
  }

  /** What to store so that a later process goes on here, once all entries returned so far are safe. */
  get state(): FamilyState {
    return this.#queue.state;
  }

  /** Whether a file with these first bytes is one of this log's, under whatever name. */
  knows(info: LogFileInfo, first: Uint8Array): boolean {
    return this.#queue.knows(info, first);
  }

  /**
   * Begins with a file that was not followed before, at an offset; if it is new, after what was rotated away under its
   * name since `sinceMs`. What is older counts as read.
   */
  async begin(info: LogFileInfo, from: { offset: number; sinceMs: number }): Promise<void> {
    await this.#queue.begin(info, from);
  }

  /** Looks what has become of the files. Returns whether what is followed has changed and is to be stored. */
  async look(): Promise<boolean> {
    return await this.#queue.look();
  }

  /** Reads the next entries; null when there is nothing new. Throws what the file system says. */
  async read(): Promise<LogChunk | null> {
    const { first: generation, isCurrent } = this.#queue;
    if (generation === undefined) return null;
    // Of the file that has the name, the look tells whether there is more.
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
    if (isCurrent && isResting(generation)) generation.close();
    return settled;
  }

  /** The next entries of what was read; null when there are none. To be asked until then before anything else. */
  readOn(): LogChunk | null {
    const records = this.#queue.first?.parseOn();
    return records ? chunkOf(records, this.state) : null;
  }

  /** The server writes otherwise than was thought: see {@link Generation.restartParser}. */
  async restartParser(): Promise<void> {
    await this.#queue.first?.restartParser();
  }

  close(): void {
    this.#queue.close();
  }

  /**
   * A copy has an end; another file is over when it rests and the next one has something to say. One that was deleted is
   * let go when it rests for longer: an open file keeps its space on the disk.
   */
  async #isAtItsEnd(generation: Generation): Promise<boolean> {
    if (generation.isCopy) return true;
    const { second: next, isGone } = this.#queue;
    if (next !== undefined && next.size > 0) return generation.idleReads >= 2;
    if (next === undefined && !isGone) return false;
    return generation.idleReads >= limits.logGoneReads && await generation.isDeleted();
  }

  #finish(generation: Generation): LogChunk {
    const before = this.state;
    const rest = generation.finish();
    this.#queue.shift();
    return chunkOf(rest, before, this.state);
  }

  /** Entries that nothing more can belong to: one that is being written may be seen in part. */
  async #settle(generation: Generation): Promise<LogChunk | null> {
    const isSettled = generation.idleReads > 1 ||
      Math.abs(this.#options.nowMs() - await generation.writtenMs()) >= limits.logRestMs;
    if (!isSettled || generation.idleReads > 2) return null;
    const before = this.state;
    const settled = generation.settle();
    return settled.length === 0 ? null : chunkOf(settled, before, this.state);
  }
}

/** Whether a generation has had nothing new for so long that it need not be held open. */
function isResting(generation: Generation): boolean {
  return generation.isReadToItsEnd && generation.idleReads >= limits.logQuietReads;
}

/**
 * The files that rotation leaves beside a log: where a generation is now, and which ones nobody has read.
 *
 * - They are told by their heads: not by a clock, which may be set back, nor by their names, which change.
 * - A list that is made while files are renamed may lack one of them: nothing counts as gone because one list lacks it.
 *
 * @module
 */

import { posix } from "node:path";
import * as limits from "../../limits.ts";
import { Generation, type GenerationState, isAmong } from "./generation.ts";
import { findGeneration } from "./generation_search.ts";
import {
  beginsLike,
  byAge,
  type Head,
  headOf,
  isHeadOf,
  listLogFiles,
  type LogFileInfo,
  readBeginning,
  without,
} from "./log_files.ts";

/** What is followed of a log, the generation that has its name now, and since when others are new. */
export interface SiblingSearch {
  followed: readonly Generation[];
  current: Generation | null;
  /** What was written before counts as read. Default: nothing does. */
  sinceMs?: number;
}

/** The siblings of one log. */
export class Siblings {
  readonly #path: string;
  /** Of generations that were read to their end; those met last are at the end. */
  #done: readonly Head[];
  #isComplete = true;

  constructor(path: string, done: readonly Head[]) {
    this.#path = path;
    this.#done = done;
  }

  /** Heads of generations that were read to their end. */
  get done(): readonly Head[] {
    return this.#done;
  }

  /** Whether the last search could look into all there were. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** A generation was read to its end. */
  markRead(head: Head): void {
    this.#done = [...this.#done.filter(({ hash }) => hash !== head.hash), head].slice(-limits.logGenerationsRemembered);
  }

  /** Where a generation is now, among all files but one; null when it is gone. */
  async find(state: GenerationState, except: LogFileInfo | null = null): Promise<LogFileInfo | null> {
    for (let attempt = 0; attempt < limits.logFindAttempts; attempt++) {
      const found = await findGeneration(state, without(except, await listLogFiles(posix.dirname(this.#path))));
      if (found !== null) return found;
    }
    return null;
  }

  /**
   * Generations that nobody has read, the oldest first. An empty file is none, nor is a copy of the current generation:
   * it is just being made. Throws `NotFound` when that one has been replaced or truncated meanwhile.
   */
  async unread({ followed, current, sinceMs = -Infinity }: SiblingSearch): Promise<Generation[]> {
    const files = without(current, await listLogFiles(posix.dirname(this.#path)))
      .filter(({ path }) => path.startsWith(this.#path) && path !== this.#path);
    const unread: Generation[] = [];
    this.#isComplete = true;
    for (const file of files.sort(byAge).slice(-limits.logSiblingsMax)) {
      const first = await this.#look(file);
      if (first === null || first.length === 0 || isAmong(followed, file, first)) continue;
      const done = this.#done.find((head) => head.bytes > 0 && isHeadOf(first, head));
      if (done !== undefined) this.markRead(done);
      else if (file.mtimeMs < sinceMs) this.markRead(headOf(first));
      else unread.push(new Generation(file, { head: headOf(first) }));
    }
    if (current === null) return unread;
    // Only if it is the same behind the search as before, the search cannot have met part of a copy of another one.
    const first = await readBeginning(current);
    if (first !== null && isHeadOf(first, current.head)) return unread.filter(({ head }) => !isHeadOf(first, head));
    throw new Deno.errors.NotFound(`Cannot find ${current.path} as it was`);
  }

  /** Whether a file with these first bytes was read to its end. */
  wasRead(first: Uint8Array): boolean {
    return beginsLike(first, this.#done);
  }

  /** Null for what is elsewhere by now or may not be read: it is looked for again. */
  async #look(file: LogFileInfo): Promise<Uint8Array | null> {
    const first = await readBeginning(file).catch((error) => {
      if (error instanceof Deno.errors.PermissionDenied) return null;
      throw error;
    });
    this.#isComplete &&= first !== null;
    return first;
  }
}

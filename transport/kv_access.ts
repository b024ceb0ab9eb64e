/**
 * Access to the outbox's folder: opened, suspended when it cannot be written, and taken up again by itself.
 *
 * Invariants:
 *
 * - one probe at a time, with a pause before each;
 * - an episode is said once when it begins and once when it ends, however many operations it refuses;
 * - damage that shows while the agent runs is cured as at the start; if the cure fails, access is suspended.
 *
 * @module
 */

import { join } from "node:path";
import * as limits from "../limits.ts";
import { errorMessage } from "../log.ts";
import { type BufferDirectory, BufferInUseError, claimBufferDirectory } from "./buffer_directory.ts";
import { isDamage } from "./kv_file.ts";
import { Numbers, OtherFolderError } from "./kv_numbers.ts";
import { type Known, type OpeningOptions, openStore, replaceStore } from "./kv_opening.ts";
import type { KvStore } from "./kv_store.ts";
import { probeFolder } from "./probe.ts";
import { nextOf } from "./sequence_file.ts";

/** What access works with. */
export interface AccessOptions extends Omit<OpeningOptions, "path"> {
  folder: string;
  probeMs: number;
  /** Runs a task when no other is under way. */
  exclusively: <T>(task: () => Promise<T>) => Promise<T>;
  known: () => Pick<Known, "held" | "settled">;
  /** Brings into the file what has waited for it. Throws when it cannot. */
  flush: (store: KvStore) => Promise<void>;
  /** Said with the end of an episode. */
  figures: () => Record<string, unknown>;
}

/** The folder and what is open in it. Close it. */
export class KvAccess {
  readonly #options: AccessOptions;
  readonly numbers: Numbers;
  readonly #closing = new AbortController();
  #directory: BufferDirectory | null = null;
  #store: KvStore | null = null;
  #isRunning = false;
  #isWritable = false;

  constructor(options: AccessOptions) {
    this.#options = options;
    this.numbers = new Numbers(join(options.folder, "sequence"), options);
  }

  /** Whether documents go into the file. */
  get isWritable(): boolean {
    return this.#isWritable;
  }

  /** Whether there is a file to read from. */
  get isOpen(): boolean {
    return this.#store !== null;
  }

  /** At the start. Throws only what will not pass: another agent, or a path that can be no folder. */
  async open(): Promise<void> {
    try {
      await this.#open();
      this.#isWritable = true;
    } catch (error) {
      if (!mayPass(error)) {
        this.#release();
        throw error;
      }
      this.#beginWithoutFile();
      this.#suspend(error);
    }
    this.#isRunning = true;
  }

  /** Runs a task on the file; null when it is not open or the task failed, and then access is suspended. */
  async attempt<T>(task: (store: KvStore) => Promise<T>): Promise<T | null> {
    for (let attempt = 1;; attempt++) {
      if (this.#store === null) return null;
      try {
        return await task(this.#store);
      } catch (error) {
        if (isCallersMistake(error)) throw error;
        if (attempt === 1 && isDamage(error) && await this.#cure(error as Error)) continue;
        this.#suspend(error);
        return null;
      }
    }
  }

  /** Tries once more to store what waits, and lets everything go. */
  async close(): Promise<void> {
    this.#closing.abort();
    if (!this.#isWritable) await this.#recover();
    if (this.#store !== null) await this.numbers.finish();
    this.#release();
  }

  async #open(): Promise<void> {
    const { folder } = this.#options;
    this.#directory ??= await claimBufferDirectory(folder);
    // Where only this file cannot be made, the outbox itself still keeps the numbers.
    const failure = await this.numbers.open().then(() => null, (error) => error);
    if (failure instanceof OtherFolderError) throw failure;
    const known = { ...this.#options.known(), isRunning: this.#isRunning, note: this.numbers.note };
    this.#store ??= await openStore({ ...this.#options, path: this.#path }, known);
    if (failure !== null && !this.#isRunning) {
      this.#options.log.warning("buffer_sequence_unwritable", { error: errorMessage(failure) });
    }
  }

  get #path(): string {
    return join(this.#options.folder, "outbox.kv");
  }

  /** The numbers go on where the note says, if it can be read; without it none are given. */
  #beginWithoutFile(): void {
    const { note } = this.numbers;
    if (note === null) return;
    this.#options.books.merge(note.totals);
    this.#options.books.enter({ change: { nextSequence: nextOf(note) } });
  }

  async #cure(error: Error): Promise<boolean> {
    this.#closeStore();
    const known = { ...this.#options.known(), isRunning: true, note: this.numbers.note };
    try {
      this.#store = await replaceStore(error, { ...this.#options, path: this.#path, ...known });
      return true;
    } catch {
      return false;
    }
  }

  #suspend(error: unknown): void {
    // A file that takes no writes can still be read.
    if (isDamage(error)) this.#closeStore();
    if (!this.#isWritable && this.#isRunning) return;
    this.#isWritable = false;
    this.#options.log.error("buffer_unwritable", {
      error: errorMessage(error),
      hint:
        "Documents are kept in memory, and sent if their numbers can be noted; make room, or see to the permissions",
    });
    void this.#probe();
  }

  async #probe(): Promise<void> {
    const { clock, probeMs, exclusively } = this.#options;
    while (!this.#isWritable && !this.#closing.signal.aborted) {
      await clock.sleep(probeMs, this.#closing.signal);
      await exclusively(async () => {
        // Asked in its turn: the outbox may have been closed while this was waiting for it.
        if (!this.#closing.signal.aborted) await this.#recover();
      });
    }
  }

  async #recover(): Promise<void> {
    const { folder, log, flush, figures } = this.#options;
    try {
      this.#directory ??= await claimBufferDirectory(folder);
      await probeFolder(folder, limits.outboxProbeBytes);
    } catch {
      return;
    }
    try {
      await this.#open();
      const held = figures();
      await this.#store!.save();
      await flush(this.#store!);
      this.#isWritable = true;
      log.info("buffer_writable", held);
    } catch (error) {
      if (isDamage(error)) await this.#cure(error as Error);
      // The folder takes files: what is good for nothing any more, after a mount for one, is opened anew the next time.
      else if (!/full/i.test(errorMessage(error))) this.#release();
    }
  }

  #closeStore(): void {
    this.#store?.close();
    this.#store = null;
  }

  #release(): void {
    this.#closeStore();
    this.numbers[Symbol.dispose]();
    this.#directory?.[Symbol.dispose]();
    this.#directory = null;
  }
}

/** A disk that is full or read-only, or a folder without permission, may be mended while the agent runs. */
function mayPass(error: unknown): boolean {
  const { AlreadyExists, NotADirectory, NotCapable } = Deno.errors;
  return ![BufferInUseError, AlreadyExists, NotADirectory, NotCapable].some((kind) => error instanceof kind);
}

/** A value that KV takes from nobody says nothing about the file. */
function isCallersMistake(error: unknown): boolean {
  return error instanceof TypeError && /too large/i.test(error.message);
}

/**
 * Documents of log entries on their way into the outbox, while the next ones are read.
 *
 * - They are given to the outbox in the order in which they were read, by one call at a time, and what could not be stored
 *   is what the next call begins with: a position is stored only when all that was read before it is.
 * - `logDocumentsAhead` of them at most are waiting.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import { errorMessage, type Log } from "../log.ts";
import type { Outbox, SourcedDraft } from "../transport/outbox.ts";
import { logPut } from "./put_log.ts";

/** What was read, with the positions behind it. */
export interface ReadDocument extends SourcedDraft {
  /** Entries in it. */
  count: number;
  /** Whether nothing but the positions is to be stored. */
  isPosition: boolean;
  /** Called when it has been stored. */
  release: () => void;
}

/** What a store works with. */
export interface LogStoreOptions {
  outbox: Outbox;
  /** Called after documents were stored. */
  onStored: () => void;
  clock: Clock;
  log: Log;
  /** Ends all attempts: the files keep what has not been stored. */
  stopping: AbortSignal;
}

/** Stores what one run reads. */
export class LogStore {
  readonly #options: LogStoreOptions;
  readonly #waiting: ReadDocument[] = [];
  #storing: Promise<void> | null = null;
  /** Some have been stored, or no attempt is made any more. */
  #progress = Promise.withResolvers<void>();

  constructor(options: LogStoreOptions) {
    this.#options = options;
  }

  /** Takes the next one. */
  add(document: ReadDocument): void {
    this.#waiting.push(document);
  }

  /** Resolves when all that was added is stored, or the run stops. */
  async storeAll(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#options.stopping.aborted) await this.#store();
  }

  /** Begins to store what was added; resolves when there is room for more. */
  async storeBehind(): Promise<void> {
    void this.#store();
    while (this.#waiting.length >= limits.logDocumentsAhead && !this.#options.stopping.aborted) {
      await this.#progress.promise;
    }
  }

  /** One attempt to store all, after the run has stopped. Throws why not. */
  async storeLast(): Promise<void> {
    await this.#storing;
    while (this.#waiting.length > 0) await this.#storeFirst();
  }

  /** Until it works or the run stops. Whoever comes meanwhile gets the attempts under way. */
  #store(): Promise<void> {
    return this.#storing ??= this.#retry().finally(() => {
      this.#storing = null;
      this.#noteProgress();
    });
  }

  async #retry(): Promise<void> {
    const { clock, log, stopping } = this.#options;
    for (let failed = false; this.#waiting.length > 0 && !stopping.aborted;) {
      try {
        await this.#storeFirst();
        failed = false;
      } catch (error) {
        if (!failed) log.error("document_not_stored", { type: "pg_log", error: errorMessage(error) });
        failed = true;
        await clock.sleep(limits.outboxRetryMs, stopping);
      }
    }
  }

  /** Stores the documents before the next that is positions alone, or that one. Throws when none could be stored. */
  async #storeFirst(): Promise<void> {
    const { outbox, log, onStored } = this.#options;
    const end = this.#waiting.findIndex(({ isPosition }) => isPosition);
    const documents = this.#waiting.slice(0, end < 0 ? undefined : end);
    let stored = 1;
    if (end === 0) await outbox.saveCheckpoints(this.#waiting[0]!.checkpoints);
    else {
      const puts = await outbox.putInOrder(documents);
      for (const [index, put] of puts.entries()) logPut(put, { type: "pg_log", entries: documents[index]!.count }, log);
      stored = puts.length;
    }
    for (const { release } of this.#waiting.splice(0, stored)) release();
    onStored();
    this.#noteProgress();
  }

  #noteProgress(): void {
    this.#progress.resolve();
    this.#progress = Promise.withResolvers();
  }
}

/**
 * Commits to the outbox's file, each together with the books (`kv_books.ts`): memory and file cannot part unnoticed,
 * because every commit checks the version that the one before has left.
 *
 * @module
 */

import type { Books, Entry } from "./kv_books.ts";
import { lossesKey, type OutboxState, parseState, stateKey } from "./kv_records.ts";
import { emptyLedger, type LossLedger, parseLedger } from "./loss_ledger.ts";

/** What a file says. */
export interface StoredBooks {
  value: OutboxState;
  losses: LossLedger;
}

/** Called before and after each step that a crash could fall between: tests die there. */
export type Step = (name: string) => void | Promise<void>;

/** The books of one open file. */
export class KvState {
  readonly #kv: Deno.Kv;
  readonly #step: Step;
  readonly books: Books;
  #versionstamp: string | null = null;
  #writtenLosses: LossLedger | null = null;

  constructor(kv: Deno.Kv, options: { books: Books; step: Step }) {
    this.#kv = kv;
    this.books = options.books;
    this.#step = options.step;
  }

  get value(): Readonly<OutboxState> {
    return this.books.state;
  }

  get losses(): LossLedger {
    return this.books.losses;
  }

  /** What the file says, null when it is new. The books are left as they are. Throws what `parseState` throws. */
  async read(): Promise<StoredBooks | null> {
    const [state, losses] = await this.#kv.getMany([stateKey, lossesKey]);
    this.#versionstamp = state!.versionstamp;
    this.#writtenLosses = null;
    if (state!.versionstamp === null) return null;
    const value = parseState(state!.value);
    const hadLedger = (state!.value as { format: number }).format > 1;
    const ledger = hadLedger ? parseLedger(losses!.value) : emptyLedger;
    if (ledger === null) throw new TypeError("Cannot read the outbox because its ledger of losses is damaged");
    return { value, losses: ledger };
  }

  /** Commits the operation together with the books as they are after the entry: all or nothing. */
  async commit(operation: Deno.AtomicOperation, entry: Entry): Promise<void> {
    const value = { ...this.value, ...entry.change };
    const losses = entry.losses ?? this.losses;
    if (losses !== this.#writtenLosses) operation.set(lossesKey, losses);
    await this.#step("before a commit");
    this.#versionstamp = await this.#commit(operation.set(stateKey, value));
    await this.#step("after a commit");
    this.#writtenLosses = losses;
    this.books.enter(entry);
  }

  /** A commit may be reported as failed and have taken effect: then the version says so. */
  async #commit(operation: Deno.AtomicOperation): Promise<string> {
    const before = this.#versionstamp;
    try {
      const result = await operation.check({ key: stateKey, versionstamp: before }).commit();
      if (result.ok) return result.versionstamp;
    } catch (error) {
      const { versionstamp } = await this.#kv.get(stateKey);
      if (versionstamp === before || versionstamp === null) throw error;
      return versionstamp;
    }
    throw new Error("Cannot store because the outbox had changed behind the agent's back");
  }
}

/**
 * The figures of the outbox, in memory and in the file. They are written in the same commit as whatever they count,
 * checked against the version read before: memory and file cannot part unnoticed.
 *
 * @module
 */

import { emptyState, type OutboxState, parseState, stateKey } from "./kv_records.ts";

/** The outbox's state as last committed. */
export class KvState {
  readonly #kv: Deno.Kv;
  #value: OutboxState;
  #versionstamp: string;

  private constructor(kv: Deno.Kv, stored: { value: OutboxState; versionstamp: string }) {
    this.#kv = kv;
    this.#value = stored.value;
    this.#versionstamp = stored.versionstamp;
  }

  /** Reads the state of a file, or gives a new file its first. Throws what `parseState` throws. */
  static async read(kv: Deno.Kv): Promise<KvState> {
    return new KvState(kv, await readOrCreate(kv));
  }

  get value(): Readonly<OutboxState> {
    return this.#value;
  }

  /** Takes over what the file says: after a commit that failed it may be ahead of the memory. */
  async readAgain(): Promise<void> {
    const stored = await readOrCreate(this.#kv);
    this.#value = stored.value;
    this.#versionstamp = stored.versionstamp;
  }

  /** Commits the operation together with the changed state: both or neither. */
  async commit(operation: Deno.AtomicOperation, change: Partial<OutboxState>): Promise<void> {
    const value = { ...this.#value, ...change };
    const check = { key: stateKey, versionstamp: this.#versionstamp };
    const result = await operation.check(check).set(stateKey, value).commit();
    if (result.ok) {
      this.#value = value;
      this.#versionstamp = result.versionstamp;
      return;
    }
    // One process writes, one operation at a time: only a commit that took effect although it was reported as failed
    // can have changed the state.
    await this.readAgain();
    throw new Error("Cannot store because the outbox had changed; its state was read again");
  }
}

async function readOrCreate(kv: Deno.Kv): Promise<{ value: OutboxState; versionstamp: string }> {
  const stored = await kv.get(stateKey);
  if (stored.versionstamp !== null) return { value: parseState(stored.value), versionstamp: stored.versionstamp };
  const { versionstamp } = await kv.set(stateKey, emptyState);
  return { value: emptyState, versionstamp };
}

/**
 * The figures of the outbox and its ledger of losses, in memory and in the file. They are written in the same commit as
 * whatever they count, checked against the version read before: memory and file cannot part unnoticed.
 *
 * @module
 */

import { emptyState, lossesKey, type OutboxState, parseState, stateKey } from "./kv_records.ts";
import { emptyLedger, type LossLedger, parseLedger } from "./loss_ledger.ts";

/** What was committed last. */
interface Stored {
  value: OutboxState;
  losses: LossLedger;
  versionstamp: string;
}

/** The outbox's state as last committed. */
export class KvState {
  readonly #kv: Deno.Kv;
  #stored: Stored;

  private constructor(kv: Deno.Kv, stored: Stored) {
    this.#kv = kv;
    this.#stored = stored;
  }

  /** Reads the state of a file, or gives a new file its first. Throws what `parseState` throws. */
  static async read(kv: Deno.Kv): Promise<KvState> {
    return new KvState(kv, await readOrCreate(kv));
  }

  get value(): Readonly<OutboxState> {
    return this.#stored.value;
  }

  get losses(): LossLedger {
    return this.#stored.losses;
  }

  /** Takes over what the file says: after a commit that failed it may be ahead of the memory. */
  async readAgain(): Promise<void> {
    this.#stored = await readOrCreate(this.#kv);
  }

  /** Commits the operation together with the changed state and ledger: all or nothing. */
  async commit(
    operation: Deno.AtomicOperation,
    change: Partial<OutboxState>,
    losses: LossLedger = this.losses,
  ): Promise<void> {
    const { versionstamp } = this.#stored;
    const value = { ...this.value, ...change };
    if (losses !== this.losses) operation.set(lossesKey, losses);
    const result = await operation.check({ key: stateKey, versionstamp }).set(stateKey, value).commit();
    if (result.ok) {
      this.#stored = { value, losses, versionstamp: result.versionstamp };
      return;
    }
    // One process writes, one operation at a time: only a commit that took effect although it was reported as failed
    // can have changed the state.
    await this.readAgain();
    throw new Error("Cannot store because the outbox had changed; its state was read again");
  }
}

async function readOrCreate(kv: Deno.Kv): Promise<Stored> {
  const [stored, losses] = await kv.getMany([stateKey, lossesKey]);
  if (stored!.versionstamp !== null) {
    const ledger = parseLedger(losses!.value) ?? emptyLedger;
    return { value: parseState(stored!.value), losses: ledger, versionstamp: stored!.versionstamp };
  }
  const { versionstamp } = await kv.set(stateKey, emptyState);
  return { value: emptyState, losses: emptyLedger, versionstamp };
}

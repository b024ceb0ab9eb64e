/**
 * The figures of the outbox and its ledger of losses, as they are; the file has them as of its last commit.
 *
 * @module
 */

import { emptyState, type OutboxState } from "./kv_records.ts";
import { emptyLedger, type LossLedger, type LossRange, type LossReason, withRange } from "./loss_ledger.ts";
import type { SequenceTotals } from "./sequence_file.ts";

/** What changes with one commit. */
export interface Entry {
  change: Partial<OutboxState>;
  losses?: LossLedger;
}

/** The books of one outbox. */
export class Books {
  #state: OutboxState = emptyState;
  #losses: LossLedger = emptyLedger;

  get state(): Readonly<OutboxState> {
    return this.#state;
  }

  get losses(): LossLedger {
    return this.#losses;
  }

  /** Takes an entry over, when its commit is done or when there is no file to commit it to. */
  enter({ change, losses }: Entry): void {
    this.#state = { ...this.#state, ...change };
    this.#losses = losses ?? this.#losses;
  }

  /**
   * Takes the higher of both totals, and all losses: of a file that was not seen before, or is of an earlier time.
   * What it holds is not a total and is left alone.
   */
  merge(totals: Partial<SequenceTotals>, losses: LossLedger = emptyLedger): void {
    const state = { ...this.#state };
    for (const [name, figure] of Object.entries(totals) as [keyof SequenceTotals, number][]) {
      state[name] = Math.max(state[name], figure);
    }
    const known = new Set(this.#losses.ranges.map(({ reason, from, to }) => `${reason} ${from} ${to}`));
    const unknown = losses.ranges.filter(({ reason, from, to }) => !known.has(`${reason} ${from} ${to}`));
    const ledger = unknown.reduce(withRange, {
      mark: Math.max(losses.mark, this.#losses.mark),
      ranges: this.#losses.ranges,
    });
    this.enter({ change: state, losses: ledger });
  }

  /**
   * Makes the sum right again after numbers were lost sight of: what is neither in the outbox nor counted otherwise is
   * lost for this reason, within these numbers. Answers how many that is.
   */
  balance(
    held: number,
    { reason, from, to }: { reason: "quarantined" | "unstored"; from: number; to: number },
  ): number {
    const { nextSequence, records, deliveredRecords, evictedRecords, rejectedRecords } = this.#state;
    const { quarantinedRecords, unstoredRecords } = this.#state;
    const counted = records + held + deliveredRecords + evictedRecords + rejectedRecords + quarantinedRecords +
      unstoredRecords;
    const lost = nextSequence - 1 - counted;
    if (lost < 0) {
      this.takeBack(-lost);
      return 0;
    }
    if (lost === 0) return 0;
    const range: Omit<LossRange, "mark"> = {
      reason,
      from,
      to: Math.max(from, to),
      records: lost,
      bytes: 0,
      types: {},
      firstAt: null,
      lastAt: null,
    };
    const change = reason === "quarantined"
      ? { quarantinedRecords: quarantinedRecords + lost }
      : { unstoredRecords: unstoredRecords + lost };
    this.enter({ change, losses: withRange(this.#losses, range) });
    return lost;
  }

  /** What is in the outbox again is not lost, nor delivered, as it was counted before. */
  takeBack(records: number): void {
    const change: Partial<OutboxState> = {};
    let rest = records;
    for (const name of ["quarantinedRecords", "unstoredRecords", "deliveredRecords"] as const) {
      const taken = Math.min(rest, this.#state[name]);
      change[name] = this.#state[name] - taken;
      rest -= taken;
    }
    this.enter({ change });
  }

  /** For the file beside the outbox, without the losses that are not told yet: they are lost with the ledger. */
  totals(): SequenceTotals {
    const { deliveredRecords, evictedRecords, evictedBytes, rejectedRecords } = this.#state;
    const { quarantinedRecords, unstoredRecords, quarantinedFiles } = this.#state;
    const evicted = this.#untold("evicted", "too_large");
    return {
      deliveredRecords,
      evictedRecords: evictedRecords - evicted.records,
      evictedBytes: evictedBytes - evicted.bytes,
      rejectedRecords: rejectedRecords - this.#untold("rejected").records,
      quarantinedRecords: quarantinedRecords - this.#untold("quarantined").records,
      unstoredRecords: unstoredRecords - this.#untold("unstored").records,
      quarantinedFiles,
    };
  }

  #untold(...reasons: LossReason[]): { records: number; bytes: number } {
    const sum = { records: 0, bytes: 0 };
    for (const { reason, records, bytes } of this.#losses.ranges) {
      if (!reasons.includes(reason)) continue;
      sum.records += records;
      sum.bytes += bytes;
    }
    return sum;
  }
}

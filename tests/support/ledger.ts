/**
 * Accounts for every number an agent has given, from nothing but what its listener has stored: what came, what the
 * agent said is lost, and what neither came nor was said to be lost.
 *
 * @module
 */

import assert from "node:assert/strict";

/** What the account needs of a document as it was posted. */
export interface StoredDocument {
  id: string;
  sequence: number;
  type: string;
  data: unknown;
}

/** One agent's account, in documents. */
export interface Account {
  /** Numbers given, as the last `agent_status` says or the highest number that came. */
  captured: number;
  /** Different numbers that came. */
  delivered: number;
  /** As the caller says; an agent that has ended drained has none. */
  buffered: number;
  /** Numbers that did not come, by the reason the agent gave for them. */
  evicted: number;
  rejected: number;
  quarantined: number;
  unstored: number;
  /** Numbers that did not come and that nobody has explained. The promise is 0. */
  unexplained: number;
  /** Documents that came again, under the same number and id. */
  doubles: number;
  /** Documents whose number or id had come with another id or number. The promise is 0. */
  foreignIds: number;
  /** Statuses whose figures do not add up. The promise is 0. */
  wrongSums: number;
}

/** Numbers that `agent_status` tells as lost. */
interface ToldRange {
  reason: string;
  from: number;
  to: number;
  records: number;
}

/** Accounts for all that one listener has stored of one agent, in the order in which it came. */
export function account(documents: Iterable<StoredDocument>, options: { buffered?: number } = {}): Account {
  const { buffered = 0 } = options;
  const result = { ...emptyAccount(), buffered };
  const idOf = new Map<number, string>();
  const numberOf = new Map<string, number>();
  const told: StoredDocument[] = [];
  for (const document of documents) {
    const { id, sequence, type, data } = document;
    if ((idOf.get(sequence) ?? id) !== id || (numberOf.get(id) ?? sequence) !== sequence) result.foreignIds += 1;
    else if (idOf.has(sequence)) result.doubles += 1;
    idOf.set(sequence, id);
    numberOf.set(id, sequence);
    result.captured = Math.max(result.captured, sequence);
    if (type !== "agent_status") continue;
    const { buffer, loss } = data as StatusData;
    if (!addsUp(buffer, loss)) result.wrongSums += 1;
    result.captured = Math.max(result.captured, buffer.captured_records ?? 0);
    told.push(document);
  }
  result.delivered = idOf.size;
  explain(result, { came: idOf, losses: new ToldLosses(told) });
  return result;
}

/** What the statuses told is lost, each range as the highest-numbered of them has it. */
export class ToldLosses {
  readonly #ranges: ToldRange[];

  constructor(documents: Iterable<StoredDocument>) {
    const ranges = new Map<string, ToldRange & { toldBy: number }>();
    for (const { sequence, type, data } of documents) {
      if (type !== "agent_status") continue;
      for (const range of (data as StatusData).loss.ranges) {
        const key = `${range.reason} ${range.from}`;
        if ((ranges.get(key)?.toldBy ?? 0) <= sequence) ranges.set(key, { ...range, toldBy: sequence });
      }
    }
    // Of two that have a number in common the one that ends first: later numbers are left to the other.
    this.#ranges = [...ranges.values()].sort((one, other) => one.to - other.to || other.from - one.from);
  }

  /**
   * The end of a number that did not come, or null when nobody told of it. To be asked in ascending order: a range
   * explains no more numbers than it says were lost, and the one that ends first is used up first.
   */
  endOf(sequence: number): CountedEnd | null {
    const range = this.#ranges.find(({ from, to, records }) => from <= sequence && sequence <= to && records > 0);
    if (range === undefined) return null;
    range.records -= 1;
    return countedAs[range.reason] ?? null;
  }
}

/** One line an account, for the table that a test prints. */
export function accountLine(name: string, { captured, delivered, buffered, ...rest }: Account): string {
  const { evicted, rejected, quarantined, unstored, unexplained, doubles, foreignIds } = rest;
  return `${name}: captured ${captured}, delivered ${delivered}, buffered ${buffered}, evicted ${evicted}, rejected ` +
    `${rejected}, quarantined ${quarantined}, unstored ${unstored}, unexplained ${unexplained}, doubles ${doubles}, ` +
    `foreign ids ${foreignIds}`;
}

/** Prints an account, and holds that it is complete: nothing waits, nothing is missing without a word, all adds up. */
export function assertExplained(name: string, result: Account): Account {
  console.log(accountLine(name, result));
  const { buffered, unexplained, foreignIds, wrongSums } = result;
  assert.deepEqual({ buffered, unexplained, foreignIds, wrongSums }, {
    buffered: 0,
    unexplained: 0,
    foreignIds: 0,
    wrongSums: 0,
  });
  return result;
}

interface StatusData {
  buffer: Record<string, number>;
  loss: Record<string, number> & { ranges: ToldRange[] };
}

/** How a document is counted that will not come. */
export type CountedEnd = "evicted" | "rejected" | "quarantined" | "unstored";

const countedAs: Readonly<Record<string, CountedEnd>> = {
  evicted: "evicted",
  too_large: "evicted",
  rejected: "rejected",
  quarantined: "quarantined",
  unstored: "unstored",
};

function emptyAccount(): Account {
  return {
    captured: 0,
    delivered: 0,
    buffered: 0,
    evicted: 0,
    rejected: 0,
    quarantined: 0,
    unstored: 0,
    unexplained: 0,
    doubles: 0,
    foreignIds: 0,
    wrongSums: 0,
  };
}

/** The sum of docs/documents/agent_status.md. */
function addsUp(buffer: Record<string, number>, loss: Record<string, number>): boolean {
  const parts = [
    buffer.delivered_records,
    buffer.records,
    loss.evicted_records,
    loss.rejected_records,
    loss.quarantined_records,
    loss.unstored_records,
  ];
  return buffer.captured_records === parts.reduce<number>((sum, part) => sum + (part ?? Number.NaN), 0);
}

function explain(
  result: Account,
  { came, losses }: { came: ReadonlyMap<number, string>; losses: ToldLosses },
): void {
  let unexplained = 0;
  for (let sequence = 1; sequence <= result.captured; sequence++) {
    if (came.has(sequence)) continue;
    const end = losses.endOf(sequence);
    if (end === null) unexplained += 1;
    else result[end] += 1;
  }
  result.unexplained = Math.max(0, unexplained - result.buffered);
}

/**
 * Accounts for every number an agent has given, from nothing but what its listener has stored: what came, what the
 * agent said is lost, and what neither came nor was said to be lost.
 *
 * @module
 */

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

/** A range as `agent_status` tells it. */
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
  const ranges = new Map<string, ToldRange & { toldBy: number }>();
  for (const { id, sequence, type, data } of documents) {
    if ((idOf.get(sequence) ?? id) !== id || (numberOf.get(id) ?? sequence) !== sequence) result.foreignIds += 1;
    else if (idOf.has(sequence)) result.doubles += 1;
    idOf.set(sequence, id);
    numberOf.set(id, sequence);
    result.captured = Math.max(result.captured, sequence);
    if (type !== "agent_status") continue;
    const { buffer, loss } = data as StatusData;
    if (!addsUp(buffer, loss)) result.wrongSums += 1;
    result.captured = Math.max(result.captured, buffer.captured_records ?? 0);
    for (const range of loss.ranges) {
      const key = `${range.reason} ${range.from}`;
      if ((ranges.get(key)?.toldBy ?? 0) <= sequence) ranges.set(key, { ...range, toldBy: sequence });
    }
  }
  result.delivered = idOf.size;
  explain(result, { came: idOf, ranges: [...ranges.values()] });
  return result;
}

/** One line an account, for the table that a test prints. */
export function accountLine(name: string, { captured, delivered, buffered, ...rest }: Account): string {
  const { evicted, rejected, quarantined, unstored, unexplained, doubles, foreignIds } = rest;
  return `${name}: captured ${captured}, delivered ${delivered}, buffered ${buffered}, evicted ${evicted}, rejected ` +
    `${rejected}, quarantined ${quarantined}, unstored ${unstored}, unexplained ${unexplained}, doubles ${doubles}, ` +
    `foreign ids ${foreignIds}`;
}

interface StatusData {
  buffer: Record<string, number>;
  loss: Record<string, number> & { ranges: ToldRange[] };
}

type Counted = "evicted" | "rejected" | "quarantined" | "unstored";

const countedAs: Readonly<Record<string, Counted>> = {
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

/** Every range explains as many numbers inside it as it says were lost, and no more. */
function explain(
  result: Account,
  { came, ranges }: { came: ReadonlyMap<number, string>; ranges: ToldRange[] },
): void {
  const left = ranges.map((range) => ({ ...range }));
  let unexplained = 0;
  for (let sequence = 1; sequence <= result.captured; sequence++) {
    if (came.has(sequence)) continue;
    const range = left.find(({ from, to, records }) => from <= sequence && sequence <= to && records > 0);
    const counted = range === undefined ? undefined : countedAs[range.reason];
    if (range === undefined || counted === undefined) {
      unexplained += 1;
      continue;
    }
    range.records -= 1;
    result[counted] += 1;
  }
  result.unexplained = Math.max(0, unexplained - result.buffered);
}

/**
 * The ledger of losses: which numbers never reach the listener, and why, until it has been told
 * (docs/decisions/loss_ledger.md). Values, not state: whoever commits a ledger replaces the one before.
 *
 * Invariants:
 *
 * - a range that changes gets a higher mark than any before, so that only a status that told it as it is forgets it;
 * - there are never more than `lossRangesMax` ranges, of at most `lossTypesMax` types each;
 * - every loss is inside a range of its reason until that range was told.
 *
 * @module
 */

import * as limits from "../limits.ts";

/** Why documents are lost. */
export const lossReasons = ["evicted", "rejected", "too_large", "quarantined", "unstored"] as const;

/** One of {@link lossReasons}. */
export type LossReason = typeof lossReasons[number];

/** Documents that are lost for one reason. */
export interface LossRange {
  /** Higher with every change of any range. */
  mark: number;
  reason: LossReason;
  /** Sequence numbers, both lost themselves. Not all between need be: see `records`. */
  from: number;
  to: number;
  records: number;
  /** As they were stored, or would have been. */
  bytes: number;
  /** How many of each type; fewer than `records` in all where types are not known. */
  types: Record<string, number>;
  /** When the first and the last of them were collected (ISO 8601), or null where that is not known. */
  firstAt: string | null;
  lastAt: string | null;
}

/** All ranges that are not told yet, by their first number, and the highest mark ever given. */
export interface LossLedger {
  mark: number;
  ranges: readonly LossRange[];
}

/** What is known of a lost document. */
export interface LostDocument {
  sequence: number;
  /** Empty when it is not known. */
  type: string;
  /** ISO 8601, empty when it is not known. */
  timestamp: string;
  bytes: number;
}

/** A ledger without losses. */
export const emptyLedger: LossLedger = { mark: 0, ranges: [] };

/** The ledger with these documents lost. */
export function withLost(ledger: LossLedger, reason: LossReason, documents: readonly LostDocument[]): LossLedger {
  return documents.reduce((result, document) => withRange(result, rangeOf(reason, document)), ledger);
}

/** The ledger with one more range, of whatever mark; joined with those that it touches, and kept within its bound. */
export function withRange(ledger: LossLedger, range: Omit<LossRange, "mark">): LossLedger {
  let joined: LossRange = { ...range, mark: ledger.mark + 1 };
  const others: LossRange[] = [];
  for (const other of ledger.ranges) {
    if (touches(joined, other)) joined = join(joined, other);
    else others.push(other);
  }
  const ranges = [...others, joined].sort((one, other) => one.from - other.from);
  return bounded({ mark: joined.mark, ranges });
}

/** The ledger after the listener has taken a status that told all ranges up to this mark. */
export function withoutTold(ledger: LossLedger, told: number): LossLedger {
  const ranges = ledger.ranges.filter(({ mark }) => mark > told);
  return ranges.length === ledger.ranges.length ? ledger : { mark: ledger.mark, ranges };
}

/** Reads a ledger back; null when the value is none. */
export function parseLedger(value: unknown): LossLedger | null {
  const { mark, ranges } = (value ?? {}) as { mark?: unknown; ranges?: unknown };
  if (!isCount(mark) || !Array.isArray(ranges)) return null;
  return { mark, ranges: ranges.filter(isRange) };
}

function rangeOf(reason: LossReason, document: LostDocument): Omit<LossRange, "mark"> {
  const { sequence, type, bytes } = document;
  const at = document.timestamp === "" ? null : document.timestamp;
  return {
    reason,
    from: sequence,
    to: sequence,
    records: 1,
    bytes,
    types: type === "" ? {} : { [type]: 1 },
    firstAt: at,
    lastAt: at,
  };
}

function touches(one: LossRange, other: LossRange): boolean {
  return one.reason === other.reason && one.from <= other.to + 1 && other.from <= one.to + 1;
}

/** Both in one; the mark is the first one's. */
function join(one: LossRange, other: LossRange): LossRange {
  return {
    mark: one.mark,
    reason: one.reason,
    from: Math.min(one.from, other.from),
    to: Math.max(one.to, other.to),
    records: one.records + other.records,
    bytes: one.bytes + other.bytes,
    types: sumOfTypes(one.types, other.types),
    firstAt: earliest(one.firstAt, other.firstAt),
    lastAt: latest(one.lastAt, other.lastAt),
  };
}

/** Types beyond the bound are counted under `other`. */
function sumOfTypes(one: Record<string, number>, other: Record<string, number>): Record<string, number> {
  const sum = { ...one };
  for (const [type, count] of Object.entries(other)) {
    const isNew = !Object.hasOwn(sum, type) && Object.keys(sum).length >= limits.lossTypesMax - 1;
    const name = isNew ? "other" : type;
    sum[name] = (sum[name] ?? 0) + count;
  }
  return sum;
}

function earliest(one: string | null, other: string | null): string | null {
  if (one === null || other === null) return one ?? other;
  return one < other ? one : other;
}

function latest(one: string | null, other: string | null): string | null {
  if (one === null || other === null) return one ?? other;
  return one > other ? one : other;
}

/** Joins the nearest of one reason until all fit: what is lost stays inside a range, which says less about where. */
function bounded(ledger: LossLedger): LossLedger {
  let { mark, ranges } = ledger;
  while (ranges.length > limits.lossRangesMax) {
    const [one, other] = nearest(ranges);
    mark += 1;
    const joined = join({ ...one, mark }, other);
    ranges = [...ranges.filter((range) => range !== one && range !== other), joined]
      .sort((first, second) => first.from - second.from);
  }
  return { mark, ranges };
}

/** More ranges than reasons, so two share one. */
function nearest(ranges: readonly LossRange[]): [LossRange, LossRange] {
  let pair: [LossRange, LossRange] | null = null;
  const lastOf = new Map<LossReason, LossRange>();
  for (const range of ranges) {
    const before = lastOf.get(range.reason);
    lastOf.set(range.reason, range);
    if (before === undefined) continue;
    if (pair === null || range.from - before.to < pair[1].from - pair[0].to) pair = [before, range];
  }
  return pair!;
}

function isRange(value: unknown): value is LossRange {
  const range = (value ?? {}) as Record<string, unknown>;
  return lossReasons.includes(range.reason as LossReason) &&
    [range.mark, range.from, range.to, range.records, range.bytes].every(isCount) &&
    typeof range.types === "object" && range.types !== null &&
    [range.firstAt, range.lastAt].every((at) => at === null || typeof at === "string");
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

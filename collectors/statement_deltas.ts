/**
 * What statements did between two reads of `pg_stat_statements`.
 *
 * - A delta never spans a reset, an eviction or a restart: an entry that began anew since has done all that it shows.
 * - No delta is negative.
 * - What cannot be known is null, not a guess: without an earlier read, or when the role sees more than before.
 *
 * @module
 */

import { type Head, type Layout, readHead, readValues, type Values } from "./statement_records.ts";

/** All entries as they were at one time. */
export interface Snapshot {
  /** Records by key; as many as the server's `pg_stat_statements.max` allows. */
  records: ReadonlyMap<string, string>;
  /** Those that can be reported, where that is not all of them. */
  present?: ReadonlyMap<string, string>;
  /** Entries whose `queryid` the role may not see. */
  hidden: number;
  /** When the server started, to tell it from another one behind the same pooler. */
  serverStart: string | null;
  statsReset: string | null;
  /** On the monotonic clock. */
  takenMs: number;
}

/** An entry and what it is ranked by. */
export interface Ranked {
  key: string;
  /** Execution time since the previous read; in total when there is none. */
  spentMs: number;
  totalMs: number;
}

/** Two reads of the same server, the earlier one null when there is none. */
export class Interval {
  readonly #before: Snapshot | null;
  readonly #now: Snapshot;
  readonly #layout: Layout;
  /** Of an extension without `stats_since`, which tells it of each entry. */
  readonly #wasReset: boolean;
  /** The role has been granted more: an entry that was not there may be old. */
  readonly #seesMore: boolean;
  /** The columns of a delta. */
  readonly #cumulative: readonly string[];
  /** All of them, null: a copy has its final form at once. */
  readonly #blankDelta: Record<string, number | null>;

  constructor(before: Snapshot | null, now: Snapshot, layout: Layout) {
    this.#before = before?.serverStart === now.serverStart ? before : null;
    this.#now = now;
    this.#layout = layout;
    this.#wasReset = !layout.hasStatsSince && this.#before !== null && this.#before.statsReset !== now.statsReset;
    this.#seesMore = this.#before !== null && now.hidden < this.#before.hidden;
    this.#cumulative = layout.columns.filter(({ cumulative }) => cumulative).map(({ name }) => name);
    this.#blankDelta = Object.fromEntries(this.#cumulative.map((name) => [name, null]));
  }

  /** Seconds between the two reads, or null. */
  get seconds(): number | null {
    return this.#before === null ? null : Math.round(this.#now.takenMs - this.#before.takenMs) / 1_000;
  }

  /** The first `count` entries, those with the most execution time first. */
  rank(count: number): Ranked[] {
    const best: Ranked[] = [];
    let floorMs = 0;
    for (const [key, record] of this.#now.present ?? this.#now.records) {
      if (floorMs > 0 && this.#isIdle(key, record)) continue;
      const head = readHead(record, this.#layout);
      const spentMs = this.#spentMs(key, record, head);
      if (spentMs < floorMs) continue;
      best.push({ key, spentMs, totalMs: head.totalMs });
      if (best.length < count * 2) continue;
      best.sort(byTime).length = count;
      floorMs = best[count - 1]!.spentMs;
    }
    return best.sort(byTime).slice(0, count);
  }

  /** What an entry, whose columns are `now`, did since the previous read; null when that cannot be known. */
  delta(key: string, now: Values): Record<string, number | null> | null {
    if (this.#before === null) return null;
    const record = this.#before.records.get(key);
    if (record === undefined) return this.#seesMore ? null : this.#sinceItsStart(now);
    if (this.#isIdle(key, this.#now.records.get(key)!)) return this.#difference(now, now);
    const before = readValues(record, this.#layout);
    return this.#isNew(now, before, key) ? this.#sinceItsStart(now) : this.#difference(now, before);
  }

  /** Whether the entry is as it was. */
  #isIdle(key: string, record: string): boolean {
    return !this.#wasReset && this.#before?.records.get(key) === record;
  }

  #spentMs(key: string, record: string, { totalMs, statsSince }: Head): number {
    if (this.#before === null) return totalMs;
    const other = this.#before.records.get(key);
    if (other === undefined) return this.#seesMore ? 0 : totalMs;
    if (this.#wasReset) return totalMs;
    if (other === record) return 0;
    const before = readHead(other, this.#layout);
    return before.statsSince !== statsSince || before.totalMs > totalMs ? totalMs : totalMs - before.totalMs;
  }

  #isNew(now: Values, before: Values, key: string): boolean {
    if (this.#layout.hasStatsSince) return this.#statsSince(this.#now, key) !== this.#statsSince(this.#before!, key);
    return this.#wasReset || this.#wentBack(now, before) ||
      runKinds(this.#layout).some((kind) => restarted(now, before, kind));
  }

  /** With its microseconds. */
  #statsSince({ records }: Snapshot, key: string): string {
    return readHead(records.get(key)!, this.#layout).statsSince;
  }

  #wentBack(now: Values, before: Values): boolean {
    return this.#layout.columns.some(({ name, cumulative }) => cumulative && Number(now[name]) < Number(before[name]));
  }

  #sinceItsStart(now: Values): Record<string, number | null> {
    return this.#difference(now, {});
  }

  /** Columns of times are sums of fractions: beyond a nanosecond there is only noise. */
  #difference(now: Values, before: Values): Record<string, number | null> {
    const delta = { ...this.#blankDelta };
    for (const name of this.#cumulative) {
      const [end, start] = [now[name] ?? null, before[name] ?? 0];
      const grown = end === start ? 0 : Math.round((Number(end) - Number(start)) * 1e6) / 1e6;
      // A column that goes down in an entry of the same age is none that only grows.
      delta[name] = end === null || grown < 0 ? null : grown;
    }
    return delta;
  }
}

function byTime(one: Ranked, other: Ranked): number {
  return other.spentMs - one.spentMs || other.totalMs - one.totalMs;
}

/**
 * Whether the runs between two reads cannot be those of one entry: it has been dropped and made anew in between. Where
 * counters have grown beyond what they were, the extremes still tell: they only ever widen, and the time of the runs in
 * between lies between the least and the most that as many runs can take.
 */
function restarted(now: Values, before: Values, kind: RunKind): boolean {
  const [start, end] = [runsOf(before, kind), runsOf(now, kind)];
  // Without a run the extremes are zero.
  if (start.count === 0) return false;
  if (end.min > start.min || end.max < start.max) return true;
  const count = end.count - start.count;
  if (count === 0) return end.total !== start.total || end.min !== start.min || end.max !== start.max;
  const took = end.total - start.total;
  const least = (end.max > start.max ? end.max : end.min) + (count - 1) * end.min;
  const most = (end.min < start.min ? end.min : end.max) + (count - 1) * end.max;
  // Each addition rounds.
  const tolerance = 1e-9 + end.total * (count + 10) * Number.EPSILON;
  return took < least - tolerance || took > most + tolerance;
}

/** How the columns of one kind of run are called. */
interface RunKind {
  count: string;
  time: string;
}

function runKinds({ timeColumn }: Layout): RunKind[] {
  return [{ count: "calls", time: timeColumn.slice("total_".length) }, { count: "plans", time: "plan_time" }];
}

function runsOf(values: Values, { count, time }: RunKind) {
  const read = (name: string) => Number(values[name] ?? 0);
  return { count: read(count), total: read(`total_${time}`), min: read(`min_${time}`), max: read(`max_${time}`) };
}

/**
 * Figures over time: as they were collected where there are few, and as averages of equal steps where there are more
 * than a screen can show. Where nothing was collected there is null, never a line drawn across.
 *
 * @module
 */

import type { Database } from "../database.ts";
import { figureTypes } from "../extract.ts";
import { beforeBurstType, burstType } from "../extract_burst.ts";
import * as limits from "../limits.ts";
import { type Hole, holesOf } from "../sequences.ts";

/** A time within which something is asked for, and how many points the answer may have. */
export interface Span {
  fromMs: number;
  toMs: number;
  points: number;
}

/** Columns: a time in milliseconds, and the figures of that time by name. All have one length. */
export interface Columns {
  at: number[];
  series: Record<string, (number | null)[]>;
}

/** What {@link series} answers with. */
export interface SeriesAnswer {
  fromMs: number;
  toMs: number;
  /** By the type of the documents. */
  groups: Record<typeof figureTypes[number], Columns>;
  holes: Hole[];
  /** Times in which nothing was collected and no number is missing: the agent did not run. */
  pauses: Pause[];
  /**
   * Times that were recorded between two cycles, the earliest first: their samples are among the figures, and so are the
   * counts of the half minute before each.
   */
  bursts: Pause[];
  /** The usual time between two documents, as far as is seen. */
  intervalMs: number;
}

/** From when to when. */
export interface Pause {
  fromMs: number;
  toMs: number;
}

/** Beyond so many usual intervals without a document, there is a hole. */
const holeIntervals = 2.5;
const defaultIntervalMs = 60_000;
/** The counters since boot; what is shown is what they grew by in a second. */
const counters = ["disk_read", "disk_write", "network_sent", "network_recv"];

/** Of the figures of a recording, those of locks; the others are of sessions. */
const lockFigures = ["waiting", "roots", "longest_wait_ms"];

interface Sample {
  at: number;
  figures: Record<string, number>;
  /** The first of a recording: a look long before it does not tell from when on it was so. */
  begins?: boolean;
}

/** The figures of one agent. */
export function series(database: Database, agentId: number, span: Span): SeriesAnswer {
  const { fromMs, toMs, points } = span;
  const holes = holesOf(database, agentId, { fromMs, toMs });
  let intervalMs = defaultIntervalMs;
  let pauses: Pause[] = [];
  const recorded = recordedSamples(database, agentId, span);
  const groups = Object.fromEntries(figureTypes.map((type) => {
    const samples = database.all(
      "SELECT at, figures FROM figure WHERE agent_id = ? AND type = ? AND at BETWEEN ? AND ? ORDER BY at",
      ...[agentId, type, fromMs, toMs],
    ).map((row): Sample => ({ at: Number(row.at), figures: JSON.parse(String(row.figures)) }));
    const usualMs = median(samples.slice(1).map(({ at }, index) => at - samples[index]!.at));
    if (type === "pg_stat_activity" && usualMs !== null) {
      intervalMs = usualMs;
      pauses = pausesBetween([...samples.map(({ at }) => at), toMs], { usualMs, holes });
    }
    const rated = type === "system_metrics" ? withRates(samples, usualMs ?? defaultIntervalMs) : samples;
    const all = withRecorded(type, rated, recorded);
    return [type, columnsOf(reduced(all, span, usualMs ?? defaultIntervalMs), { fromMs, toMs, points })];
  })) as SeriesAnswer["groups"];
  return { fromMs, toMs, groups, holes, pauses, bursts: spansOf(recorded), intervalMs };
}

/** A sample of a recording or a count before it, with the row of its document. */
interface Recorded extends Sample {
  n: number;
  type: string;
}

/** The samples of recordings and the counts before them, the earliest first. */
function recordedSamples(database: Database, agentId: number, { fromMs, toMs }: Span): Recorded[] {
  return database.all(
    `SELECT at, n, type, figures FROM figure WHERE agent_id = ? AND type IN (?, ?) AND at BETWEEN ? AND ?
      ORDER BY at DESC LIMIT ?`,
    ...[agentId, burstType, beforeBurstType, fromMs, toMs, limits.burstSamplesMax],
  ).map(({ at, n, type, figures }): Recorded => (
    { at: Number(at), n: Number(n), type: String(type), figures: JSON.parse(String(figures)) }
  )).reverse();
}

function spansOf(recorded: readonly Recorded[]): Pause[] {
  return [...Map.groupBy(recorded.filter(({ type }) => type === burstType), ({ n }) => n).values()]
    .map((samples) => ({ fromMs: samples[0]!.at, toMs: samples.at(-1)!.at }));
}

/** With what was recorded of sessions, or of locks. How far apart looks usually are is not for these to say. */
function withRecorded(type: string, samples: Sample[], recorded: readonly Recorded[]): Sample[] {
  if (recorded.length === 0 || (type !== "pg_stat_activity" && type !== "pg_locks")) return samples;
  const isOf = (name: string) => lockFigures.includes(name) === (type === "pg_locks");
  const begun = new Set<number>();
  const added = recorded.map(({ at, n, type: storedAs, figures }) => {
    const begins = storedAs === burstType && !begun.has(n);
    if (begins) begun.add(n);
    return { at, figures: Object.fromEntries(Object.entries(figures).filter(([name]) => isOf(name))), begins };
  });
  return [...samples, ...added].sort((a, b) => a.at - b.at);
}

/** What lies between two times that are further apart than usual, and is not explained by numbers that are missing. */
function pausesBetween(
  times: readonly number[],
  { usualMs, holes }: { usualMs: number; holes: readonly Hole[] },
): Pause[] {
  return times.slice(1).map((toMs, index) => ({ fromMs: times[index]!, toMs }))
    .filter(({ fromMs, toMs }) => toMs - fromMs > usualMs * holeIntervals)
    .filter(({ fromMs, toMs }) => !holes.some((hole) => hole.fromMs < toMs && hole.toMs > fromMs));
}

/** Samples, and how far apart they usually are. */
interface Reduced {
  samples: Sample[];
  usualMs: number;
}

/** Averages of equal steps when there are more samples than points. */
function reduced(samples: Sample[], { fromMs, toMs, points }: Span, usualMs: number): Reduced {
  if (samples.length <= points) return { samples, usualMs };
  const stepMs = Math.ceil((toMs - fromMs) / points);
  const steps = Map.groupBy(samples, ({ at }) => Math.floor(at / stepMs));
  return {
    samples: [...steps].map(([step, members]) => ({ at: step * stepMs + stepMs / 2, figures: averages(members) })),
    usualMs: Math.max(usualMs, stepMs),
  };
}

function averages(members: readonly Sample[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { figures } of members) {
    for (const [name, value] of Object.entries(figures)) sums[name] = (sums[name] ?? 0) + value;
  }
  // A wait that is absent is zero; other figures are unknown to those that lack them.
  const known = (name: string) =>
    name.startsWith("wait ") ? members.length : members.filter(({ figures }) => name in figures).length;
  return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / known(name)]));
}

function columnsOf({ samples, usualMs }: Reduced, span: Span): Columns {
  const at: number[] = [];
  const rows: (Sample | null)[] = [];
  const add = (time: number, sample: Sample | null) => {
    at.push(time);
    rows.push(sample);
  };
  let lastMs = span.fromMs;
  for (const sample of samples) {
    const apartMs = sample.begins ? limits.burstApartMs : usualMs * holeIntervals;
    if (sample.at - lastMs > apartMs) add(Math.round((lastMs + sample.at) / 2), null);
    add(sample.at, sample);
    lastMs = sample.at;
  }
  const names = [...new Set(samples.flatMap(({ figures }) => Object.keys(figures)))].sort();
  // A wait that nobody was in has no figure in its sample: that is zero, where other figures are unknown.
  const valueOf = (row: Sample | null, name: string) =>
    row === null ? null : row.figures[name] ?? (name.startsWith("wait ") ? 0 : null);
  return { at, series: Object.fromEntries(names.map((name) => [name, rows.map((row) => valueOf(row, name))])) };
}

/** Counters turned into growth by the second. Not across a hole, and not where a counter began again. */
function withRates(samples: readonly Sample[], usualMs: number): Sample[] {
  return samples.map(({ at, figures }, index) => {
    const before = samples[index - 1];
    const rated = { ...figures };
    for (const name of counters) {
      delete rated[name];
      const [now, then] = [figures[name], before?.figures[name]];
      const passedMs = at - (before?.at ?? at);
      if (now === undefined || then === undefined || now < then) continue;
      if (passedMs > 0 && passedMs <= usualMs * holeIntervals) rated[name] = (now - then) / passedMs * 1_000;
    }
    return { at, figures: rated };
  });
}

function median(values: readonly number[]): number | null {
  return values.length === 0 ? null : [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/**
 * What the bench measured, and how it stands against its budget.
 *
 * @module
 */

import { type Budget, budgets } from "./budgets.ts";

/** One figure, measured several times. */
export interface Figure {
  /** Its group and name, such as `cycle/large/server time`. */
  name: string;
  unit: string;
  /** One a run. */
  values: readonly number[];
  /** What the same was measured for beside it: one a run, in pairs with `values` where both have as many. */
  reference?: { name: string; values: readonly number[] };
}

/** A figure with what follows from it. */
export interface Judged {
  name: string;
  unit: string;
  median: number;
  least: number;
  most: number;
  reference: { name: string; median: number } | null;
  /** Of the pairs where there are any, else of the medians; to the reference. */
  ratio: number | null;
  budget: Budget | null;
  /** What is held against the budget; null without one. */
  judged: number | null;
  passes: boolean | null;
}

/** The value in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Holds a figure against its budget. */
export function judge(figure: Figure): Judged {
  const { name, unit, values, reference } = figure;
  const budget = budgets[name] ?? null;
  const ratio = reference === undefined ? null : ratioOf(values, reference.values);
  const summary = { median: median(values), least: Math.min(...values), most: Math.max(...values) };
  const judged = budget === null ? null : budget.of === "ratio" ? ratio : summary[budget.of];
  return {
    ...{ name, unit, ...summary, ratio, budget, judged },
    reference: reference === undefined ? null : { name: reference.name, median: median(reference.values) },
    passes: judged === null ? null : passes(judged, budget!),
  };
}

function ratioOf(values: readonly number[], references: readonly number[]): number {
  if (values.length !== references.length) return median(values) / median(references);
  return median(values.map((value, index) => value / references[index]!));
}

function passes(value: number, { atMost = Infinity, atLeast = -Infinity }: Budget): boolean {
  return value <= atMost && value >= atLeast;
}

/** The table as it is printed: a line a figure. */
export function formatTable(figures: readonly Judged[], before: ReadonlyMap<string, Judged>): string {
  const rows = figures.map((figure) => [
    figure.passes === null ? "" : figure.passes ? "ok" : "OVER",
    figure.name,
    `${format(figure.median)} ${figure.unit}`,
    figure.least === figure.most ? "" : `${format(figure.least)} … ${format(figure.most)}`,
    figure.ratio === null ? "" : `${format(figure.ratio)} × ${figure.reference!.name}`,
    figure.budget === null ? "" : budgetText(figure.budget),
    changeText(figure, before.get(figure.name)),
  ]);
  const head = ["", "figure", "median", "spread", "ratio to reference", "budget", before.size > 0 ? "before" : ""];
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]!.length)));
  return [head, ...rows].map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd())
    .join("\n");
}

function budgetText({ of, atMost, atLeast }: Budget): string {
  const bound = atMost === undefined ? `≥ ${atLeast}` : `≤ ${atMost}`;
  return of === "ratio" ? `${bound} ×` : of === "median" ? bound : `${of} ${bound}`;
}

/** What it was, and by how much it changed: of the ratio where there is one, because machines differ. */
function changeText(now: Judged, before: Judged | undefined): string {
  if (before === undefined) return "";
  const [is, was] = now.ratio === null || before.ratio === null
    ? [now.median, before.median]
    : [now.ratio, before.ratio];
  const percent = was === 0 ? "" : ` (${is >= was ? "+" : ""}${Math.round((is / was - 1) * 100)} %)`;
  return `${format(was)}${percent}`;
}

function format(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(digits).replace(/\.0+$/, "");
}

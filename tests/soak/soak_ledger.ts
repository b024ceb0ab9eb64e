/**
 * The soak's closing table: what became of every document, by type. The types of those that never came are the ones that
 * the agent's log told when it captured them.
 *
 * @module
 */

import type { StoredDocument } from "../support/ledger.ts";

const ends = ["delivered", "evicted", "rejected", "quarantined", "unstored", "unexplained"] as const;

/** What became of the documents of one type. */
export type Row = Record<"captured" | typeof ends[number], number>;

interface Range {
  reason: string;
  from: number;
  to: number;
  records: number;
}

/** Rows by type, and one for those that a kill kept from being logged. */
export function ledgerByType(
  documents: readonly StoredDocument[],
  { types, captured }: { types: ReadonlyMap<number, string>; captured: number },
): Map<string, Row> {
  const came = new Map(documents.map(({ sequence, type }) => [sequence, type]));
  const ranges = lastTold(documents);
  const rows = new Map<string, Row>();
  for (let sequence = 1; sequence <= captured; sequence++) {
    const type = came.get(sequence) ?? types.get(sequence) ?? "not logged";
    const row = rows.get(type) ?? emptyRow();
    rows.set(type, row);
    row.captured += 1;
    row[came.has(sequence) ? "delivered" : reasonOf(sequence, ranges)] += 1;
  }
  return rows;
}

/** Each range as the highest-numbered status told it. */
function lastTold(documents: readonly StoredDocument[]): Range[] {
  const told = new Map<string, Range & { by: number }>();
  for (const { sequence, type, data } of documents) {
    if (type !== "agent_status") continue;
    const { ranges } = (data as { loss: { ranges: Range[] } }).loss;
    for (const range of ranges) {
      const key = `${range.reason} ${range.from}`;
      if ((told.get(key)?.by ?? 0) <= sequence) told.set(key, { ...range, by: sequence });
    }
  }
  return [...told.values()];
}

/** A range explains no more numbers than it says were lost. */
function reasonOf(sequence: number, ranges: Range[]): typeof ends[number] {
  const range = ranges.find(({ from, to, records }) => from <= sequence && sequence <= to && records > 0);
  if (range === undefined) return "unexplained";
  range.records -= 1;
  const reason = range.reason === "too_large" ? "evicted" : range.reason;
  return ends.find((end) => end === reason) ?? "unexplained";
}

function emptyRow(): Row {
  return { captured: 0, delivered: 0, evicted: 0, rejected: 0, quarantined: 0, unstored: 0, unexplained: 0 };
}

/** The table as text. */
export function tableOf(rows: ReadonlyMap<string, Row>): string {
  const columns = ["captured", ...ends] as const;
  const total = emptyRow();
  for (const row of rows.values()) for (const column of columns) total[column] += row[column];
  const sorted = [...rows].sort(([one], [other]) => one < other ? -1 : 1);
  const lines = [
    ["type", ...columns],
    ...[...sorted, ["all", total] as const].map(([type, row]) => {
      return [type, ...columns.map((column) => `${row[column]}`)];
    }),
  ];
  return lines.map((cells) => cells.map((cell, index) => index === 0 ? cell.padEnd(14) : cell.padStart(12)).join(""))
    .join("\n");
}

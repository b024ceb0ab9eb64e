/**
 * The soak's closing tables: what became of every document, by whatever tells one from another.
 *
 * @module
 */

import { type StoredDocument, ToldLosses } from "../support/ledger.ts";

const ends = ["delivered", "evicted", "rejected", "quarantined", "unstored", "unexplained"] as const;

/** What became of some documents. */
export type Row = Record<"captured" | typeof ends[number], number>;

/** A row for each name that `nameOf` gives to a number. */
export function ledgerBy(
  nameOf: (sequence: number) => string,
  { documents, captured }: { documents: readonly StoredDocument[]; captured: number },
): Map<string, Row> {
  const came = new Set(documents.map(({ sequence }) => sequence));
  const losses = new ToldLosses(documents);
  const rows = new Map<string, Row>();
  for (let sequence = 1; sequence <= captured; sequence++) {
    const name = nameOf(sequence);
    const row = rows.get(name) ?? emptyRow();
    rows.set(name, row);
    row.captured += 1;
    row[came.has(sequence) ? "delivered" : losses.endOf(sequence) ?? "unexplained"] += 1;
  }
  return rows;
}

function emptyRow(): Row {
  return { captured: 0, delivered: 0, evicted: 0, rejected: 0, quarantined: 0, unstored: 0, unexplained: 0 };
}

/** The table as text, in the order of the names. */
export function tableOf(title: string, rows: ReadonlyMap<string, Row>): string {
  const columns = ["captured", ...ends] as const;
  const total = emptyRow();
  for (const row of rows.values()) for (const column of columns) total[column] += row[column];
  const sorted = [...rows].sort(([one], [other]) => one < other ? -1 : 1);
  const cells = [[title, ...columns] as string[]];
  for (const [name, row] of [...sorted, ["all", total] as const]) {
    cells.push([name, ...columns.map((column) => `${row[column]}`)]);
  }
  return cells.map(([name = "", ...figures]) => name.padEnd(40) + figures.map((one) => one.padStart(12)).join(""))
    .join("\n");
}

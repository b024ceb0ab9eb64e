/**
 * Looks a mark up in a table, as the server does it in SQL.
 *
 * @module
 */

import type { MarkTable } from "../../collectors/statement_marks.ts";

/** What the table holds for an entry of this place; below zero for nothing. */
export function lookUp({ slots, slotMask, shifts, groupMask }: MarkTable, place: number): number {
  const group = Number(BigInt(place) & BigInt(groupMask));
  const slot = Number((BigInt(place) >> 16n) & BigInt(slotMask)) ^ shifts[group]!;
  return new DataView(slots.buffer).getInt32(slot * 4);
}

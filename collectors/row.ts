/**
 * Checks of what the driver returns. A column of another type than expected is a bug or another server's truth, and
 * is said with its name instead of ending up in a document.
 *
 * @module
 */

import type { Row } from "./database.ts";

/** A text, or null. */
export function readText(row: Row, column: string): string | null {
  const value = row[column];
  if (value === null || typeof value === "string") return value;
  throw unexpected(column, "a text", value);
}

/** A finite number, or null. Of whole numbers: those within 2^53. */
export function readNumber(row: Row, column: string): number | null {
  const value = row[column];
  if (value === null || (typeof value === "number" && Number.isFinite(value))) return value;
  throw unexpected(column, "a number", value);
}

/**
 * A duration in milliseconds with three decimals, or null. Not below zero: what begins while a statement runs begins after
 * the statement's clock.
 */
export function readMs(row: Row, column: string): number | null {
  const value = readNumber(row, column);
  return value === null ? null : Math.max(0, Math.round(value * 1_000) / 1_000);
}

/** A whole number that is there. */
export function readCount(row: Row, column: string): number {
  const value = row[column];
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw unexpected(column, "a whole number", value);
}

/** True or false. */
export function readBoolean(row: Row, column: string): boolean {
  const value = row[column];
  if (typeof value === "boolean") return value;
  throw unexpected(column, "a boolean", value);
}

/** A point in time as ISO 8601 in UTC with milliseconds, or null. */
export function readTime(row: Row, column: string): string | null {
  const value = row[column];
  if (value === null) return null;
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString();
  throw unexpected(column, "a time", value);
}

function unexpected(column: string, wanted: string, value: unknown): TypeError {
  return new TypeError(`Cannot read column "${column}" because it must be ${wanted}: it is of type ${typeof value}`);
}

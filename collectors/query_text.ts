/**
 * How much of a statement's text leaves the server (`collection.query_text`).
 *
 * @module
 */

import { truncate } from "./text.ts";

/** `full`: as PostgreSQL shows it. `redacted`: without literals. `none`: not at all. */
export type QueryText = "full" | "redacted" | "none";

/**
 * What may be sent of a text: null for nothing. Literals cannot be told apart yet, so `redacted` sends no text rather
 * than one with literals in it.
 */
export function presentQuery(text: string | null, options: { mode: QueryText; charsMax: number }): string | null {
  return text === null || options.mode !== "full" ? null : truncate(text, options.charsMax);
}

/**
 * How much of the server's texts leaves it (`collection.query_text`).
 *
 * @module
 */

import { redactMessage, redactSql } from "./redact.ts";
import { truncate } from "./text.ts";

/** `full`: as PostgreSQL shows it. `redacted`: without literals. `none`: not at all. */
export type QueryText = "full" | "redacted" | "none";

/** How to present a text: `charsMax` UTF-16 units at most, the mark of a cut included. */
export interface Presentation {
  mode: QueryText;
  charsMax: number;
}

/** What may be sent of a statement: null for nothing. It is cut after its literals are gone. */
export function presentQuery(text: string | null, { mode, charsMax }: Presentation): string | null {
  if (text === null || mode === "none") return null;
  return truncate(mode === "full" ? text : redactSql(text), charsMax);
}

/**
 * What may be sent of a message, detail, hint or context of the server's log. `none` keeps it, as an error without its
 * message is of no use: its values are gone as under `redacted`, and so are the statements in it.
 */
export function presentMessage(text: string, { mode, charsMax }: Presentation): string {
  if (mode === "full") return truncate(text, charsMax);
  return truncate(redactMessage(text, { statements: mode === "none" ? "removed" : "redacted" }), charsMax);
}

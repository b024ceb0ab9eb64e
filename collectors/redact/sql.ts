/**
 * SQL texts without their literals.
 *
 * @module
 */

import { LiteralScanner, type ReadingOptions } from "./literals.ts";

/** What stands for a literal, and for what a comment says. PostgreSQL's own `$1` would read as a parameter. */
export const placeholder = "?";

/**
 * The text with every constant and the inside of every comment replaced by {@link placeholder}, and nothing else
 * changed. Never fails, whatever the text; doing it twice changes nothing (docs/redaction.md).
 */
export function redactSql(text: string): string {
  return replaceLiterals(text);
}

/** {@link redactSql} for a text about which more is known. `keeps` tells of a literal that may stay. */
export function replaceLiterals(
  text: string,
  options: ReadingOptions & { keeps?: (start: number) => boolean } = {},
): string {
  const scanner = new LiteralScanner(text, options);
  let redacted = "";
  let done = 0;
  while (scanner.next()) {
    if (options.keeps?.(scanner.start)) continue;
    redacted += text.slice(done, scanner.start) + placeholder;
    done = scanner.end;
  }
  return redacted + text.slice(done);
}

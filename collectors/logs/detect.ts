/**
 * What a log file is, found out from its first bytes: for files that no server tells about.
 *
 * @module
 */

import { CsvParser } from "./csv_parser.ts";
import { JsonParser } from "./json_parser.ts";
import type { LogFormat, LogParser, ParserOptions } from "./log_parser.ts";
import { compilePrefix, defaultPrefix } from "./prefix.ts";
import { StderrParser } from "./stderr_parser.ts";

/** Lines that are looked at. */
const linesMax = 200;
const csvLine = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [^ ,]{1,12},(?:"(?:[^"]|"")*")?,(?:"(?:[^"]|"")*")?,\d+,/;
const jsonLine = /^\{"timestamp":.*"error_severity":/;

/**
 * Prefixes in use, tried when nobody says which: PostgreSQL's, the distributions', the hosting companies', pgBadger's.
 * Of two that fit as many lines the earlier one counts.
 */
export const knownPrefixes: readonly string[] = [
  defaultPrefix,
  "%m [%p] %q%u@%d ",
  "%m [%p] %q[user=%u,db=%d,app=%a] ",
  "%m [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
  "%m [%p]: [%l-1] db=%d,user=%u,app=%a,client=%h ",
  "%m [%p]: [%l-1] user=%u,db=%d ",
  "%m [%p] %u@%d %a ",
  "%m [%p] %u@%d ",
  "%m [%c] %u@%d ",
  "%m %u@%d %a [%p] ",
  "%m-%s-%c-%l-%h-%u-%d-%m ",
  "%m [%p] %q%a ",
  "%m [%p:%l] ",
  "%m %p %l ",
  "%m ",
  "%t:%r:%u@%d:[%p]:",
  "%t:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:",
  "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
  "%t [%p]: [%l-1] db=%d,user=%u,app=%a,client=%h ",
  "%t [%p]: [%l-1] user=%u,db=%d,client=%h ",
  "%t [%p]: [%l-1] user=%u,db=%d ",
  "%t [%p]: [%l-1] ",
  "%t [%p-%l] %q%u@%d ",
  "%t [%p] %q%u@%d ",
  "%t [%p] %u@%d ",
  "%t [%p] ",
  "%t %u %d %h %p ",
  "%t-%c-",
  "%t ",
  "%n [%p] ",
  "< %m > ",
  "< %t >",
  "[%m] [%p] ",
  "[%p] %q%u@%d ",
  "%q%u@%d ",
  "",
];

/** The format of a file that begins so. What is neither csvlog nor jsonlog is stderr, an empty file too. */
export function detectFormat(beginning: Uint8Array): LogFormat {
  for (const line of linesOf(beginning)) {
    if (csvLine.test(line)) return "csvlog";
    if (jsonLine.test(line)) return "jsonlog";
  }
  return "stderr";
}

/** The prefix among the candidates that fits the most lines; null when none fits any. */
export function guessPrefix(beginning: Uint8Array, candidates: readonly string[] = knownPrefixes): string | null {
  const lines = linesOf(beginning).filter((line) => line !== "" && !line.startsWith("\t"));
  let best: { prefix: string; count: number } | null = null;
  for (const prefix of candidates) {
    const { pattern } = compilePrefix(prefix);
    const count = lines.filter((line) => {
      pattern.lastIndex = 0;
      return pattern.test(line);
    }).length;
    if (count > (best?.count ?? 0)) best = { prefix, count };
  }
  return best?.prefix ?? null;
}

/** The parser of a format. The prefix matters to stderr alone. */
export function createLogParser(format: LogFormat, options: ParserOptions & { prefix?: string } = {}): LogParser {
  if (format === "csvlog") return new CsvParser(options);
  return format === "jsonlog" ? new JsonParser(options) : new StderrParser(options);
}

function linesOf(bytes: Uint8Array): string[] {
  return new TextDecoder().decode(bytes).split("\n", linesMax);
}

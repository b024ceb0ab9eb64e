/**
 * What a log file is, found out from its first bytes: for files that no server tells about.
 *
 * @module
 */

import { CsvParser } from "./csv_parser.ts";
import { JsonParser } from "./json_parser.ts";
import type { LogFormat, LogParser, ParserOptions } from "./log_parser.ts";
import { compilePrefix, defaultPrefix, unknownPart } from "./prefix.ts";
import { StderrParser } from "./stderr_parser.ts";

/** Lines that are looked at. */
const linesMax = 200;
const csvLine = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} [^ ,]{1,12},(?:"(?:[^"]|"")*")?,(?:"(?:[^"]|"")*")?,\d+,/;
const jsonLine = /^\{"timestamp":.*"error_severity":/;

/**
 * Prefixes in use: PostgreSQL's own, the distributions', the hosting companies', those that tools ask for. Of two that
 * fit as many lines the earlier one counts.
 */
export const knownPrefixes: readonly string[] = [
  defaultPrefix,
  // Debian, Ubuntu; before PostgreSQL 10 and with a host.
  "%m [%p] %q%u@%d ",
  "%t [%p-%l] %q%u@%d ",
  "%t [%p] %q%u@%d ",
  "%t [%p] %q%u@%d %h ",
  "%h %m [%p] %q%u@%d ",
  "%m [%p] %q%u@%d %a ",
  "%m [%p] %u@%d %a ",
  "%m [%p] %u@%d ",
  "%m [%p] %q%u@%d/%a ",
  "%m [%c] %u@%d ",
  "%m %u@%d %a [%p] ",
  // What pganalyze and Aiven ask for.
  "%m [%p] %q[user=%u,db=%d,app=%a] ",
  "%m [%p] %q[user=%u,db=%d,app=%a,host=%h] ",
  "%m [%p][%b][%v][%x] %q[user=%u,db=%d,app=%a] ",
  "%m [%p][%v] : [%l-1] %q[app=%a] ",
  "pid=%p,user=%u,db=%d,app=%a,client=%h ",
  "user=%u,db=%d,app=%a,client=%h ",
  // pgBadger's, for stderr; with and without parts.
  "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
  "%m [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
  "%t [%p]: user=%u,db=%d,app=%a,client=%h ",
  "%m [%p]: user=%u,db=%d,app=%a,client=%h ",
  "%t [%p]: db=%d,user=%u,app=%a,client=%h ",
  "%t [%p]: [%l-1] db=%d,user=%u,app=%a,client=%h ",
  "%m [%p]: [%l-1] db=%d,user=%u,app=%a,client=%h ",
  "%t [%p]: [%l-1] user=%u,db=%d,client=%h ",
  "%t [%p]: [%l-1] user=%u,db=%d ",
  "%m [%p]: [%l-1] user=%u,db=%d ",
  "%t [%p]: [%l-1] user=%u,db=%d - PG-%e ",
  "%t [%p]: [%l-1] [trx_id=%x] user=%u,db=%d ",
  "[%p]: [%l-1] db=%d,user=%u ",
  "%t [%p]: [%l-1] ",
  "%t [%p]: ",
  // Google Cloud SQL; Amazon RDS; Azure; Heroku; Zalando's operator.
  "%m [%p]: [%l-1] db=%d,user=%u ",
  "%t:%r:%u@%d:[%p]:",
  "%m:%r:%u@%d:[%p]:",
  "%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:",
  "%t:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:",
  "%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a",
  "%t-%c-",
  " sql_error_code = %e ",
  "%t [%p]: [%l-1] %c %x %d %u %a %h ",
  // What Datadog asks for.
  "%m [%p] %d %a %u %h %c ",
  "%p-%s-%c-%l-%h-%u-%d-%m ",
  "%m-%s-%c-%l-%h-%u-%d-%m ",
  "%m %r %u %a [%c] [%p] ",
  "%m [%p:%l] ",
  "%t [%p] ",
  "%n [%p] ",
  "[%m] [%p] ",
  "%m ",
  "%t ",
  // Red Hat, before PostgreSQL 10; NixOS; the example of PostgreSQL's own file.
  "< %m > ",
  "< %m >",
  "< %t >",
  "[%p] ",
  "[%p] %q%u@%d ",
  "<%u%%%d> ",
  "",
];

/** What is understood of any other prefix; whatever fits one of the above also fits one of these. */
const partialPrefixes: readonly string[] = [
  `%m [%p]${unknownPart}`,
  `%t [%p]${unknownPart}`,
  `%n [%p]${unknownPart}`,
  `[%p]${unknownPart}`,
  `%m${unknownPart}`,
  `%t${unknownPart}`,
  `%n${unknownPart}`,
  unknownPart,
];
/** A prefix that fits fewer of the lines than this is not the one that they were written under. */
const fittingShareMin = 0.9;

/** A prefix of so many escapes is not taken for another one. */
const distinctEscapesMin = 6;

/** Users and databases as a guess takes them, without what stands between the parts of a prefix. */
const plainName = String.raw`(?:\[unknown\]|[^\s,:@=/\[\]]{0,64}?)`;
/** An application behind `app=`, without the next such part. */
const labelledName = String.raw`(?:(?!,\w+=)[^\n]){0,64}?`;
const anyName = String.raw`[^\n]{0,64}?`;
/** Shows that a name is an application's, where a prefix does not say so. */
const programName = String
  .raw`(?:bitville-[0-9A-Fa-f-]{36}(?: - [\d.:a-f]+)?|psql|pgbench|pg_dump|pg_basebackup|walreceiver|PostgreSQL JDBC Driver)`;

/** The format of a file that begins so. What is neither csvlog nor jsonlog is stderr, an empty file too. */
export function detectFormat(beginning: Uint8Array): LogFormat {
  for (const line of linesOf(beginning)) {
    if (csvLine.test(line)) return "csvlog";
    if (jsonLine.test(line)) return "jsonlog";
  }
  return "stderr";
}

/** The prefix among the candidates that fits the most lines, as they are; null when none fits any. */
export function fittingPrefix(beginning: Uint8Array, candidates: readonly string[]): string | null {
  return bestOf(candidates, prefixedLines(beginning), (prefix) => compilePrefix(prefix).pattern).prefix;
}

/**
 * The prefix that a file's lines have, found out from them alone: one in use, if it fits nearly all of them and its
 * names look like what they are to be; else what can be told of it with {@link unknownPart} for the rest, so that a
 * guess has fewer fields, not wrong ones. Null when there is no line of a server.
 */
export function guessPrefix(beginning: Uint8Array): string | null {
  const lines = prefixedLines(beginning);
  const known = bestOf(knownPrefixes.filter((prefix) => isShown(prefix, lines)), lines, (prefix) => {
    return guessPattern(prefix, anyName);
  });
  const partial = bestOf(partialPrefixes, lines, (prefix) => compilePrefix(prefix).shortest);
  return known.count > 0 && known.count >= partial.count * fittingShareMin ? known.prefix : partial.prefix;
}

/** Whether a line shows that `%a` is one, unless the prefix says so itself. */
function isShown(prefix: string, lines: readonly string[]): boolean {
  if (!/[^=]%a/.test(prefix) || prefix.split(/%(?!q)/).length - 1 >= distinctEscapesMin) return true;
  const pattern = guessPattern(prefix, programName);
  return lines.some((line) => {
    pattern.lastIndex = 0;
    return pattern.test(line);
  });
}

interface Fitting {
  prefix: string | null;
  count: number;
}

function bestOf(candidates: readonly string[], lines: readonly string[], pattern: (prefix: string) => RegExp): Fitting {
  let best: Fitting = { prefix: null, count: 0 };
  for (const prefix of candidates) {
    const compiled = pattern(prefix);
    const count = lines.filter((line) => {
      compiled.lastIndex = 0;
      return compiled.test(line);
    }).length;
    if (count > best.count) best = { prefix, count };
  }
  return best;
}

/** Of a prefix in use, with names as a guess takes them. */
function guessPattern(prefix: string, applicationName: string): RegExp {
  const names = [...prefix.matchAll(/(=?)%-?\d*([aud])/g)];
  return compilePrefix(prefix).withPatterns(names.map(([, label, letter]) => {
    if (letter !== "a") return plainName;
    return label === "" ? applicationName : labelledName;
  }));
}

function prefixedLines(beginning: Uint8Array): string[] {
  return linesOf(beginning).filter((line) => line !== "" && !line.startsWith("\t"));
}

/** The parser of a format. The prefix matters to stderr alone. */
export function createLogParser(format: LogFormat, options: ParserOptions & { prefix?: string } = {}): LogParser {
  if (format === "csvlog") return new CsvParser(options);
  return format === "jsonlog" ? new JsonParser(options) : new StderrParser(options);
}

function linesOf(bytes: Uint8Array): string[] {
  return new TextDecoder().decode(bytes).split("\n", linesMax);
}

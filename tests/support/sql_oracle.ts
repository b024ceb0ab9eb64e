/**
 * What PostgreSQL's own lexer (libpg-query, PostgreSQL 18) says of a text, and statements to ask it about.
 *
 * @module
 */

import fc from "fast-check";
import { loadModule, scanSync } from "libpg-query";

await loadModule();

/** A constant, or the inside of a comment: UTF-16 units. */
export interface Range {
  start: number;
  end: number;
  isComment: boolean;
}

// FCONST, SCONST, USCONST, BCONST, XCONST, ICONST of PostgreSQL 18's grammar; then its comments.
const constants = [260, 261, 262, 263, 264, 266];
const lineComment = 275;
const blockComment = 276;

/** What the lexer found. */
export interface Reading {
  literals: Range[];
  /** A plain string has a backslash before a quote, where sessions with other settings read on. */
  isDoubtful: boolean;
}

/** Where the literals of a text are; null for one that the lexer refuses, or reads otherwise than in a server. */
export function readLiterals(text: string): Reading | null {
  const tokens = scan(text);
  if (tokens === null) return null;
  const unitAt = unitCounter(text);
  const literals: Range[] = [];
  let isDoubtful = false;
  for (const [index, { tokenType, ...bytes }] of tokens.entries()) {
    const start = unitAt(bytes.start);
    const end = unitAt(bytes.end);
    const margin = tokenType === lineComment ? [2, 0] : tokenType === blockComment ? [2, 2] : [0, 0];
    if (constants.includes(tokenType)) isDoubtful ||= /^(?:'|u&)[^]*\\'/i.test(text.slice(start, end));
    else if (margin[0] === 0) continue;
    // To the lexer, N'…' is the keyword NCHAR and a string.
    const before = tokens[index - 1];
    const isNational = text[start] === "'" && before?.text.toLowerCase() === "n" && before.end === bytes.start;
    const range = {
      start: start + margin[0]! - (isNational ? 1 : 0),
      end: end - margin[1]!,
      isComment: margin[0] !== 0,
    };
    if (range.end > range.start) literals.push(range);
  }
  const joined = joinContinued(text, literals);
  return joined && { literals: joined, isDoubtful };
}

/** UTF-16 units for ever larger offsets in bytes. */
function unitCounter(text: string): (offset: number) => number {
  const bytes = new TextEncoder().encode(text);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let [byte, unit] = [0, 0];
  return (offset) => {
    unit += decoder.decode(bytes.subarray(byte, offset)).length;
    byte = offset;
    return unit;
  };
}

/** As libpg-query reports comments, it takes a string that goes on behind one for two; PostgreSQL takes it for one. */
function joinContinued(text: string, literals: readonly Range[]): Range[] | null {
  const joined: Range[] = [];
  let string = -1;
  for (const range of literals) {
    const before = joined[string];
    const between = before === undefined ? "" : text.slice(before.end, range.start);
    if (
      !range.isComment && text[range.start] === "'" &&
      /^(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:\s|--[^\n\r]*[\n\r])*$/.test(between)
    ) {
      // A piece that is read by rules of its own, which libpg-query could not know.
      if (/[bxe]/i.test(text[before!.start]!) && between.includes("--")) return null;
      joined.length = string;
      joined.push({ ...before!, end: range.end });
      continue;
    }
    joined.push(range);
    if (!range.isComment && text[range.end - 1] === "'") string = joined.length - 1;
  }
  return joined;
}

function scan(text: string) {
  try {
    return scanSync(text).tokens;
  } catch {
    return null;
  }
}

/** The text with a placeholder for each range. */
export function replaceRanges(text: string, ranges: readonly Range[]): string {
  let [replaced, done] = ["", 0];
  for (const { start, end } of ranges) {
    replaced += text.slice(done, start) + "?";
    done = end;
  }
  return replaced + text.slice(done);
}

const inside = fc.array(
  fc.oneof(
    fc.constantFrom(
      "secret",
      "42",
      "é😀",
      " ",
      "\n",
      "--",
      "/*",
      "*/",
      '"',
      "$",
      "$$",
      "$1",
      ";",
      "\\",
      "\\n",
      "''",
      "?",
      "(",
      "E",
    ),
    fc.string({ unit: "grapheme", maxLength: 4 }).filter((text) => !text.includes("\0")),
  ),
  { maxLength: 6 },
).map((parts) => parts.join(""));

const quoted = inside.map((text) => `'${text.replaceAll("'", "''").replace(/\\+$/, "")}'`);
const escaped = fc.tuple(inside, fc.constantFrom("", "\\'", "\\\\", "\\'x", "\\x41", "\\u00e9", "\\101")).map((
  [text, end],
) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}${end}'`);
const continued = fc.tuple(quoted, fc.constantFrom("\n", " \n\t", " -- it's\n  ", "\r\n"), quoted).map((parts) =>
  parts.join("")
);
const dollarQuoted = fc.tuple(fc.constantFrom("", "a", "_tag1", "é", "body"), inside).map(([tag, text]) =>
  `$${tag}$${text.replaceAll(`$${tag}$`, "").replace(/\$\w*$/, "")}$${tag}$`
);
const number = fc.oneof(
  fc.nat().map(String),
  fc.constantFrom(
    "1_000",
    "0x1F",
    "0XdeadBEEF",
    "0o17",
    "0b1_0",
    "1.5",
    ".5",
    "1.",
    "1.e5",
    "1e10",
    "1.5E-3",
    "2e+7",
    "1..10",
    "007",
  ),
);
const comment = fc.oneof(
  inside.map((text) => `/*${text.replaceAll("/*", "").replaceAll("*/", "")} */`),
  fc.tuple(inside, inside).map((texts) => texts.map((text) => text.replace(/[*/]/g, "")).join(" /* nested */ ")).map((
    text,
  ) => `/*${text}*/`),
  inside.map((text) => `--${text.replace(/[\n\r]/g, " ")}\n`),
  fc.constantFrom("/**/", "/***/", "--\n", "/*/ */", "/* user='bob' */"),
);
const literal = fc.oneof(
  quoted,
  fc.tuple(fc.constantFrom("E", "e"), escaped).map((parts) => parts.join("")),
  fc.tuple(fc.constantFrom("E'a\\'b'\n", "e''\n"), escaped).map((parts) => parts.join("")),
  fc.tuple(fc.constantFrom("U&", "u&", "N", "n"), quoted).map((parts) => parts.join("")),
  fc.constantFrom("B'0101'", "b''", "X'1F'", "x'zz'", "U&'d\\0061t\\+000061' UESCAPE '!'"),
  continued,
  dollarQuoted,
  number,
);
const word = fc.constantFrom(
  ..."SELECT FROM WHERE INSERT INTO VALUES UPDATE SET e E b n u x t1 a$b$c _x été interval date varchar LIKE escape"
    .split(" "),
  ...['"quoted"', '"it\'s 5"', 'U&"d\\0061ta"', '"a""b"', "$1", "$2::int", "public.t", "a1e5", "ident$1$"],
);
const symbol = fc.constantFrom(
  ..."( ) [ ] , ; . .. : :: := = <> >= -> ->> #> @> <@ ? ?| ?& && || ~* !~ - + * / % ^ & | @ <-> => -|- *= ".split(" "),
);
const blank = fc.constantFrom("", "", " ", " ", "\n", "\t", "\r\n", "  ");

/** Statements in form only: words, symbols, literals and comments, with and without blanks between. */
export const statements: fc.Arbitrary<string> = fc.array(
  fc.tuple(
    fc.oneof({ weight: 4, arbitrary: word }, { weight: 3, arbitrary: symbol }, { weight: 4, arbitrary: literal }, {
      weight: 1,
      arbitrary: comment,
    }),
    blank,
  ),
  { minLength: 1, maxLength: 14 },
).map((parts) => parts.flat().join(""));

/**
 * `log_line_prefix` as a pattern. A line is read by the shape of its whole prefix, never by searching for a severity:
 * names are chosen by whoever connects and may hold `] LOG:  `.
 *
 * Where a name can be read in several ways, because ` LOG:  ` or the like stands in it or at the beginning of the message,
 * the longest name counts at first, so that a name never becomes a message. What else is known of the session then tells
 * whether it was the message: `withNames`.
 *
 * @module
 */

import { labelWords, severityWords } from "./languages.ts";

/** PostgreSQL's own default. */
export const defaultPrefix = "%m [%p] ";

/** What can be taken from a prefix. */
const prefixFields = [
  "application_name",
  "user",
  "database",
  "backend_type",
  "pid",
  "stamp",
  "epoch",
  "sqlstate",
  "session_id",
  "session_line",
  "query_id",
] as const;
/** One of them. */
export type PrefixField = (typeof prefixFields)[number];

/** A compiled prefix. */
export interface Prefix {
  readonly text: string;
  /** Sticky; matches from the line's first character to behind the severity or the label. */
  readonly pattern: RegExp;
  /**
   * The same with the shortest names, and no blanks in those of the catalogue: faster, and enough for a line that can be
   * read in one way only.
   */
  readonly shortest: RegExp;
  /** The longest names end at most so many characters behind the shortest. */
  readonly namesCharsMax: number;
  /** Whether a part of it is not understood ({@link unknownPart}). */
  readonly isPartial: boolean;
  /** Groups of each field; 0 for one that the prefix does not have. */
  readonly groups: Readonly<Record<PrefixField, number>>;
  /** Groups that hold names. */
  readonly names: readonly number[];
  /** Whether names stand between blanks that fill them up. */
  readonly isPadded: boolean;
  /** Whether a session can change a name while it lasts. */
  readonly hasApplication: boolean;
  /** The same pattern for these names alone, in the order of `names`. */
  withNames(names: readonly string[]): RegExp;
  /** The same pattern for names of these patterns, which have no groups, in the order of `names`. */
  withPatterns(patterns: readonly string[]): RegExp;
  readonly severityGroup: number;
  readonly labelGroup: number;
}

/** A name has 63 bytes; one that is longer is none. */
const nameCharsMax = 64;
/** What is not understood of a prefix may be several names and what stands between them. */
const unknownCharsMax = 160;
const stamp = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`;
const zone = String.raw`[A-Za-z]{1,10}|[+-]\d\d(?::?\d\d){0,2}`;
const knownBackends = [
  "client backend",
  "parallel worker",
  "autovacuum launcher",
  "autovacuum worker",
  "background writer",
  "checkpointer",
  "walwriter",
  "walsender",
  "walreceiver",
  "walsummarizer",
  "startup",
  "archiver",
  "logger",
  "io worker",
  "slotsync worker",
  "standalone backend",
  "not initialized",
  "postmaster",
  "logical replication launcher",
  "logical replication parallel worker",
  "logical replication tablesync worker",
  "logical replication apply worker",
  "logical replication worker",
].join("|");

/** Stands where the pattern of a name comes: no prefix can hold it. */
const namePlace = "\0";

/** What an escape prints: fields in groups, and the pattern, with {@link namePlace} for that of a name. */
interface Escape {
  fields: readonly PrefixField[];
  pattern: string;
  isName?: boolean;
}

function name(field: PrefixField): Escape {
  return { fields: [field], pattern: `(${namePlace})`, isName: true };
}

/** Of PostgreSQL 12 to 18 (`log_status_format` of elog.c). Others print nothing there, and so they do here. */
const escapes: Readonly<Record<string, Escape>> = {
  a: name("application_name"),
  u: name("user"),
  d: name("database"),
  b: { fields: ["backend_type"], pattern: `(${knownBackends}|[^\\n]{0,95}?)` },
  p: { fields: ["pid"], pattern: String.raw`(\d+)` },
  P: { fields: [], pattern: String.raw`\d*` },
  t: { fields: ["stamp"], pattern: `(${stamp} (?:${zone}))` },
  m: { fields: ["stamp"], pattern: `(${stamp}\\.\\d{3} (?:${zone}))` },
  n: { fields: ["epoch"], pattern: String.raw`(\d+\.\d{3})` },
  s: { fields: [], pattern: `${stamp} (?:${zone})` },
  // With log_hostname a name that whoever owns the address has chosen.
  r: { fields: [], pattern: String.raw`(?:[^\s(]{0,255}(?:\(\d{1,5}\))?)` },
  h: { fields: [], pattern: String.raw`[^\s(]{0,255}` },
  L: { fields: [], pattern: String.raw`[^\s(]{0,255}` },
  i: { fields: [], pattern: String.raw`[^\n]{0,95}?` },
  e: { fields: ["sqlstate"], pattern: "([0-9A-Z]{5})" },
  c: { fields: ["session_id"], pattern: String.raw`([0-9a-f]+\.[0-9a-f]+)` },
  l: { fields: ["session_line"], pattern: String.raw`(\d+)` },
  v: { fields: [], pattern: String.raw`(?:-?\d+\/\d+)?` },
  x: { fields: [], pattern: String.raw`\d+` },
  Q: { fields: ["query_id"], pattern: String.raw`(-?\d+)` },
  "%": { fields: [], pattern: "%" },
  "…": { fields: [], pattern: `(${namePlace})`, isName: true },
};

const ending = `(?:(${severityWords.map(escapeText).join("|")}):  |(${
  labelWords.map(escapeText).join("|")
}) ?:(?: {2}| ?))`;

/**
 * Stands in a guessed prefix for what is not understood: it is read over as a name would be, and gives no field. No
 * escape of PostgreSQL's.
 */
export const unknownPart = "%…";

/** Compiles a `log_line_prefix`. Any text is one: what PostgreSQL does not know prints nothing. */
export function compilePrefix(text: string): Prefix {
  const source: string[] = [];
  const groups = Object.fromEntries(prefixFields.map((field) => [field, 0])) as Record<PrefixField, number>;
  const names: number[] = [];
  const lengths: number[] = [];
  let group = 0;
  let optional = "";
  for (const [part, padding, letter] of text.matchAll(/%(-?\d*)([^\d-]|$)|[^%]+/g)) {
    if (letter === undefined) source.push(escapeText(part));
    else if (letter === "q") {
      source.push("(?:");
      optional += ")?";
    } else if (Object.hasOwn(escapes, letter)) {
      const { fields, pattern, isName = false } = escapes[letter]!;
      if (isName || fields.length > 0) group++;
      // Of a field that comes twice the last one counts.
      for (const field of fields) groups[field] = group;
      if (isName) {
        names.push(group);
        lengths.push(fields.length > 0 ? nameCharsMax : unknownCharsMax);
      }
      source.push(padded(pattern, padding!));
    }
  }
  const shape = source.join("") + optional;
  const isChosen = (index: number) => names[index] === groups.application_name || lengths[index] === unknownCharsMax;
  const hasApplication = names.some((_, index) => isChosen(index));
  const longest = (index: number) => `[^\\n]{0,${lengths[index]}}`;
  const shortest = (index: number) => `${longest(index)}?`;
  const plain = (index: number) => `\\S{0,${lengths[index]}}?`;
  const compile = (nameOf: (index: number) => string) => {
    let index = 0;
    return new RegExp(`${shape.replaceAll(namePlace, () => nameOf(index++))}${ending}`, "y");
  };
  return {
    text,
    // The longest application, which anybody can choose; names of the catalogue then only as long as they must be.
    pattern: compile((index) => isChosen(index) || !hasApplication ? longest(index) : shortest(index)),
    shortest: compile((index) => isChosen(index) ? shortest(index) : plain(index)),
    namesCharsMax: lengths.reduce((sum, chars) => sum + chars, 0),
    withNames: (values) => compile((index) => escapeText(values[index] ?? "")),
    withPatterns: (patterns) => compile((index) => patterns[index]!),
    isPartial: lengths.includes(unknownCharsMax),
    hasApplication,
    groups,
    names,
    isPadded: /%-?\d+[auhd]/.test(text),
    severityGroup: group + 1,
    labelGroup: group + 2,
  };
}

/** A width sets the value between blanks, on the left or, when negative, on the right. */
function padded(pattern: string, padding: string): string {
  if (padding === "" || padding === "-") return pattern;
  return padding.startsWith("-") ? `${pattern} *` : ` *${pattern}`;
}

function escapeText(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}

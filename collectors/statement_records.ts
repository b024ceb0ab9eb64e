/**
 * Rows of `pg_stat_statements` as the text of a composite value, `(10,5,t,8528720474048065542,0.04,…)`: one string an
 * entry costs the driver and this process a tenth of what fifty columns do. Of most entries only the beginning is read.
 *
 * @module
 */

/** What a column's text means: a time is in seconds since 1970. */
export type ColumnKind = "number" | "boolean" | "time" | "text";

/** A column of the extension. */
export interface Column {
  name: string;
  kind: ColumnKind;
  /** Whether it only grows while the entry lives, so that a difference means something. */
  cumulative: boolean;
}

/** How a record is laid out: first the key, then the execution time, then `stats_since`, then the rest. */
export interface Layout {
  columns: readonly Column[];
  /** How many columns the key has; `queryid` is the last of them. */
  keyColumns: number;
  /** The column with the execution time: `total_exec_time`, or `total_time` in version 12. */
  timeColumn: string;
  hasStatsSince: boolean;
}

/** An entry's columns by name. */
export type Values = Record<string, string | number | boolean | null>;

/** What is read of every entry. */
export interface Head {
  /** `userid,dbid,toplevel,queryid`, where the extension has toplevel. */
  key: string;
  totalMs: number;
  /** As text, to compare; empty where the extension does not have it. */
  statsSince: string;
}

/**
 * Entries whose keys do not differ, because an old version of the extension does not show `toplevel`, are one: their
 * records stand in one string with this between.
 */
const recordSeparator = "\n";

/** Adds an entry to those that are known, as one with another of the same key. */
export function addRecord(records: Map<string, string>, key: string, record: string): void {
  const other = records.get(key);
  records.set(key, other === undefined ? record : other + recordSeparator + record);
}

/** Reads the beginning of a record. Its fields hold neither commas nor quotes. */
export function readHead(record: string, layout: Layout): Head {
  let keyEnd = 0;
  for (let column = 0; column < layout.keyColumns; column++) keyEnd = record.indexOf(",", keyEnd + 1);
  const timeEnd = record.indexOf(",", keyEnd + 1);
  const head = {
    key: record.slice(1, keyEnd),
    totalMs: Number(record.slice(keyEnd + 1, timeEnd)),
    statsSince: layout.hasStatsSince ? record.slice(timeEnd + 1, record.indexOf(",", timeEnd + 1)) : "",
  };
  const further = record.indexOf(recordSeparator, timeEnd);
  if (further !== -1) head.totalMs += readHead(record.slice(further + 1), layout).totalMs;
  return head;
}

/** The part of a key that a text belongs to: nested or not, a statement's text is the same. */
export function textKeyOf(key: string): string {
  return key.replace(/,[tf],/, ",");
}

/** Reads all columns. */
export function readValues(record: string, layout: Layout): Values {
  if (!record.includes(recordSeparator)) return readOne(record, layout);
  const [first = {}, ...others] = record.split(recordSeparator).map((one) => readOne(one, layout));
  return others.reduce((sum, values) => combine(sum, values, layout), first);
}

/** The fields of a composite value's text; null where there is nothing between two commas. */
export function parseRecord(record: string): (string | null)[] {
  if (!record.startsWith("(") || !record.endsWith(")")) {
    throw new TypeError("Cannot read a record because it must stand in parentheses");
  }
  // Most records have no field in quotes.
  if (!record.includes('"')) return record.slice(1, -1).split(",").map((field) => field === "" ? null : field);
  const fields: (string | null)[] = [];
  const pattern = /("(?:[^"\\]|""|\\[^])*")?([,)])|([^",()\\]*)([,)])/y;
  pattern.lastIndex = 1;
  while (pattern.lastIndex < record.length) {
    const match = pattern.exec(record);
    if (match === null) throw new TypeError("Cannot read a record because its quotes do not match");
    fields.push(match[1] !== undefined ? unquote(match[1]) : match[3] || null);
  }
  return fields;
}

/** Seconds since 1970 as ISO 8601 in UTC with milliseconds; null for infinity and for nothing. */
export function isoTime(seconds: string | null): string | null {
  const microseconds = Math.round(Number(seconds ?? Number.NaN) * 1_000_000);
  return Number.isFinite(microseconds) ? new Date(Math.floor(microseconds / 1_000)).toISOString() : null;
}

function unquote(field: string): string {
  return field.slice(1, -1).replace(/""|\\([^])/g, (_, escaped?: string) => escaped ?? '"');
}

function readOne(record: string, layout: Layout): Values {
  const { columns } = layout;
  // Most records have no field in quotes, and then what is empty is null.
  const isPlain = !record.includes('"');
  const fields = isPlain ? record.slice(1, -1).split(",") : parseRecord(record);
  if (fields.length !== columns.length) {
    throw new TypeError(`Cannot read an entry because it must have ${columns.length} columns: it has ${fields.length}`);
  }
  const values = { ...blankOf(layout) };
  for (let index = 0; index < fields.length; index++) {
    const { name, kind } = columns[index]!;
    const field = fields[index]!;
    values[name] = readField(isPlain && field === "" ? null : field, kind);
    // A second time equal to the first is left out on the server.
    if (kind === "time") values[name] ??= values.stats_since ?? null;
  }
  return values;
}

/** All columns, null: a copy has its final form at once, where one that grows column by column is moved again and again. */
function blankOf(layout: Layout): Values {
  let blank = blanks.get(layout);
  if (blank === undefined) {
    blank = Object.fromEntries(layout.columns.map(({ name }) => [name, null]));
    blanks.set(layout, blank);
  }
  return blank;
}

const blanks = new WeakMap<Layout, Values>();

function readField(field: string | null, kind: ColumnKind): string | number | boolean | null {
  if (kind === "text") return field;
  if (kind === "boolean") return field === null ? null : field === "t";
  if (kind === "time") return isoTime(field);
  // The server leaves zeros out.
  const number = Number(field ?? 0);
  return Number.isFinite(number) ? number : null;
}

/** Two entries as one: what only grows is added up, extremes stay extremes, and the rest cannot be told. */
function combine(one: Values, other: Values, layout: Layout): Values {
  const values: Values = { ...one };
  for (const { name, cumulative } of layout.columns.slice(layout.keyColumns)) {
    const [left, right] = [Number(one[name]), Number(other[name])];
    if (cumulative) values[name] = left + right;
    else if (name.startsWith("min_")) values[name] = Math.min(left, right);
    else if (name.startsWith("max_")) values[name] = Math.max(left, right);
    else values[name] = null;
  }
  return values;
}

/**
 * Where the extension pg_stat_statements is installed, and what it has: looked up, never concluded from the server's
 * version, because after an upgrade the extension stays as old as it was.
 *
 * @module
 */

import type { Row } from "./database.ts";
import { readBoolean, readText } from "./row.ts";
import type { Column, ColumnKind, Layout } from "./statement_records.ts";

/** The function's columns, whatever the schema; it is the extension's own by pg_depend, not by its name. */
export const extensionSql = `/* bitville-monitor: pg_stat_statements extension */
select pg_catalog.current_database()::text as database,
  to_regrole(quote_ident(current_user))::oid::text as role, current_setting('is_superuser') = 'on' as superuser,
  exists (select from pg_catalog.pg_settings where name = 'pg_stat_statements.max') as loaded,
  available.default_version::text as available_version, extension.extversion::text as version,
  counters.schema, counters.columns,
  exists (
    select from pg_catalog.pg_depend join pg_catalog.pg_proc on pg_proc.oid = objid
    where classid = 'pg_catalog.pg_proc'::regclass and refclassid = 'pg_catalog.pg_extension'::regclass
      and refobjid = extension.oid and proname = 'pg_stat_statements_info'
  ) as has_info
from (values (1)) as one
left join pg_catalog.pg_available_extensions as available on available.name = 'pg_stat_statements'
left join pg_catalog.pg_extension as extension on extension.extname = 'pg_stat_statements'
left join lateral (
  select nspname::text as schema, (
    select json_agg(json_build_array(proargnames[position], format_type(proallargtypes[position], null)) order by position)
    from generate_subscripts(proargmodes, 1) as position where proargmodes[position] = 'o'
  ) as columns
  from pg_catalog.pg_depend
  join pg_catalog.pg_proc on pg_proc.oid = objid
  join pg_catalog.pg_namespace on pg_namespace.oid = pronamespace
  where classid = 'pg_catalog.pg_proc'::regclass and refclassid = 'pg_catalog.pg_extension'::regclass
    and refobjid = extension.oid and proname = 'pg_stat_statements' and pronargs = 1
) as counters on true`;

/** The texts of some entries. The server reads all texts for it, so it is asked rarely. */
function textsSql(schema: string): string {
  return `/* bitville-monitor: pg_stat_statements texts */
select concat_ws(',', s.userid, s.dbid, s.queryid) as key, left(s.query, $4) as query
from ${schema}.pg_stat_statements(true) as s
where (s.userid, s.dbid, s.queryid) in (select * from unnest($1::oid[], $2::oid[], $3::bigint[]))
  and s.query is not null`;
}

/** The extension as it is installed. */
export interface Extension {
  /** Quoted where it has to be. */
  schema: string;
  version: string;
  /** A newer version that the server's files have, or null. */
  availableVersion: string | null;
  layout: Layout;
  hasInfo: boolean;
  /** Whether entries can share a key: those of top-level and of nested runs, where an old version does not tell. */
  sharesKeys: boolean;
  /** The agent's own role: its oid, and whether others share it. */
  role: string;
  superuser: boolean;
  textsSql: string;
}

/** Why there is nothing to read, and what to do about it. */
export interface Missing {
  reason: string;
  hint: string;
}

/** What {@link readFinding} makes of it. */
export type Finding = { kind: "found"; extension: Extension } | { kind: "missing"; missing: Missing };

/** Makes sense of the answer to {@link extensionSql}. */
export function readFinding(row: Row | undefined): Finding {
  if (row === undefined) throw new TypeError("Cannot look for an extension because the server returned no row");
  const [version, schema] = [readText(row, "version"), readText(row, "schema")];
  if (version === null) return { kind: "missing", missing: notInstalled(row) };
  const columns = schema === null || !Array.isArray(row.columns) ? null : layOut(row.columns);
  if (columns === null) {
    return {
      kind: "missing",
      missing: { reason: `Version ${version} of the extension is too old`, hint: updateHint(row) },
    };
  }
  const availableVersion = readText(row, "available_version");
  const isOld = availableVersion !== null && isOlder(version, availableVersion);
  const extension = {
    schema: quoteIdentifier(schema!),
    version,
    availableVersion: isOld ? availableVersion : null,
    layout: columns,
    hasInfo: readBoolean(row, "has_info"),
    sharesKeys: isOld && !columns.columns.some(({ name }) => name === "toplevel"),
    role: readText(row, "role") ?? "0",
    superuser: readBoolean(row, "superuser"),
  };
  return {
    kind: "found",
    extension: { ...extension, textsSql: textsSql(extension.schema) },
  };
}

/** What the server says when its library has not been loaded at its start (SQLSTATE 55000). */
export const notLoaded: Missing = {
  reason: "The extension is installed, but its library is not loaded",
  hint: "Add pg_stat_statements to shared_preload_libraries and restart PostgreSQL",
};

function notInstalled(row: Row): Missing {
  const database = readText(row, "database") ?? "";
  const create = `run in database ${quoteIdentifier(database)}, which the agent is connected to: ` +
    "CREATE EXTENSION pg_stat_statements;";
  const steps = [
    ...readText(row, "available_version") === null ? ["install PostgreSQL's contrib package"] : [],
    ...readBoolean(row, "loaded") ? [] : ["add pg_stat_statements to shared_preload_libraries and restart PostgreSQL"],
    create,
  ].join("; then ");
  return {
    reason: `The extension is not installed in database "${database}"`,
    hint: steps[0]!.toUpperCase() + steps.slice(1),
  };
}

function updateHint(row: Row): string {
  return `Run in database ${quoteIdentifier(readText(row, "database") ?? "")}: ` +
    "ALTER EXTENSION pg_stat_statements UPDATE;";
}

/** Orders the columns as {@link Layout} says; null when those that are needed are not there. */
function layOut(pairs: readonly unknown[]): Layout | null {
  const columns = pairs.filter(isPair).filter(([name]) => name !== "query").map(toColumn);
  const names = columns.map(({ name }) => name);
  const timeColumn = ["total_exec_time", "total_time"].find((name) => names.includes(name));
  const key = ["userid", "dbid", "toplevel", "queryid"].filter((name) => name !== "toplevel" || names.includes(name));
  if (timeColumn === undefined || !key.every((name) => names.includes(name))) return null;
  const hasStatsSince = names.includes("stats_since");
  const first = [...key, timeColumn, ...hasStatsSince ? ["stats_since"] : []];
  const place = (column: Column) => first.includes(column.name) ? first.indexOf(column.name) : first.length;
  return {
    columns: columns.toSorted((one, other) => place(one) - place(other)),
    keyColumns: key.length,
    timeColumn,
    hasStatsSince,
  };
}

function isPair(value: unknown): value is [string, string] {
  return Array.isArray(value) && typeof value[0] === "string" && typeof value[1] === "string";
}

function toColumn([name, type]: [string, string]): Column {
  const kind = name === "queryid" ? "text" : kinds[type] ?? "text";
  const cumulative = kind === "number" && type !== "oid" && !/^(?:min|max|mean|stddev)_/.test(name);
  return { name, kind, cumulative };
}

const kinds: Record<string, ColumnKind> = {
  "oid": "number",
  "integer": "number",
  "bigint": "number",
  "numeric": "number",
  "double precision": "number",
  "boolean": "boolean",
  "timestamp with time zone": "time",
};

/** A name as SQL has it. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Compares versions such as 1.9 and 1.10. */
function isOlder(version: string, than: string): boolean {
  const [parts, others] = [version, than].map((text) => text.split(".").map(Number)) as [number[], number[]];
  const index = others.findIndex((part, position) => part !== (parts[position] ?? 0));
  return index !== -1 && (parts[index] ?? 0) < others[index]!;
}

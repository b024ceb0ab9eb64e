/**
 * The read of the counters: the server sends the entries that are not as the agent knows them. It looks at each entry
 * as `count(*)` does; writing entries out is what would cost it time.
 *
 * What an entry's mark (`statement_marks.ts`) is made of, and why nothing is lost when it misleads:
 *
 * - All columns change in one step with `calls` or `plans`, so an entry whose sum of both is as it was, and that has
 *   not begun anew, is as it was: its remembered record stands. The one exception is a reset of the extremes alone
 *   (from 17 on), which shows when the entry runs again or at the next full read.
 * - A mark holds that sum modulo 32,768 and 16 bits of a hash of the execution time, which also tells apart one that
 *   was dropped and came back with as many calls.
 * - A change is overlooked when the sum has grown by a multiple of 32,768 and the hashes meet by chance, 1 in 65,536.
 *   The entry then stays what it was known as, in both the remembered state and the report; its next delta is from
 *   there, so that the next change, or the next full read, brings all of it: late, in a longer interval than its own.
 * - An entry that is not known and is taken for one that is, by the same chance, is missing in the sum of entries: the
 *   collector reads all of them at once.
 *
 * @module
 */

import type { Row } from "./database.ts";
import { readCount, readNumber, readText } from "./row.ts";
import { type Extension, quoteIdentifier } from "./statement_extension.ts";
import { groupBits, type Mark, type MarkTable } from "./statement_marks.ts";
import { addRecord, type Column, isoTime, parseRecord, readHead } from "./statement_records.ts";

/** How much of the calls and of the hash goes into a mark. Tests shrink them. */
export interface MarkMasks {
  calls: number;
  time: number;
}

/** 31 bits in all: a mark is a positive integer. */
export const markMasks: MarkMasks = { calls: 0x7fff, time: 0xffff };

/** What the server answered. */
export interface Counters {
  /** Records by key of the entries that were sent. */
  records: ReadonlyMap<string, string>;
  marks: ReadonlyMap<string, Mark>;
  /** Entries in all whose `queryid` the role may see, sent or not. */
  visible: number;
  /** And those whose it may not. */
  hidden: number;
  serverStart: string | null;
  statsReset: string | null;
  dealloc: number | null;
  /** What the agent's role has cost the server, in milliseconds; null where others share it, and at first. */
  roleMs: number | null;
}

/** Entries are separated by this: no field has it. */
const lineEnd = "\n";

/**
 * All entries that are not in the table as they are now, without their texts, and how many there are in all. Zeros are
 * left out, as nulls, because writing them costs the server more than telling them.
 */
export function countersSql(extension: Extension, masks: MarkMasks): string {
  const { schema, layout, hasInfo, role, superuser } = extension;
  const names = layout.columns.map(({ name }) => name);
  const hash = `(s.queryid # (s.dbid::bigint << 20) # s.userid::bigint${
    names.includes("toplevel") ? " # s.toplevel::integer" : ""
  })`;
  const runs = names.includes("plans") ? "s.calls + s.plans" : "s.calls";
  const time = `hashfloat8(s.${quoteIdentifier(layout.timeColumn)}) & ${masks.time}`;
  const mark = `(((${runs} & ${masks.calls})::integer << 16) # (${time}))`;
  const slot =
    `((${hash} >> ${groupBits} & $2::bigint)::integer # get_byte($3::bytea, (${hash} & $4::bigint)::integer))`;
  // The agent's own entries are left out, but for what they cost; under a role that others share they cannot be told.
  const own = superuser ? "false" : `s.userid = ${role}`;
  const planTime = names.includes("total_plan_time") ? " + s.total_plan_time" : "";
  const fields = layout.columns.map((column, index) => fieldSql(column, { given: index <= layout.keyColumns }));
  return `/* bitville-monitor: pg_stat_statements */
select date_part('epoch', pg_postmaster_start_time())::text as server_start, ${
    hasInfo
      ? `(select row(dealloc, date_part('epoch', stats_reset))::text from ${schema}.pg_stat_statements_info())`
      : "null::text"
  } as info,
  count(*) filter (where not ${own})::integer as entries,
  count(s.queryid) filter (where not ${own})::integer as visible,
  ${
    superuser
      ? "null::float8"
      : `sum(s.${quoteIdentifier(layout.timeColumn)}${planTime}) filter (where ${own})`
  } as role_ms,
  string_agg(row(${hash} & ${2 ** 48 - 1}, ${mark}, ${fields.join(", ")})::text, E'\\n')
    filter (where not ${own} and substr($1::bytea, ${slot} * 4 + 1, 4) <> int4send(${mark})) as records
from ${schema}.pg_stat_statements(false) as s`;
}

/** The parameters of {@link countersSql}. */
export function countersValues({ slots, slotMask, shifts, groupMask }: MarkTable): unknown[] {
  return [slots, slotMask, shifts, groupMask];
}

/** Reads the one row that {@link countersSql} gives. */
export function readCounters(row: Row | undefined, { layout }: Extension): Counters {
  if (row === undefined) throw new TypeError("Cannot read the counters because the server returned no row");
  const records = new Map<string, string>();
  const marks = new Map<string, Mark>();
  for (const line of linesOf(readText(row, "records") ?? "")) {
    const placeEnd = line.indexOf(",");
    const markEnd = line.indexOf(",", placeEnd + 1);
    // A copy: a part would keep the whole answer in memory.
    const record = `(${line.slice(markEnd + 1)}`;
    const { key } = readHead(record, layout);
    addRecord(records, key, record);
    marks.set(key, { place: Number(line.slice(1, placeEnd)), value: Number(line.slice(placeEnd + 1, markEnd)) });
  }
  const info = readText(row, "info");
  const [dealloc = null, statsReset = null] = info === null ? [] : parseRecord(info);
  const visible = readCount(row, "visible");
  return {
    ...{ records, marks, visible, hidden: readCount(row, "entries") - visible },
    serverStart: readText(row, "server_start"),
    statsReset: isoTime(statsReset),
    dealloc: dealloc === null ? null : Number(dealloc),
    roleMs: readNumber(row, "role_ms"),
  };
}

function linesOf(text: string): string[] {
  return text === "" ? [] : text.split(lineEnd);
}

function fieldSql({ name, kind }: Column, { given }: { given: boolean }): string {
  const column = `s.${quoteIdentifier(name)}`;
  if (name === "stats_since") return `date_part('epoch', ${column})`;
  // Equal to stats_since unless somebody has reset the extremes alone.
  if (kind === "time") return `date_part('epoch', nullif(${column}, s.stats_since))`;
  if (kind === "text" && name !== "queryid") return `translate(${column}::text, E'\\n', ' ')`;
  return kind === "number" && !given ? `nullif(${column}, 0)` : column;
}

/**
 * How the server says that it logs, as far as the agent's role may know, and what of it stands in the way of the agent.
 *
 * @module
 */

import { posix } from "node:path";
import type { Database } from "../database.ts";
import { readBoolean, readText } from "../row.ts";
import { type LogFormat, logFormats } from "./log_parser.ts";

/**
 * Settings that a role may not see are no error in `pg_settings`: they are not there. `pg_current_logfile()` would be
 * one, whatever stands around it, so it is a statement of its own.
 */
const settingsSql = `/* bitville-monitor: pg_log settings */
select current_setting('log_destination') as destinations,
  current_setting('logging_collector') = 'on' as collects,
  current_setting('log_line_prefix') as prefix,
  current_setting('log_timezone') as zone,
  current_setting('lc_messages') as language,
  (select setting from pg_settings where name = 'log_directory') as log_directory,
  (select setting from pg_settings where name = 'data_directory') as data_directory,
  coalesce(has_function_privilege(to_regprocedure('pg_current_logfile()'), 'execute'), false) as may_ask_file`;

/** What it names first: files of other formats differ in their ending. */
const fileSql = "/* bitville-monitor: pg_log file */ select pg_current_logfile() as file";

/** What the server says of its logs. Null is what the role may not see, or what the server does not have. */
export interface ServerLogging {
  /** Of `log_destination`, those that are files; empty when it logs to syslog or the event log alone. */
  formats: LogFormat[];
  /** Whether the server writes the files itself (`logging_collector`). */
  collects: boolean;
  /** `log_line_prefix`. */
  prefix: string;
  /** `log_timezone`. */
  zone: string;
  /** `lc_messages`. */
  language: string;
  /** Absolute path of `log_directory`; pg_read_all_settings may see it. */
  folder: string | null;
  /** Absolute path of the file that is written now; superusers may ask, whoever was granted it, and pg_monitor from 17 on. */
  currentFile: string | null;
}

/** Asks the server. Throws {@link DatabaseError}. */
export async function readServerLogging(database: Database, signal?: AbortSignal): Promise<ServerLogging> {
  const [row = {}] = await database.query({ text: settingsSql }, signal);
  const data = readText(row, "data_directory");
  const absolute = (path: string | null) => {
    if (path === null || posix.isAbsolute(path)) return path;
    return data === null ? null : posix.join(data, path);
  };
  const destinations = readText(row, "destinations")?.split(",").map((name) => name.trim().toLowerCase()) ?? [];
  const collects = readBoolean(row, "collects");
  const file = collects && readBoolean(row, "may_ask_file") ? await readCurrentFile(database, signal) : null;
  return {
    formats: logFormats.filter((format) => destinations.includes(format)),
    collects,
    prefix: readText(row, "prefix") ?? "",
    zone: readText(row, "zone") ?? "",
    language: readText(row, "language") ?? "",
    folder: absolute(readText(row, "log_directory")),
    currentFile: absolute(file),
  };
}

/** The rest is worth having without it: the server cannot tell when it has lost its own note of it. */
async function readCurrentFile(database: Database, signal?: AbortSignal): Promise<string | null> {
  try {
    const [row] = await database.query({ text: fileSql }, signal);
    return row === undefined ? null : readText(row, "file");
  } catch {
    return null;
  }
}

/** Something that stands in the way, and the SQL that mends it (to be run by a superuser; reloads the configuration). */
export interface LoggingAdvice {
  /**
   * `no_file`: nothing goes to a file. `not_collected`: csvlog and jsonlog are asked for, which only the collector
   * writes. `no_time`, `no_process`, `no_application`: the prefix lacks it, and no better format is written.
   */
  kind: "no_file" | "not_collected" | "no_time" | "no_process" | "no_application";
  problem: string;
  mend: string;
}

const recommendedPrefix = "%m [%p] %q%u@%d %a ";
const prefixNeeds = [
  { kind: "no_time", escapes: /%-?\d*[mtn]/, escape: "%m", lost: "the time of an entry" },
  { kind: "no_process", escapes: /%-?\d*[pc]/, escape: "%p", lost: "which lines belong together" },
  { kind: "no_application", escapes: /%-?\d*a/, escape: "%a", lost: "the correlation id of an entry" },
] as const;

/** What stands in the way of reading the server's logs, the worst first; empty when all is well. */
export function adviseLogging({ formats, collects, prefix }: ServerLogging): LoggingAdvice[] {
  if (formats.length === 0) {
    const problem = "log_destination names no file";
    return [{ kind: "no_file", problem, mend: set("log_destination", "stderr") }];
  }
  if (!collects && !formats.includes("stderr")) {
    const problem = `log_destination is ${formats.join(",")}, which needs logging_collector = on`;
    const mend = "ALTER SYSTEM SET logging_collector = on; -- then restart the server";
    return [{ kind: "not_collected", problem, mend }];
  }
  if (collects && formats.some((format) => format !== "stderr")) return [];
  const lacking = prefixNeeds.filter(({ escapes }) => !escapes.test(prefix.replaceAll("%%", "")));
  return lacking.map(({ kind, escape, lost }) => ({
    kind,
    problem: `log_line_prefix '${prefix}' has no ${escape}, so nothing tells ${lost}`,
    mend: set("log_line_prefix", recommendedPrefix),
  }));
}

function set(name: string, value: string): string {
  return `ALTER SYSTEM SET ${name} = '${value}'; SELECT pg_reload_conf();`;
}

/**
 * A real server that writes all the log formats it has, of the same run, and clients that give it something to write.
 *
 * @module
 */

import { join } from "node:path";
import { Client } from "pg";
import { createLogParser } from "../../collectors/logs/detect.ts";
import type { LogEntry } from "../../collectors/logs/entry.ts";
import type { LogFormat } from "../../collectors/logs/log_parser.ts";
import { TimeZone } from "../../collectors/logs/timezone.ts";
import {
  type EmbeddedPostgres,
  type PostgresVersion,
  startEmbeddedPostgres,
} from "../../tasks/demo/embedded_postgres.ts";
import { waitFor } from "./wait_for.ts";

/** A name that the website's sessions have. */
export const correlatedName = "bitville-0b1d3f60-5b7e-4c2f-9a51-6f0a7f3f7a10";

const extensions: Record<LogFormat, string> = { stderr: "log", csvlog: "csv", jsonlog: "json" };
const blockBytes = 7_919;
let files = 0;

/** Starts a server with a log file of its own in each format. */
export async function startLoggingServer(
  version: PostgresVersion,
  settings: Record<string, string> = {},
): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({
    version,
    settings: {
      logging_collector: "on",
      log_destination: formatsOf(version).join(","),
      log_filename: "first.log",
      log_connections: "on",
      log_disconnections: "on",
      log_lock_waits: "on",
      deadlock_timeout: "100ms",
      log_error_verbosity: "default",
      log_min_messages: "notice",
      ...(version >= 14 ? { compute_query_id: "on" } : {}),
      ...settings,
    },
  });
  currentLog.set(server, join(server.dataDirectory, "log", "first"));
  return server;
}

/** The formats that a version can write. */
export function formatsOf(version: PostgresVersion): LogFormat[] {
  return version >= 15 ? ["stderr", "csvlog", "jsonlog"] : ["stderr", "csvlog"];
}

/** Has the server write into new files with this prefix. Answers with their paths without extension. */
export async function startLogFiles(server: EmbeddedPostgres, prefix: string): Promise<string> {
  const name = `run${++files}`;
  const path = join(server.dataDirectory, "log", name);
  await server.query(`alter system set log_line_prefix = '${prefix.replaceAll("'", "''")}'`);
  await server.query("select pg_reload_conf()");
  // A session that began under the old prefix also ends under it.
  await waitFor("the new prefix, and the end of all sessions that had the old one", async () => {
    const [row] = await server.query(`select current_setting('log_line_prefix') as prefix,
      (select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid())::int
        as others`);
    return row?.prefix === prefix && row.others === 0;
  });
  // In a session that stays until the new files are there, so that no entry of it falls on both sides.
  await inSession(server, "", async (run) => {
    await run(`do $$ begin raise log 'the last line before ${name}'; end $$`);
    for (const format of formatsOf(server.version)) {
      await waitFor("all that was written before", () => contains(currentLog.get(server)!, format, `before ${name}`));
    }
    // The server begins new files at once when their name changes.
    await run(`alter system set log_filename = '${name}.log'`);
    await run("select pg_reload_conf()");
    for (const format of formatsOf(server.version)) await waitFor("the new files", () => exists(path, format));
  });
  currentLog.set(server, path);
  return path;
}

/** Where each server writes. */
const currentLog = new WeakMap<EmbeddedPostgres, string>();

function contains(path: string, format: LogFormat, text: string): boolean {
  return exists(path, format) && new TextDecoder().decode(readLogFile(path, format)).includes(text);
}

function exists(path: string, format: LogFormat): boolean {
  try {
    return Deno.statSync(`${path}.${extensions[format]}`).isFile;
  } catch {
    return false;
  }
}

/** The bytes of one format's file. */
export function readLogFile(path: string, format: LogFormat): Uint8Array {
  return Deno.readFileSync(`${path}.${extensions[format]}`);
}

/** Parses the bytes of a whole file in blocks that end anywhere. */
export function parseAll(
  bytes: Uint8Array,
  options: { format: LogFormat; prefix?: string; zone?: string; block?: number },
): LogEntry[] {
  const { format, prefix = "%m [%p] ", zone = null, block = blockBytes } = options;
  const parser = createLogParser(format, { prefix, zone: new TimeZone(zone) });
  const entries: LogEntry[] = [];
  for (let start = 0; start < bytes.length; start += block) {
    for (const { entry } of parser.push(bytes.subarray(start, start + block))) entries.push(entry);
  }
  for (const { entry } of parser.finish()) entries.push(entry);
  return entries;
}

/** A session of its own; what it cannot do is what it is for. */
export async function inSession(
  server: EmbeddedPostgres,
  name: string,
  use: (run: (text: string, values?: unknown[]) => Promise<unknown>) => Promise<void>,
): Promise<void> {
  const { host, port, user } = server;
  const client = new Client({ host, port, user, database: "postgres", application_name: name, ssl: false });
  client.on("error", () => {});
  await client.connect();
  try {
    await use((text, values) => client.query(text, values).catch(() => {}));
  } finally {
    await client.end();
  }
}

/** Errors, notices, statements of many lines, characters of all sorts, nested contexts, a deadlock. */
export async function causeTrouble(server: EmbeddedPostgres): Promise<void> {
  await inSession(server, correlatedName, async (run) => {
    await run("select 1 +");
    await run("select *\n  from\tnowhere\n where a = 'x'\n\n\tand b");
    await run("select 'Grüße, 世界 🐘', \"ünbekannt\" from pg_class");
    await run("do $$ begin raise notice 'a notice, with \"quotes\", and\nlines\n\tand tabs'; end $$");
    await run("do $$ begin raise warning 'careful' using detail = 'a detail\nof two lines', hint = 'a hint'; end $$");
    await run("do $$ begin raise exception 'own state' using errcode = 'BV001', detail = 'd', hint = 'h'; end $$");
    await run("select nested(3)");
    await run("do $$ begin execute 'select 1 from missing_' || 'table'; end $$");
    await run("select $1::int / 0", [1]);
    await run(`select '${"long ".repeat(3_000)}' from nowhere`);
    await run("do $$ begin raise notice 'ends in a line\n'; end $$");
    await run("do $$ begin raise notice ''; end $$");
  });
  for (const name of ["x] LOG:  forged", "psql ERROR:  forged FATAL:  twice", "", 'a,"b",c', "[unknown]x"]) {
    await inSession(server, name, async (run) => {
      await run("select 'from a strange name' from nowhere");
      await run("do $$ begin raise warning 'FATAL:  not really'; end $$");
    });
  }
  await deadlock(server);
}

/** Makes what the statements of {@link causeTrouble} need. */
export async function prepareTrouble(server: EmbeddedPostgres): Promise<void> {
  await server.query(
    "create table deadlocked (id int primary key, n int); insert into deadlocked values (1, 0), (2, 0)",
  );
  await server.query(`create function nested(depth int) returns int language plpgsql as $$
    begin if depth = 0 then return 1 / 0; end if; return nested(depth - 1); end $$`);
}

async function deadlock(server: EmbeddedPostgres): Promise<void> {
  await inSession(server, "first of two", async (first) => {
    await inSession(server, "second of two", async (second) => {
      await first("begin");
      await second("begin");
      await first("update deadlocked set n = 1 where id = 1");
      await second("update deadlocked set n = 1 where id = 2");
      await Promise.all([
        first("update deadlocked set n = 2 where id = 2"),
        second("update deadlocked set n = 2 where id = 1"),
      ]);
      await Promise.all([first("rollback"), second("rollback")]);
    });
  });
}

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
import { connectClient, type TestClient } from "./test_client.ts";
import { waitFor } from "./wait_for.ts";

/** A name that the website's sessions have. */
export const correlatedName = "bitville-0b1d3f60-5b7e-4c2f-9a51-6f0a7f3f7a10";

const extensions: Record<LogFormat, string> = { stderr: "log", csvlog: "csv", jsonlog: "json" };
const blockBytes = 7_919;

/** The formats that a version can write. */
export function formatsOf(version: PostgresVersion): LogFormat[] {
  return version >= 15 ? ["stderr", "csvlog", "jsonlog"] : ["stderr", "csvlog"];
}

/** Starts a server that logs much, in all its formats, and nothing that no client has caused; with settings on top. */
export function startLoggingServer(
  version: PostgresVersion,
  settings: Record<string, string> = {},
): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({
    version,
    settings: {
      logging_collector: "on",
      log_destination: formatsOf(version).join(","),
      log_filename: "server.log",
      log_rotation_age: "0",
      log_rotation_size: "0",
      log_connections: "on",
      log_disconnections: "on",
      log_lock_waits: "on",
      deadlock_timeout: "20ms",
      log_error_verbosity: "default",
      log_min_messages: "notice",
      log_timezone: "UTC",
      lc_messages: "C",
      log_checkpoints: "off",
      autovacuum: "off",
      ...(version >= 14 ? { compute_query_id: "on" } : {}),
      ...settings,
    },
  });
}

/** Takes down what a server logs under one prefix after another. */
export class LogRecorder implements AsyncDisposable {
  readonly #server: EmbeddedPostgres;
  /** A session that says nothing while something is recorded. */
  readonly #control: TestClient;
  #runs = 0;

  private constructor(server: EmbeddedPostgres, control: TestClient) {
    this.#server = server;
    this.#control = control;
  }

  static async open(server: EmbeddedPostgres): Promise<LogRecorder> {
    return new LogRecorder(server, await connectClient(server));
  }

  /** The bytes that the server writes in each format while `work` runs. Its sessions have ended with it. */
  async record(prefix: string, work: () => Promise<void>): Promise<Record<string, Uint8Array>> {
    const run = ++this.#runs;
    await this.#control.run(`alter system set log_line_prefix = '${prefix.replaceAll("'", "''")}'`);
    await this.#control.run("select pg_reload_conf()");
    await waitFor("the new prefix", async () => {
      const [row] = await this.#control.run("select current_setting('log_line_prefix') as prefix");
      return row?.prefix === prefix;
    });
    const starts = new Map<LogFormat, number>();
    await this.#mark(`run ${run} begins`, (format, { end }) => starts.set(format, end));
    await work();
    await waitFor("the end of all sessions", async () => {
      const others = "select from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()";
      return (await this.#control.run(`select 1 where not exists (${others})`)).length > 0;
    });
    const written: Record<string, Uint8Array> = {};
    await this.#mark(`run ${run} ends`, (format, { bytes, mark }) => {
      const end = bytes.lastIndexOf(newline, mark) + 1;
      written[format] = bytes.slice(starts.get(format)!, end);
    });
    return written;
  }

  /** Has a line written that tells where a run begins or ends, and waits until all files have it. */
  async #mark(
    text: string,
    found: (format: LogFormat, at: { bytes: Uint8Array; mark: number; end: number }) => void,
  ): Promise<void> {
    await this.#control.run(`do $$ begin raise log '${text}'; end $$`);
    for (const format of formatsOf(this.#server.version)) {
      const path = join(this.#server.dataDirectory, "log", `server.${extensions[format]}`);
      await waitFor(`${text} in ${path}`, () => {
        const bytes = Deno.readFileSync(path);
        const decoded = latin1.decode(bytes);
        const mark = decoded.indexOf(text);
        // The statement that caused the line has the text, too.
        if (mark < 0 || decoded.indexOf(text, mark + 1) < 0 || bytes.at(-1) !== newline) return false;
        found(format, { bytes, mark, end: bytes.length });
        return true;
      });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#control[Symbol.asyncDispose]();
  }
}

const newline = 10;
/** A byte each character. */
const latin1 = new TextDecoder("latin1");

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
async function inSession(
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

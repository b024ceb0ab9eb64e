/**
 * How fast logs are read: parsed alone, through to stored documents, and how soon a line is at the listener.
 *
 * @module
 */

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import type { LogFormat } from "../../collectors/logs/log_parser.ts";
import type { Figure } from "./figures.ts";
import { median } from "./figures.ts";
import { agentRole, bareRole } from "./load.ts";
import { pause } from "./processes.ts";
import type { ParseReport, Way } from "./programs/parse_log.ts";
import { programPath, Service, Sink } from "./service.ts";
import type { BenchServer } from "./server.ts";
import { rolesPassword } from "./server.ts";
import type { WrittenLogs } from "./written_logs.ts";

export interface LogsOptions {
  runs: number;
  /** Of parsing alone: a process each, so that few would say little. */
  parseRuns: number;
  /** Lines with an id, and without one. */
  correlatedLines: number;
  plainLines: number;
}

/** As pgbadger calls them. */
const pgbadgerFormats: Record<LogFormat, string> = { stderr: "stderr", csvlog: "csv", jsonlog: "jsonlog" };
/** In its report. */
const pgbadgerQueries = /<span class="figure">([\d,]+)<\/span> <span class="figure-label">Number of queries</;
const uuid = "0b0e8a3e-7a3a-4a53-9d55-00000000000f";

export async function measureLogs(written: WrittenLogs, options: LogsOptions): Promise<Figure[]> {
  for (const role of [agentRole, bareRole]) {
    await written.server.query(`create role ${role} login password '${rolesPassword}' in role pg_monitor`);
  }
  const figures: Figure[] = [];
  for (const format of ["stderr", "csvlog", "jsonlog"] as const) {
    figures.push(...await measureFormat(written, { format, ...options }));
  }
  return [...figures, ...await measureDelay(written, options)];
}

async function measureFormat(written: WrittenLogs, options: LogsOptions & { format: LogFormat }): Promise<Figure[]> {
  const { format, runs, parseRuns } = options;
  const file = written.files[format];
  const megabytes = (await Deno.stat(file)).size / 1e6;
  const [parse, lines, slices, json]: [number[], number[], number[], number[]] = [[], [], [], []];
  let entries = 0;
  for (let run = 0; run < parseRuns; run++) {
    const report = await read(written, { format, way: "parse" });
    entries = report.count;
    parse.push(megabytes / report.seconds);
    lines.push(megabytes / (await read(written, { format, way: "lines" })).seconds);
    slices.push(megabytes / (await read(written, { format, way: "slices" })).seconds);
    if (format === "jsonlog") json.push(megabytes / (await read(written, { format, way: "json" })).seconds);
  }
  const reference = format === "jsonlog"
    ? { name: "JSON.parse of every line", values: json }
    : { name: "splitting into lines", values: lines };
  const ends: number[] = [];
  const counts: number[] = [];
  for (let run = 0; run < runs; run++) {
    ends.push(await endToEnd(written, { format, entries }));
    counts.push(megabytes / await secondsOf("wc", ["-l", file]));
  }
  const name = (what: string) => `logs/${format}/${what}`;
  const badger = await pgbadger(written, format);
  return [
    { name: name("parse only"), unit: "MB/s", values: parse, reference },
    {
      name: name("parse only beside wc -l"),
      unit: "MB/s",
      values: parse,
      reference: { name: "wc -l", values: counts },
    },
    {
      name: name("end to end"),
      unit: "MB/s",
      values: ends,
      reference: { name: "splitting into lines", values: [median(lines)] },
    },
    ...badger === null ? [] : [{
      name: name("end to end beside pgbadger"),
      unit: "MB/s",
      values: ends,
      reference: { name: "pgbadger", values: [badger] },
    }],
  ];
}

/** One process that reads the file once. */
async function read(
  { files, prefix }: WrittenLogs,
  { format, way }: { format: LogFormat; way: Way },
): Promise<ParseReport> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-read", v8Flags, programPath("parse_log.ts"), files[format], format, prefix, way],
    stderr: "inherit",
  }).output();
  return JSON.parse(new TextDecoder().decode(stdout));
}

/** As `deno task logs`, which is the command that parses and does nothing else. */
const v8Flags = "--v8-flags=--max-semi-space-size=4";

/**
 * MB/s from the first stored document to the last full one: neither the look that finds the file nor the wait for more
 * entries at its end counts. The listener is away, so that nothing but reading and storing is measured.
 */
async function endToEnd(written: WrittenLogs, { format, entries }: { format: LogFormat; entries: number }) {
  const file = written.files[format];
  const logs = await Deno.makeTempDir();
  try {
    const path = join(logs, file.slice(file.lastIndexOf("/") + 1));
    await Deno.writeTextFile(path, "");
    await using service = await Service.start({
      ...{ server: serverOf(written), sink: null, command: "fast" },
      settings: { collection: { log_path: logs }, logging: { level: "debug" }, buffer: { max_size_mb: 1_000 } },
    });
    // What loading has left is collected once, 40 ms long: that is the start's cost.
    await service.untilFollowing();
    await Deno.copyFile(file, path);
    const stored = () => service.log.filter((line) => line.event === "document_stored" && line.type === "pg_log");
    const documents = await service.until("the log's documents", async () => {
      // Reading the agent's log costs time that is the agent's.
      await pause(200);
      const found = stored();
      return found.reduce((total, { entries }) => total + Number(entries), 0) >= entries - 1_000 && found;
    });
    const [first, last] = [documents[0]!, documents.at(-1)!];
    const between = documents.slice(1).reduce((total, line) => total + Number(line.entries), 0);
    const seconds = (Date.parse(last.time) - Date.parse(first.time)) / 1_000;
    return (await Deno.stat(file)).size / 1e6 * (between / entries) / seconds;
  } finally {
    await Deno.remove(logs, { recursive: true });
  }
}

/**
 * MB/s of the whole file in one process, as a DBA calls it for its report; null where it is not installed. Throws when it
 * has not read every statement: a format that it does not know is read over in no time.
 */
async function pgbadger({ files, prefix }: WrittenLogs, format: LogFormat): Promise<number | null> {
  const file = files[format];
  // Not beside the file: a name with `.json` in it means another kind of report to pgbadger.
  const report = join(dirname(file), "report.html");
  const prefixOption = format === "stderr" ? ["--prefix", prefix] : [];
  const args = ["--quiet", "--format", pgbadgerFormats[format], ...prefixOption, "--outfile", report, file];
  try {
    const seconds = await secondsOf("pgbadger", args);
    const found = Number(pgbadgerQueries.exec(await Deno.readTextFile(report))?.[1]?.replaceAll(",", ""));
    const text = await Deno.readTextFile(file);
    const queries = text.match(/duration: [\d.]+ ms {2}statement: /g)!.length;
    // The last one may have no end that it knows.
    assert(found >= queries - 1, `pgbadger has read ${found} of ${queries} statements`);
    return text.length / 1e6 / seconds;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function secondsOf(command: string, args: string[]): Promise<number> {
  const startMs = performance.now();
  await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output();
  return (performance.now() - startMs) / 1_000;
}

/** Seconds from a line being written to its document being at the listener. */
async function measureDelay(written: WrittenLogs, { correlatedLines, plainLines }: LogsOptions): Promise<Figure[]> {
  const logs = await Deno.makeTempDir();
  try {
    const path = join(logs, "postgresql.log");
    await Deno.writeTextFile(path, "");
    await using sink = await Sink.start();
    await using service = await Service.start({
      ...{ server: serverOf(written), sink, command: "fast" },
      settings: { collection: { log_path: logs } },
    });
    await service.cycles(1);
    await service.until("the log to be followed", () => service.firstAtMs.has("log_followed"));
    let number = 0;
    const delays = async (app: string, count: number) => {
      const seconds: number[] = [];
      for (let line = 0; line < count; line++) {
        // At another moment of the agent's rhythm each time.
        await pause(line * 137);
        const name = `bench-line-${++number}`;
        const writtenAtMs = Date.now();
        await Deno.writeTextFile(path, lineOf(app, name), { append: true });
        const report = await service.until(name, async () => {
          const report = await sink.report();
          return report.lines[name] !== undefined && report;
        });
        seconds.push((report.lines[name]! - writtenAtMs) / 1_000);
      }
      return seconds;
    };
    return [
      { name: "logs/delay with correlation id", unit: "s", values: await delays(`bitville-${uuid}`, correlatedLines) },
      { name: "logs/delay without", unit: "s", values: await delays("web", plainLines) },
    ];
  } finally {
    await Deno.remove(logs, { recursive: true });
  }
}

function lineOf(app: string, text: string): string {
  const time = new Date().toISOString().replace("T", " ").replace("Z", " UTC");
  return `${time} [4711]: [1-1] user=app,db=shop,app=${app},client=[local] LOG:  ${text}\n`;
}

/** The server that wrote the logs, which is the one that knows their prefix. */
export function serverOf({ server: { host, port, user } }: WrittenLogs): BenchServer {
  const unused = () => Promise.reject(new Error("Not for measuring statements"));
  return {
    ...{ host, port, user, password: "", database: "postgres", query: unused, connect: unused },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

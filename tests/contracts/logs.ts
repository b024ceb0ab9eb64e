/**
 * What the log parsers promise on every version of PostgreSQL: the formats of one run of a real server tell the same.
 *
 * @module
 */

import assert from "node:assert/strict";
import { knownPrefixes } from "../../collectors/logs/detect.ts";
import type { LogEntry } from "../../collectors/logs/entry.ts";
import type { LogFormat } from "../../collectors/logs/log_parser.ts";
import type { EmbeddedPostgres, PostgresVersion } from "../../tasks/demo/embedded_postgres.ts";
import {
  causeTrouble,
  correlatedName,
  formatsOf,
  parseAll,
  prepareTrouble,
  readLogFile,
  startLogFiles,
  startLoggingServer,
} from "../support/server_logs.ts";

/** The escapes of a version, each in a prefix of its own, some padded. */
function escapePrefixes(version: PostgresVersion): string[] {
  const letters = "audrhpntmiecslvx".split("");
  if (version >= 13) letters.push("b");
  if (version >= 14) letters.push("P", "Q");
  if (version >= 18) letters.push("L");
  return [
    ...letters.map((letter) => `%m [%p] <%${letter}> `),
    "%m [%p] %q<%u> ",
    "%m [%p] 100%% ",
    "%m [%p] <%-20u|%20d|%-5p|%30a> ",
    "%m [%p] %Z%y ",
  ];
}

/** What a prefix says of an entry. */
function fieldsOf(prefix: string, version: PostgresVersion): (keyof LogEntry)[] {
  const fields: Record<string, keyof LogEntry> = {
    a: "application_name",
    u: "user",
    d: "database",
    e: "sqlstate",
    c: "session_id",
    p: "pid",
    b: "backend_type",
    Q: "query_id",
  };
  const used = [...prefix.matchAll(/%-?\d*([a-zA-Z])/g)].map(([, letter]) => fields[letter!]);
  const known = used.filter((field): field is keyof LogEntry => field !== undefined);
  return version < 13 ? known.filter((field) => field !== "backend_type") : known;
}

const always = ["level", "message", "detail", "hint", "context", "statement"] as const;

/** An entry in the fields that two formats have. */
function shared(entry: LogEntry, fields: readonly (keyof LogEntry)[]): Record<string, unknown> {
  const part: Record<string, unknown> = Object.fromEntries(fields.map((field) => [field, entry[field]]));
  // What is no client's has no application in a prefix, though csvlog and jsonlog tell the one that it works for.
  if (entry.user === null && fields.includes("user")) delete part.application_name;
  return part;
}

/** Several processes write at once, each format in an order of its own: the order within a process is the same. */
function assertSame(one: LogEntry[], other: LogEntry[], options: { fields: (keyof LogEntry)[]; name: string }): void {
  const { fields, name } = options;
  const sorted = (entries: LogEntry[]) => entries.map((entry) => JSON.stringify(shared(entry, fields))).sort();
  const [left, right] = [sorted(one), sorted(other)];
  const onlyLeft = left.filter((entry) => !right.includes(entry));
  const onlyRight = right.filter((entry) => !left.includes(entry));
  assert.deepEqual(onlyLeft, onlyRight, name);
  assert.equal(one.length, other.length, name);
}

/** Runs the workload under a prefix and compares the formats. */
async function compare(server: EmbeddedPostgres, prefix: string): Promise<Record<string, LogEntry[]>> {
  const path = await startLogFiles(server, prefix);
  await causeTrouble(server);
  await startLogFiles(server, prefix);
  const entries: Record<string, LogEntry[]> = {};
  for (const format of formatsOf(server.version)) {
    const all = parseAll(readLogFile(path, format), { format, prefix });
    // The postmaster says this while the files change, each on its own side.
    entries[format] = all.filter(({ message }) => !/^(?:parameter "log_|received SIGHUP)/.test(message));
  }
  const { stderr, csvlog, jsonlog } = entries as Record<LogFormat, LogEntry[]>;
  assert.ok(csvlog.length > 30, `only ${csvlog.length} entries`);
  const fields = [...always, ...fieldsOf(prefix, server.version)];
  assertSame(stderr, csvlog, {
    fields: server.version < 13 ? fields : fields,
    name: `${server.version} ${prefix} stderr`,
  });
  if (jsonlog !== undefined) {
    const all = Object.keys(csvlog[0]!).filter((field) => field !== "file") as (keyof LogEntry)[];
    assertSame(jsonlog, csvlog, { fields: all, name: `${server.version} ${prefix} jsonlog` });
  }
  return entries;
}

/** Registers the tests for one version. */
export function testLogs(version: PostgresVersion): void {
  Deno.test(`log formats of PostgreSQL ${version} tell the same under every prefix`, async (t) => {
    await using server = await startLoggingServer(version);
    await prepareTrouble(server);
    for (const prefix of [...escapePrefixes(version), ...knownPrefixes]) {
      await t.step(`'${prefix}'`, async () => {
        const { csvlog = [] } = await compare(server, prefix);
        assert.ok(csvlog.some((entry) => entry.correlation_id === correlatedName.slice("bitville-".length)));
      });
    }
  });
}

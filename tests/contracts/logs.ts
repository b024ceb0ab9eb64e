/**
 * What the log parsers promise on every version of PostgreSQL: the formats of one run of a real server tell the same.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { guessPrefix, knownPrefixes } from "../../collectors/logs/detect.ts";
import type { LogEntry } from "../../collectors/logs/entry.ts";
import type { LogFormat } from "../../collectors/logs/log_parser.ts";
import { defaultPrefix, unknownPart } from "../../collectors/logs/prefix.ts";
import { readServerLogging } from "../../collectors/logs/server_logging.ts";
import * as limits from "../../limits.ts";
import type { EmbeddedPostgres, PostgresVersion } from "../../tasks/demo/embedded_postgres.ts";
import { openDatabase } from "../support/open_database.ts";
import {
  causeTrouble,
  correlatedName,
  formatsOf,
  LogRecorder,
  parseAll,
  prepareTrouble,
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

/** Fields that a guess may leave out, but never tell otherwise. */
const guessed = [
  ...["timestamp", "pid", "user", "database", "application_name", "correlation_id"] as const,
  ...["sqlstate", "session_id", "session_line", "query_id", "backend_type"] as const,
];

/**
 * Without the server, a file's own lines give the same entries with the same fields, or fewer. Where the prefix is not
 * known as a whole, lines with a forged name may be left as they are.
 */
function assertHonestGuess(bytes: Uint8Array, prefix: string, entries: readonly LogEntry[]): string | null {
  const guess = guessPrefix(bytes.subarray(0, limits.logBlockBytes));
  const name = `'${prefix}' guessed as '${guess}'`;
  const isPartial = guess?.includes(unknownPart) ?? false;
  const others = parseAll(bytes, { format: "stderr", prefix: guess ?? defaultPrefix });
  if (!isPartial) assert.equal(others.length, entries.length, name);
  const left = [...entries];
  for (const other of others) {
    if (isPartial && other.level === "UNKNOWN") {
      assert.match(other.message, /forged|FATAL: {2}not really/, name);
      continue;
    }
    const fields = [...guessed, ...always].filter((field) => !isPartial || other[field] !== null);
    const place = left.findIndex(({ message, level }) => message === other.message && level === other.level);
    assert.ok(isPartial ? place >= 0 : place === 0, `${name}: ${other.message}`);
    const [entry] = left.splice(0, place + 1).slice(-1);
    for (const field of fields) {
      // Of two times in a prefix the last one counts, and may be the one that is not understood. The server looks at the
      // clock for each of them: a second may begin in between.
      const isTime = field === "timestamp" && isPartial;
      if (isTime) assert(Math.abs(Date.parse(other.timestamp!) - Date.parse(entry!.timestamp!)) < 2_000, name);
      else if (other[field] !== null) assert.equal(other[field], entry?.[field], `${field} of ${name}`);
    }
  }
  return guess;
}

/** Runs the workload under a prefix and compares the formats. */
async function compare(server: EmbeddedPostgres, recorder: LogRecorder, prefix: string): Promise<string | null> {
  const written = await recorder.record(prefix, () => causeTrouble(server));
  const entries: Record<string, LogEntry[]> = {};
  for (const format of formatsOf(server.version)) entries[format] = parseAll(written[format]!, { format, prefix });
  const { stderr, csvlog, jsonlog } = entries as Record<LogFormat, LogEntry[]>;
  assert.ok(csvlog.length > 30, `only ${csvlog.length} entries`);
  assert.ok(csvlog.some((entry) => entry.correlation_id === correlatedName.slice("bitville-".length)));
  assert.ok(csvlog.every(({ level }) => level !== "UNKNOWN"));
  const fields = [...always, ...fieldsOf(prefix, server.version)];
  assertSame(stderr, csvlog, { fields, name: `${server.version} ${prefix} stderr` });
  if (jsonlog !== undefined) {
    const all = Object.keys(csvlog[0]!).filter((field) => field !== "file") as (keyof LogEntry)[];
    assertSame(jsonlog, csvlog, { fields: all, name: `${server.version} ${prefix} jsonlog` });
  }
  return assertHonestGuess(written.stderr!, prefix, stderr);
}

/** Prefixes that nobody is known to use: what is guessed of them must be right. */
const unknownPrefixes = [
  "%m [%p] %d/%u/%a ",
  "%t <%u|%d> %h ",
  "%m %l %p ",
  "%d %u %a %m [%p] ",
  "[%p] (%a) %n ",
  "%m [%p] %u %a: ",
];

/** What each role is told of the server's logs. */
async function assertTold(server: EmbeddedPostgres): Promise<void> {
  await server.query("create role with_monitor login in role pg_monitor; create role with_nothing login");
  const folder = join(server.dataDirectory, "log");
  const currentFile = join(folder, "server.log");
  const told = {
    ...{ formats: formatsOf(server.version), collects: true, prefix: "%m [%p] ", zone: "UTC", language: "C" },
    ...{ folder: null, currentFile: null },
  };
  const roles = {
    postgres: { folder, currentFile },
    with_monitor: { folder, ...(server.version >= 17 ? { currentFile } : {}) },
    with_nothing: {},
  };
  for (const [user, more] of Object.entries(roles)) {
    await using open = openDatabase(server, { user });
    assert.deepEqual(await readServerLogging(open.database), { ...told, ...more }, user);
  }
}

/** Registers the tests for one version. */
export function testLogs(version: PostgresVersion): void {
  Deno.test(`log formats of PostgreSQL ${version} tell the same under every prefix`, async (t) => {
    await using server = await startLoggingServer(version);
    await t.step("readServerLogging is told what the role may see", () => assertTold(server));
    await prepareTrouble(server);
    await using recorder = await LogRecorder.open(server);
    for (const prefix of [...escapePrefixes(version), ...unknownPrefixes]) {
      await t.step(`'${prefix}'`, async () => {
        await compare(server, recorder, prefix);
      });
    }
    for (const prefix of knownPrefixes) {
      await t.step(`'${prefix}', in use`, async () => {
        const guess = await compare(server, recorder, prefix);
        // What these share with others before them is told the same.
        assert.ok(!guess?.includes(unknownPart), `'${prefix}' is guessed as '${guess}'`);
      });
    }
  });
}

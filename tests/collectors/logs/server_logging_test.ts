/**
 * What real servers tell of their logs, to roles with more and less rights; what is advised; what is kept.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseError } from "../../../collectors/database.ts";
import { LogSettingsReader, unknownSettings } from "../../../collectors/logs/log_settings.ts";
import { adviseLogging, type LoggingAdvice, type ServerLogging } from "../../../collectors/logs/server_logging.ts";
import * as limits from "../../../limits.ts";
import { MemoryDatabase } from "../../fakes/memory_database.ts";
import { loggingRow } from "../../support/logging_row.ts";

const { signal } = new AbortController();

/** Advice for a server that differs from PostgreSQL's defaults so. */
function advice(logging: Partial<ServerLogging>): LoggingAdvice["kind"][] {
  const defaults = { formats: ["stderr" as const], collects: false, prefix: "%m [%p] %a ", zone: "UTC", language: "C" };
  return adviseLogging({ ...defaults, folder: null, currentFile: null, ...logging }).map(({ kind }) => kind);
}

Deno.test("adviseLogging names what stands in the way and the statement that mends it", () => {
  assert.deepEqual(advice({}), []);
  assert.deepEqual(advice({ formats: [] }), ["no_file"]);
  assert.deepEqual(advice({ formats: ["jsonlog"] }), ["not_collected"]);
  assert.deepEqual(advice({ formats: ["jsonlog"], collects: true, prefix: "" }), []);
  // The collector is what writes csvlog; without it there is stderr alone.
  assert.deepEqual(advice({ formats: ["stderr", "csvlog"], prefix: "" }), ["no_time", "no_process", "no_application"]);
  assert.deepEqual(advice({ prefix: "%t-%c-" }), ["no_application"]);
  assert.deepEqual(advice({ prefix: "%n %10p %-5a" }), []);
  assert.deepEqual(advice({ prefix: "%%m %p %%a " }), ["no_time", "no_application"]);
  const [first] = adviseLogging({
    ...{ formats: ["stderr"], collects: true, prefix: "%m [%p] ", zone: "UTC", language: "C" },
    ...{ folder: null, currentFile: null },
  });
  assert.equal(first?.problem, "log_line_prefix '%m [%p] ' has no %a, so nothing tells the correlation id of an entry");
  assert.equal(first.mend, "ALTER SYSTEM SET log_line_prefix = '%m [%p] %q%u@%d %a '; SELECT pg_reload_conf();");
});

Deno.test("LogSettingsReader says nothing until the server answers, and keeps the same object until it says else", async () => {
  let nowMs = 0;
  const database = new MemoryDatabase().answer("pg_log settings", [loggingRow({ language: "de_DE.UTF-8" })]);
  const reader = new LogSettingsReader(database, () => nowMs);
  database.goAway();
  await reader.refresh(signal);
  assert.equal(reader.settings, unknownSettings);
  database.comeBack();
  await reader.refresh(signal);
  const { zone, ...settings } = reader.settings;
  assert.equal(zone?.name, "UTC");
  assert.deepEqual(settings, { prefix: "%m [%p] ", isTranslated: true, formats: ["stderr"], currentFile: null });
  const said = reader.settings;
  await reader.refresh(signal);
  assert.equal(database.queries.length, 1);
  nowMs = limits.logSettingsMs;
  await reader.refresh(signal);
  assert.equal(database.queries.length, 2);
  assert.equal(reader.settings, said);
  nowMs *= 2;
  database.answer("pg_log settings", [loggingRow({ prefix: "%t ", zone: "Mars/Olympus", language: "en_US.UTF-8" })]);
  await reader.refresh(signal);
  assert.deepEqual(reader.settings, { ...said, prefix: "%t ", zone: null, isTranslated: false });
});

Deno.test("LogSettingsReader asks for the current file where the role may, and does without where that fails", async () => {
  const row = loggingRow({ collects: true, may_ask_file: true, destinations: "csvlog, jsonlog" });
  const database = new MemoryDatabase().answer("pg_log settings", [row]);
  database.answer("pg_log file", [{ file: "log/server.log" }]);
  const reader = new LogSettingsReader(database, () => 0);
  await reader.refresh(signal);
  assert.equal(reader.settings.currentFile, join("/srv/data", "log/server.log"));
  assert.deepEqual(reader.settings.formats, ["csvlog", "jsonlog"]);
  const failing = new MemoryDatabase().answer("pg_log settings", [row]);
  failing.answer("pg_log file", new DatabaseError("could not read", { kind: "statement" }));
  const other = new LogSettingsReader(failing, () => 0);
  await other.refresh(signal);
  assert.equal(other.settings.prefix, "%m [%p] ");
  assert.equal(other.settings.currentFile, null);
});

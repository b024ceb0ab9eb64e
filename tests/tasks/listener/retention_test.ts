/**
 * What the listener forgets, by age and by size.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Database } from "../../../tasks/listener/database.ts";
import { retain } from "../../../tasks/listener/retention.ts";
import { GeneratedAgent } from "../../support/generated_documents.ts";
import { seededRandom } from "../../support/seeded_random.ts";
import { storeDocuments } from "../../support/stored_documents.ts";

const minuteMs = 60_000;
const nowMs = Date.parse("2026-11-21T12:00:00.000Z");
const { signal } = new AbortController();

/** Rows of every table, by their names. */
function counts(database: Database): Record<string, number> {
  const tables = database.all("SELECT name FROM sqlite_master WHERE type = 'table'").map(({ name }) => String(name));
  return Object.fromEntries(tables.map((name) => [name, Number(database.get(`SELECT count(*) AS c FROM ${name}`)!.c)]));
}

function filled(minutes: number): Database {
  const database = new Database(":memory:");
  const agent = new GeneratedAgent({ host: "db1", random: seededRandom(3) });
  const cycles = Array.from({ length: minutes }, (_, index) => nowMs - (minutes - index) * minuteMs);
  storeDocuments(database, cycles.flatMap((atMs) => agent.cycle(atMs)));
  return database;
}

Deno.test("retain forgets all rows of what is too old, and nothing else", async () => {
  const database = filled(20);
  const before = counts(database);
  await retain(database, { keepMs: 60 * minuteMs, bytesMax: 1e9 }, { nowMs, signal });
  assert.deepEqual(counts(database), before);
  // Smaller commits than there are rows.
  await retain(database, { keepMs: 10 * minuteMs, bytesMax: 1e9, rowsMax: 7 }, { nowMs, signal });
  assert.equal(counts(database).document, 60);
  assert.equal(database.get("SELECT min(at) AS at FROM document")!.at, nowMs - 10 * minuteMs);
  await retain(database, { keepMs: 0, bytesMax: 1e9, rowsMax: 7 }, { nowMs: nowMs + minuteMs, signal });
  const { agent, ...others } = counts(database);
  assert.equal(agent, 1);
  assert.deepEqual(Object.entries(others).filter(([, count]) => count > 0), []);
  database.close();
});

Deno.test("retain forgets the oldest until the database is small enough", async () => {
  const database = filled(60);
  const bytesMax = database.usedBytes() / 2;
  await retain(database, { keepMs: 1e12, bytesMax }, { nowMs, signal });
  assert.ok(database.usedBytes() <= bytesMax);
  assert.ok(counts(database).document! > 60);
  assert.equal(database.get("SELECT max(at) AS at FROM document")!.at, nowMs - minuteMs);
  database.close();
});

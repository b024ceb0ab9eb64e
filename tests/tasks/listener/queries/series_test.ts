/**
 * Figures over time: averages where there are many, nothing where there is nothing.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Database } from "../../../../tasks/listener/database.ts";
import { series } from "../../../../tasks/listener/queries/series.ts";
import { GeneratedAgent } from "../../../support/generated_documents.ts";
import { seededRandom } from "../../../support/seeded_random.ts";
import { storeDocuments } from "../../../support/stored_documents.ts";

const minuteMs = 60_000;
const startMs = Date.parse("2026-11-21T10:00:00.000Z");
const span = { fromMs: startMs, toMs: startMs + 60 * minuteMs, points: 1_000 };

/** Minutes that have documents; numbers are lost before the minutes of `losses`. */
function open(minutes: number[], losses: number[] = []): Database {
  const database = new Database(":memory:");
  const agent = new GeneratedAgent({ host: "db1", random: seededRandom(3), sessions: 1, statements: 1, entries: 0 });
  for (const minute of minutes) {
    if (losses.includes(minute)) agent.lose(6, "evicted");
    storeDocuments(database, agent.cycle(startMs + minute * minuteMs));
  }
  return database;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

Deno.test("series has null where documents are lost, and tells which", () => {
  const database = open([...range(0, 20), ...range(30, 60)], [30]);
  const { groups, holes, pauses } = series(database, 1, span);
  const { at, series: columns } = groups.pg_stat_activity;
  const backends = columns.backends!;
  assert.deepEqual(at.filter((_, index) => backends[index] === null), [startMs + 24.5 * minuteMs]);
  assert.deepEqual(holes.map(({ from, to, lost, reasons }) => ({ from, to, lost, reasons })), [
    { from: 121, to: 126, lost: 6, reasons: [{ reason: "evicted", records: 6 }] },
  ]);
  assert.deepEqual([holes[0]!.fromMs, holes[0]!.toMs], [startMs + 19 * minuteMs, startMs + 30 * minuteMs]);
  assert.deepEqual(pauses, []);
  // Counters are no rates across a hole.
  const { at: times, series: { disk_read: read } } = groups.system_metrics;
  assert.equal(read![times.indexOf(startMs + 30 * minuteMs)], null);
  assert.notEqual(read![times.indexOf(startMs + 31 * minuteMs)], null);
  database.close();
});

Deno.test("series tells a pause, in which nothing is missing", () => {
  const database = open([...range(0, 20), ...range(30, 60)]);
  const { holes, pauses } = series(database, 1, span);
  assert.deepEqual(holes, []);
  assert.deepEqual(pauses, [{ fromMs: startMs + 19 * minuteMs, toMs: startMs + 30 * minuteMs }]);
  database.close();
});

Deno.test("series averages steps, and keeps holes holes", () => {
  const database = open([...range(0, 20), ...range(30, 60)]);
  const { at, series: columns } = series(database, 1, { ...span, points: 20 }).groups.pg_stat_activity;
  assert.ok(at.length <= 22, `${at.length} points`);
  assert.equal(columns.backends!.filter((value) => value === null).length, 1);
  // Each session waits for one thing or runs: together they are all of them, also on average.
  const active = at.map((_, index) =>
    Object.entries(columns).filter(([name]) => name.startsWith("wait ")).reduce(
      (sum, [, values]) => sum + (values[index] ?? 0),
      0,
    )
  );
  assert.ok(active.every((sum, index) => columns.backends![index] === null || Math.abs(sum - 1) < 1e-9));
  database.close();
});

/**
 * What a recording between two cycles tells the page: figures by the second, requests, waits, the sessions of a moment.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Database } from "../../../tasks/listener/database.ts";
import { extract } from "../../../tasks/listener/extract.ts";
import { now } from "../../../tasks/listener/queries/now.ts";
import { requests } from "../../../tasks/listener/queries/requests.ts";
import { series } from "../../../tasks/listener/queries/series.ts";
import { story } from "../../../tasks/listener/queries/story.ts";
import { createValidator } from "../../../tasks/listener/schemas.ts";
import { burstDocument, burstFacts } from "../../support/burst_document.ts";
import { GeneratedAgent } from "../../support/generated_documents.ts";
import { seededRandom } from "../../support/seeded_random.ts";
import { storeDocuments } from "../../support/stored_documents.ts";

const minuteMs = 60_000;
const firstMs = Date.parse("2026-11-21T10:00:00.000Z");
const startMs = firstMs + 10 * minuteMs + 15_000;
const { holder, waiter, holderPid, waiterPid, waiting, stormS, calmS, beforeCount } = burstFacts;

/** Twenty quiet minutes, with a recording between two of them. */
function open(others = 0): Database {
  const database = new Database(":memory:");
  const agent = new GeneratedAgent({ host: "db1", random: seededRandom(3), sessions: 1, statements: 1, entries: 0 });
  for (let minute = 0; minute < 20; minute++) {
    storeDocuments(database, agent.cycle(firstMs + minute * minuteMs));
    if (minute === 10) storeDocuments(database, [burstDocument(agent, startMs, others)]);
  }
  return database;
}

Deno.test("burstExtract has each sample's figures, with those who are counted and not listed", () => {
  const document = burstDocument(new GeneratedAgent({ host: "db1", random: seededRandom(3) }), startMs);
  assert.equal(createValidator()(document), null);
  const { moments: all, figures, sightings } = extract(document, startMs);
  assert.equal(figures, null);
  const moments = all.filter(({ type }) => type === undefined);
  assert.deepEqual(moments.map(({ atMs }) => atMs - startMs), [...Array(stormS + calmS).keys()].map((s) => s * 1_000));
  assert.deepEqual(moments[5]!.figures, {
    ...{ "wait Lock:transactionid": 9, "wait Lock:not listed": waiting - 9, "wait not listed": 2 },
    ...{ backends: waiting + 14, idle_in_transaction: 1, longest_xact_ms: 10_000 },
    ...{ waiting, roots: 1, longest_wait_ms: 5_000 },
  });
  assert.deepEqual(new Set(sightings.map(({ correlationId }) => correlationId)), new Set([holder, waiter]));
});

Deno.test("burstExtract has the counts of the time before, by the kind of wait alone", () => {
  const document = burstDocument(new GeneratedAgent({ host: "db1", random: seededRandom(3) }), startMs);
  const before = extract(document, startMs).moments.filter(({ type }) => type !== undefined);
  assert.deepEqual(before.map(({ atMs }) => atMs - startMs), [-10_000, -5_000]);
  assert.deepEqual(before[0]!.figures, {
    "wait CPU": 1,
    "wait IO:not listed": 2,
    "wait Lock:not listed": 2,
    waiting: 2,
  });
});

Deno.test("burstExtract keeps what a clock that is set says within the recording", () => {
  const document = burstDocument(new GeneratedAgent({ host: "db1", random: seededRandom(3) }), startMs);
  const samples = document.data.samples as { at: string }[];
  [samples[0]!.at, samples[1]!.at, samples[2]!.at] = [
    "2020-01-01T00:00:00.000Z",
    "2036-01-01T00:00:00.000Z",
    "2026-99-99T00:00:00.000Z",
  ];
  (document.data.before as { at: string }[])[0]!.at = "2020-01-01T00:00:00.000Z";
  const { moments: all } = extract(document, startMs);
  assert.equal(all[0]!.atMs - startMs, -60_000);
  const moments = all.filter(({ type }) => type === undefined);
  assert.deepEqual(moments.slice(0, 3).map(({ atMs }) => atMs - startMs), [0, 120_000, 3_000]);
  // Two samples of one time are one, and the document is stored.
  samples[3]!.at = samples[0]!.at;
  const database = new Database(":memory:");
  storeDocuments(database, [document]);
  assert.equal(database.get("SELECT count(*) AS count FROM figure")!.count, stormS + calmS - 2 + beforeCount);
  database.close();
});

Deno.test("a recording is among the requests, with who waited and who held up others", () => {
  for (const others of [0, 2]) {
    const database = open(others);
    const found = requests(database, { kind: "all", prefix: "", limit: 500 });
    const [held, waited] = [holder, waiter].map((id) => found.find(({ correlationId }) => correlationId === id)!);
    assert.deepEqual([held?.heldUp, held?.waitedMs], [true, null]);
    assert.deepEqual([waited?.heldUp, waited?.waitedMs], [false, (stormS - 1) * 1_000]);
    database.close();
  }
});

Deno.test("story tells of a recording: sessions seen, the wait, and for whom", () => {
  const database = open();
  const mine = story(database, waiter)!;
  const [process] = mine.processes;
  assert.deepEqual([mine.processes.length, process!.pid, process!.sightings.length], [1, waiterPid, stormS]);
  assert.deepEqual(new Set(process!.sightings.map(({ wait }) => wait)), new Set(["Lock:transactionid"]));
  assert.deepEqual(new Set(process!.sightings.map(({ queryStartMs }) => queryStartMs)), new Set([startMs - 2_000]));
  assert.equal(mine.waits.length, 1, "one wait, however often it was seen");
  const { role, other, startMs: from, endMs } = mine.waits[0]!;
  assert.deepEqual([role, other.pid, other.correlationId], ["waited", holderPid, holder]);
  assert.deepEqual([from, endMs], [startMs, startMs + (stormS - 1) * 1_000]);
  const { waits } = story(database, holder)!;
  assert.equal(waits.length, 9);
  assert.ok(waits.every((wait) => wait.role === "held"));
  database.close();
});

Deno.test("story names nobody where several hold up others, and says that there was a wait", () => {
  const database = open(1);
  const { waits, seenWaitingMs, heldUp } = story(database, waiter)!;
  assert.deepEqual([waits, seenWaitingMs, heldUp], [[], (stormS - 1) * 1_000, false]);
  assert.equal(story(database, holder)!.heldUp, true);
  database.close();
});

Deno.test("series shows a recording by the second, and no hole for it", () => {
  const database = open();
  const span = { fromMs: firstMs, toMs: firstMs + 19 * minuteMs, points: 1_000 };
  const { groups, bursts, pauses, intervalMs } = series(database, 1, span);
  assert.deepEqual(bursts, [{ fromMs: startMs, toMs: startMs + (stormS + calmS - 1) * 1_000 }]);
  assert.deepEqual([pauses, intervalMs], [[], minuteMs]);
  const { at, series: load } = groups.pg_stat_activity;
  assert.equal(at.length, 20 + beforeCount + stormS + calmS);
  const before = at.indexOf(startMs - 5_000);
  assert.deepEqual([load["wait IO:not listed"]![before], load["wait Lock:not listed"]![before]], [2, 2]);
  assert.equal(load["wait Lock:not listed"]![at.indexOf(startMs + 3_000)], waiting - 9);
  assert.equal(load.backends!.filter((value) => value === null).length, beforeCount, "a count does not tell of them");
  assert.equal(load.waiting, undefined);
  const locks = groups.pg_locks;
  assert.equal(locks.series.waiting![locks.at.indexOf(startMs + 3_000)], waiting);
  assert.ok(series(database, 1, { ...span, points: 20 }).groups.pg_locks.series.waiting!.some((value) => value! > 10));
  database.close();
});

Deno.test("series draws no line to a recording from a cycle long before it", () => {
  const database = new Database(":memory:");
  const agent = new GeneratedAgent({ host: "db1", random: seededRandom(3), sessions: 1, statements: 1, entries: 0 });
  for (let minute = 8; minute <= 12; minute++) storeDocuments(database, agent.cycle(firstMs + minute * minuteMs));
  const document = burstDocument(agent, startMs);
  storeDocuments(database, [{ ...document, data: { ...document.data, before: [] } }]);
  const span = { fromMs: firstMs + 8 * minuteMs, toMs: firstMs + 12 * minuteMs, points: 1_000 };
  for (const { at, series: columns } of Object.values(series(database, 1, span).groups).slice(0, 2)) {
    const first = at.indexOf(startMs);
    for (const values of Object.values(columns)) assert.equal(values[first - 1], null);
    assert.ok(Object.values(columns).every((values) => values[first - 2] !== null));
  }
  database.close();
});

Deno.test("series averages over those that know a figure, where counts and samples share a step", () => {
  const database = open();
  const span = { fromMs: firstMs, toMs: firstMs + 19 * minuteMs, points: 5 };
  const { backends } = series(database, 1, span).groups.pg_stat_activity.series;
  const whole = series(database, 1, { ...span, points: 1_000 }).groups.pg_stat_activity.series.backends!;
  const least = Math.min(...whole.filter((value) => value !== null));
  assert.ok(backends!.every((value) => value === null || value >= least), `${backends}`);
  database.close();
});

Deno.test("now shows the second that is asked for, and otherwise the last cycle", () => {
  const database = open();
  const then = now(database, 1, startMs + 4_300);
  assert.equal(then.recorded, true);
  assert.equal(then.pg_stat_activity!.atMs, startMs + 4_000);
  assert.equal(then.pg_stat_activity!.data.sessions.length, 10);
  const { waiting: count, roots, locks } = then.pg_locks!.data;
  assert.deepEqual([count, roots.length, locks.length, locks[0].blocking_pid], [waiting, 1, 9, holderPid]);
  for (const atMs of [startMs - 1_000, firstMs + 11 * minuteMs, firstMs + 30 * minuteMs]) {
    assert.equal(now(database, 1, atMs).recorded, false);
  }
  database.close();
});

/**
 * What the page asks, on a day of data: bounded answers, by indexes, and refusals of nonsense.
 *
 * @module
 */

import assert from "node:assert/strict";
import { createApi } from "../../../tasks/listener/api.ts";
import { Database, type Row, type Value } from "../../../tasks/listener/database.ts";
import { Live } from "../../../tasks/listener/live.ts";
import type { SeriesAnswer } from "../../../tasks/listener/queries/series.ts";
import { Refusal } from "../../../tasks/listener/refusal.ts";
import { GeneratedAgent } from "../../support/generated_documents.ts";
import { seededRandom } from "../../support/seeded_random.ts";
import { storeDocuments } from "../../support/stored_documents.ts";

const minuteMs = 60_000;
const nowMs = Date.parse("2026-11-21T12:00:00.000Z");
const dayMs = 1_440 * minuteMs;

/** Remembers every statement that it was asked. */
class WatchedDatabase extends Database {
  readonly asked = new Map<string, Value[]>();

  override all(sql: string, ...values: Value[]): Row[] {
    if (!sql.startsWith("EXPLAIN")) this.asked.set(sql, values);
    return super.all(sql, ...values);
  }

  override get(sql: string, ...values: Value[]): Row | null {
    this.asked.set(sql, values);
    return super.get(sql, ...values);
  }
}

/** A day of one agent, and some cycles of another. */
function openDay() {
  const database = new WatchedDatabase(":memory:");
  const random = seededRandom(5);
  const size = { sessions: 2, statements: 4, entries: 2 };
  const agent = new GeneratedAgent({ host: "db1", random, ...size });
  const other = new GeneratedAgent({ host: "db2", random, ...size });
  for (let minute = 1_440; minute > 0; minute -= 60) {
    const cycles = Array.from({ length: 60 }, (_, index) => agent.cycle(nowMs - (minute - index) * minuteMs));
    storeDocuments(database, cycles.flat());
  }
  storeDocuments(database, other.cycle(nowMs));
  const api = createApi({ database, live: new Live(), nowMs: () => nowMs, stop: new AbortController().signal });
  api.onError((error) =>
    Response.json({ reason: error.message }, { status: error instanceof Refusal ? error.status : 500 })
  );
  const ask = async (path: string) => {
    const answer = await api.request(path);
    return { status: answer.status, body: await answer.json() };
  };
  return { database, ask };
}

Deno.test("createApi answers a day within bounds, and reads no table whole", async (t) => {
  const { database, ask } = openDay();
  database.asked.clear();
  const span = `from=${nowMs - dayMs}&to=${nowMs}`;
  const { body: { requests: [{ correlationId }] } } = await ask("/requests");
  await t.step("series", async () => {
    const { groups } = (await ask(`/series?agent=1&${span}&points=300`)).body as SeriesAnswer;
    for (const { at, series } of Object.values(groups)) {
      assert.ok(at.length > 150 && at.length <= 302, `${at.length} points`);
      for (const values of Object.values(series)) assert.equal(values.length, at.length);
      assert.ok(Object.values(series).every((values) => values.slice(1).every((value) => value !== null)));
    }
  });
  await t.step("lists", async () => {
    const { statements, total, count } = (await ask(`/statements?agent=1&${span}&order=calls`)).body;
    assert.deepEqual([statements.length, count], [4, 4]);
    const fewer = (await ask(`/statements?agent=1&${span}&order=calls&limit=3`)).body;
    assert.deepEqual([fewer.statements.length, fewer.count, fewer.total], [3, 4, total]);
    assert.ok(statements[0].calls >= statements[1].calls && total.calls > statements[0].calls);
    const { entries, more, counts } = (await ask(`/log?agent=1&${span}&limit=50`)).body;
    assert.deepEqual([entries.length, more], [50, true]);
    assert.ok(counts.at.length <= 121);
    const errors = (counts.levels.ERROR as number[]).reduce((sum, count) => sum + count, 0);
    assert.equal(
      errors,
      database.get(
        "SELECT count(*) AS c FROM log_entry WHERE agent_id = 1 AND severity = 6 AND at >= ?",
        nowMs - dayMs,
      )!.c,
    );
    const history = (await ask(`/statements/${statements[0].id}?${span}&points=100`)).body;
    assert.ok(history.at.length <= 110);
    const calls = (history.series.calls as number[]).reduce((sum, count) => sum + count, 0);
    assert.equal(calls, statements[0].calls);
    assert.ok((await ask("/requests?kind=all")).body.requests.length <= 500);
  });
  const others = [
    ...["/agents", "/now?agent=1", `/now?agent=1&at=${nowMs - dayMs / 2}`, `/statements/1?${span}`],
    ...[`/log?agent=1&${span}&level=ERROR&sqlstate=42P&text=ITEM_1`, `/requests/${correlationId}`],
    ...["/requests?kind=waits", "/requests?kind=errors", `/requests?prefix=${correlationId.slice(0, 4)}`],
  ];
  for (const path of others) await t.step(path, async () => assert.equal((await ask(path)).status, 200));
  await t.step("no statement scans", () => {
    assert.ok(database.asked.size > 15);
    for (const [sql, values] of database.asked) {
      const plan = database.all(`EXPLAIN QUERY PLAN ${sql}`, ...values).map(({ detail }) => String(detail));
      // The agents are few, and all of them are asked for; an index may be walked when a limit ends the walk.
      const walked = sql.includes("WHERE true") ? "request_last" : "request_notable";
      const allowed = new RegExp(`^SCAN (?:agent\\b|\\(|request USING INDEX ${walked})`);
      const scans = plan.filter((step) => step.startsWith("SCAN") && !allowed.test(step));
      assert.deepEqual(scans, [], `${sql}\n${plan.join("\n")}`);
    }
  });
  database.close();
});

Deno.test("createApi refuses what makes no sense, and says what is allowed", async () => {
  const { database, ask } = openDay();
  const cases: [string, number, RegExp][] = [
    ["/now", 400, /agent is missing/],
    ["/now?agent=x", 400, /agent must be a whole number/],
    ["/series?agent=1&from=5&to=4", 400, /from must be before to/],
    ["/series?agent=1&points=5000", 400, /points must be .* to 2000: current value is 5000/],
    ["/statements?agent=1&order=password", 400, /order must be one of timeMs, calls/],
    ["/log?agent=1&level=LOUD", 400, /level must be one of/],
    ["/requests/1", 400, /named by a UUID/],
    ["/requests/0b1d3f60-5b7e-4c2f-9a51-6f0a7f3f7a10", 404, /not known here/],
    ["/statements/999", 404, /not known here/],
    ["/log/1/999", 404, /not known here/],
    ["/documents/none", 404, /not known here/],
  ];
  for (const [path, status, reason] of cases) {
    const answer = await ask(path);
    assert.equal(answer.status, status, path);
    assert.match(answer.body.reason, reason);
  }
  database.close();
});

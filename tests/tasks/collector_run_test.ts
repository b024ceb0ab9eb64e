// The wrapper around every run: deadlines, counts, log lines, pace; time is the test's.
import assert from "node:assert/strict";
import type { CollectContext, Collection, Collector } from "../../collectors/collector.ts";
import { DatabaseError } from "../../collectors/database.ts";
import { CollectorRun } from "../../tasks/collector_run.ts";
import { Governor } from "../../tasks/governor.ts";
import type { Draft } from "../../transport/envelope.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { MemoryLog } from "../support/memory_log.ts";
import { waitFor } from "../support/wait_for.ts";

const intervalMs = 60_000;

class Bench implements Collector {
  readonly name: string;
  readonly log = new MemoryLog();
  readonly captured: Draft[] = [];
  readonly clock: FakeClock;
  readonly governor: Governor;
  readonly run: CollectorRun;
  collect: (context: CollectContext) => Promise<Collection> = () => Promise.resolve(samples());
  capture: (draft: Draft) => Promise<void> = (draft) => Promise.resolve(void this.captured.push(draft));

  constructor(start = "2026-11-21T03:00:00.000Z", name = "pg_test") {
    this.name = name;
    this.clock = new FakeClock(start);
    this.governor = new Governor({ clock: this.clock, log: this.log, intervalMs, cpus: 1 });
    const { clock, log } = this;
    this.run = new CollectorRun({
      collector: this.#asCollector(),
      capture: (d) => this.capture(d),
      clock,
      log,
      intervalMs,
      governor: this.governor,
    });
  }

  /** A collector that does not look at its signal and ends when told. */
  hang(): (collection: Collection) => void {
    const { promise, resolve } = Promise.withResolvers<Collection>();
    this.collect = () => promise;
    return resolve;
  }

  #asCollector(): Collector {
    return { name: this.name, collect: (context) => this.collect(context) };
  }
}

function samples(stored?: () => void): Collection {
  return { kind: "samples", data: { count: 3 }, rows: 3, ...(stored && { stored }) };
}

Deno.test("CollectorRun hands on what was collected, with the time of the run, and says so", async () => {
  const bench = new Bench();
  await bench.run.tick();
  const timestamp = new Date("2026-11-21T03:00:00.000Z");
  assert.deepEqual(bench.captured, [{ type: "pg_test", timestamp, data: { count: 3 } }]);
  assert.deepEqual(bench.log.of("collection_complete")[0]?.fields, { collector: "pg_test", duration_ms: 0, rows: 3 });
  const { last, missedRuns } = bench.run;
  assert.deepEqual(last, { name: "pg_test", ok: true, durationMs: 0, rows: 3, skipped: null, error: null, every: 1 });
  assert.equal(missedRuns, 0);
});

Deno.test("CollectorRun confirms only what was stored", async () => {
  const bench = new Bench();
  const confirmed: string[] = [];
  bench.collect = () => Promise.resolve(samples(() => confirmed.push("first")));
  bench.capture = () => Promise.reject(new Error("database or disk is full"));
  await bench.run.tick();
  assert.deepEqual(confirmed, []);
  assert.equal(bench.run.last?.ok, false);
  bench.capture = () => Promise.resolve();
  await bench.run.tick();
  assert.deepEqual(confirmed, ["first"]);
});

Deno.test("CollectorRun does not take the wait for the outbox for the collector's own time", async () => {
  const bench = new Bench();
  bench.collect = async () => {
    await bench.clock.sleep(40);
    return samples();
  };
  bench.capture = () => bench.clock.sleep(25);
  const run = bench.run.tick();
  await bench.clock.advance(40);
  await bench.clock.advance(25);
  await run;
  assert.equal(bench.run.last?.durationMs, 40);
});

Deno.test("CollectorRun survives a collector that throws, at once or later", async () => {
  const bench = new Bench();
  bench.collect = () => {
    throw new TypeError("Cannot read column");
  };
  await bench.run.tick();
  bench.collect = () => Promise.reject(new Error("later"));
  await bench.run.tick();
  assert.deepEqual(bench.log.of("collection_failed").map(({ fields }) => fields.error), [
    "Cannot read column",
    "later",
  ]);
  assert.equal(bench.run.last?.error, "later");
});

Deno.test("CollectorRun leaves it to the database to say that it is away", async () => {
  const bench = new Bench();
  for (const kind of ["unreachable", "refused", "full"] as const) {
    bench.collect = () => Promise.reject(new DatabaseError("away", { kind }));
    await bench.run.tick();
  }
  assert.deepEqual(bench.log.of("collection_failed").map(({ level }) => level), ["debug", "debug", "debug"]);
  assert.equal(bench.run.last?.error, "away");
});

Deno.test("CollectorRun says once why it skips", async () => {
  const bench = new Bench();
  bench.collect = () => Promise.resolve({ kind: "skipped", reason: "pg_stat_statements is not installed" });
  await bench.run.tick();
  await bench.run.tick();
  assert.equal(bench.log.of("collection_skipped").length, 1);
  assert.deepEqual(bench.captured, []);
  assert.equal(bench.run.last?.ok, true);
});

Deno.test("CollectorRun cuts a run off before the next tick, counts it, and drops what it brings later", async () => {
  const bench = new Bench();
  const finish = bench.hang();
  const tick = bench.run.tick();
  await bench.clock.advance(57_999);
  assert.equal(bench.run.missedRuns, 0);
  await bench.clock.advance(1);
  await tick;
  finish(samples());
  await bench.clock.advance(0);
  assert.deepEqual(bench.captured, []);
  assert.equal(bench.run.missedRuns, 1);
  assert.match(bench.run.last?.error ?? "", /Cut off after 58000 ms/);
});

Deno.test("CollectorRun tells the collector when it is cut off", async () => {
  const bench = new Bench();
  let aborted = false;
  bench.collect = ({ signal }) => {
    signal.addEventListener("abort", () => aborted = true);
    return new Promise(() => undefined);
  };
  const tick = bench.run.tick();
  await bench.clock.advance(intervalMs);
  await tick;
  assert(aborted);
});

Deno.test("CollectorRun lets a first run right before a tick be that tick's, and gives it until the tick after", async () => {
  const bench = new Bench("2026-11-21T03:00:55.000Z");
  const finish = bench.hang();
  const first = bench.run.run();
  await bench.clock.advance(5_000);
  await bench.run.tick();
  assert.equal(bench.run.missedRuns, 0);
  finish(samples());
  await first;
  assert.equal(bench.captured.length, 1);
  assert.deepEqual(bench.log.of("collection_missed"), []);
});

Deno.test("CollectorRun counts one missed run when the first one hangs over a tick and is cut off", async () => {
  const bench = new Bench("2026-11-21T03:00:58.000Z");
  bench.hang();
  const first = bench.run.run();
  await bench.clock.advance(2_000);
  await bench.run.tick();
  await bench.clock.advance(58_000);
  await first;
  assert.equal(bench.run.missedRuns, 1);
});

Deno.test("CollectorRun counts a tick that finds another tick's run going", async () => {
  const bench = new Bench();
  const finish = bench.hang();
  const tick = bench.run.tick();
  await bench.run.tick();
  assert.equal(bench.run.missedRuns, 1);
  finish(samples());
  await tick;
});

Deno.test("CollectorRun counts ticks that never came", async () => {
  const bench = new Bench();
  await bench.run.tick();
  await bench.clock.advance(4 * intervalMs);
  await bench.run.tick();
  assert.equal(bench.run.missedRuns, 3);
});

Deno.test("CollectorRun counts each tick once that did not come in a standstill, whenever the next one comes", async () => {
  for (const [wakesMs, missed] of [[61_000, 0], [119_000, 1], [140_000, 1], [160_000, 1], [175_001, 2]] as const) {
    const bench = new Bench();
    await bench.run.tick();
    await bench.clock.advance(wakesMs);
    await bench.run.tick();
    assert.equal(bench.run.missedRuns, missed, `after ${wakesMs} ms`);
    await bench.clock.advance(intervalMs - (wakesMs % intervalMs));
    await bench.run.tick();
    assert.equal(bench.run.missedRuns, missed, `at the tick after that of ${wakesMs} ms`);
  }
});

Deno.test("CollectorRun does not take a clock that was set for missed ticks", async () => {
  const bench = new Bench();
  await bench.run.tick();
  await bench.clock.advance(intervalMs);
  bench.clock.setWall("2026-11-22T03:01:00.000Z");
  await bench.run.tick();
  await bench.clock.advance(intervalMs);
  bench.clock.setWall("2026-11-20T03:01:00.000Z");
  await bench.run.tick();
  // An hour back in the middle of a minute, and half a minute on: cron ticks on whole minutes of the new time.
  await bench.clock.advance(30_000);
  bench.clock.setWall("2026-11-20T02:01:45.000Z");
  await bench.clock.advance(15_000);
  await bench.run.tick();
  bench.clock.setWall("2026-11-20T02:02:30.000Z");
  await bench.clock.advance(30_000);
  await bench.run.tick();
  assert.equal(bench.run.missedRuns, 0);
});

Deno.test("CollectorRun.stop lets a run end within the grace, and cuts it off after that", async () => {
  for (const ends of [true, false]) {
    const bench = new Bench();
    const finish = bench.hang();
    const tick = bench.run.tick();
    await waitFor("the run", () => bench.clock.sleepers > 0);
    const stopped = bench.run.stop(10_000);
    if (ends) finish(samples());
    else await bench.clock.advance(10_000);
    await stopped;
    await tick;
    assert.equal(bench.captured.length, ends ? 1 : 0);
    assert.equal(bench.run.missedRuns, ends ? 0 : 1);
  }
});

Deno.test("CollectorRun leaves out the ticks that the governor leaves out, and tells it of failures", async () => {
  const bench = new Bench("2026-11-21T03:00:00.000Z", "pg_stat_activity");
  for (const kind of ["timeout", "full", "timeout", "full"] as const) {
    bench.collect = () => Promise.reject(new DatabaseError("in trouble", { kind }));
    await bench.run.run();
    bench.governor.endCycle(5_000);
  }
  assert.equal(bench.governor.status.step, "activity");
  assert.match(bench.governor.status.reason ?? "", /pg_stat_activity found no connection/);
  bench.collect = () => Promise.resolve(samples());
  await bench.run.tick();
  assert.match(bench.run.last?.skipped ?? "", /one tick of 2/);
  assert.deepEqual([bench.run.last?.every, bench.captured.length], [2, 0]);
  await bench.run.tick();
  assert.deepEqual([bench.run.last?.every, bench.captured.length], [2, 1]);
  assert.equal(bench.run.missedRuns, 0, "a tick that is left out on purpose is not missed");
});

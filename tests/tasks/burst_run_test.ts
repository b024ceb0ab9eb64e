// The burst recorder on a clock of the test's: when it looks, when it records, when it ends, what it may cost.
import assert from "node:assert/strict";
import type { BurstSample, Probe } from "../../collectors/burst.ts";
import { DatabaseError } from "../../collectors/database.ts";
import * as limits from "../../limits.ts";
import { BurstRun } from "../../tasks/burst_run.ts";
import { Governor } from "../../tasks/governor.ts";
import { createValidator } from "../../tasks/listener/schemas.ts";
import type { Draft } from "../../transport/envelope.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { MemoryLog } from "../support/memory_log.ts";

const validate = createValidator();

class Bench implements AsyncDisposable {
  readonly clock = new FakeClock("2026-11-21T03:00:00.000Z");
  readonly log = new MemoryLog();
  readonly governor = new Governor({ clock: this.clock, log: this.log, intervalMs: 60_000, cpus: 2 });
  readonly captured: { type: string; data: BurstData }[] = [];
  run: BurstRun;
  probes = 0;
  lockWaiters = 0;
  active = 1;
  fails = false;
  sampleMs = 5;
  waitedMs = 0;
  filling = "";

  constructor() {
    this.run = this.#start(null);
  }

  /** As a reload does. */
  async reload(): Promise<void> {
    const stopped = this.run.stop();
    // The sample under way.
    await this.clock.advance(this.sampleMs);
    await stopped;
    this.run = this.#start(this.run);
  }

  #start(before: BurstRun | null): BurstRun {
    const waitedMs = () => this.waitedMs;
    const sampler = {
      probe: () => Promise.resolve(this.#probe()),
      sample: () => this.#sample(),
      get waitedMs() {
        return waitedMs();
      },
    };
    const { governor, clock, log } = this;
    const run = new BurstRun({ sampler, governor, clock, log, cpus: 2, before });
    run.start((draft) => Promise.resolve(this.#capture(draft)));
    return run;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run.stop();
  }

  #probe(): Probe {
    this.probes += 1;
    if (this.fails) throw new DatabaseError("Connection refused", { kind: "unreachable" });
    const at = this.clock.now().toISOString();
    return { at, active: this.active, lock_waiters: this.lockWaiters, waits: { none: this.active } };
  }

  async #sample(): Promise<BurstSample> {
    const at = this.clock.now().toISOString();
    const { active, lockWaiters: lock_waiters } = this;
    // As a slow answer does.
    await this.clock.sleep(this.sampleMs);
    this.waitedMs += this.sampleMs;
    const session = Object.fromEntries(
      ["datname", "usename", "application_name", "correlation_id", "state", "wait_event_type", "wait_event"]
        .concat("query_ms", "xact_ms", "query_id").map((name) => [name, null]),
    );
    const sessions = this.filling === "" ? [] : [{ ...session, pid: 1, application_name: this.filling, query: null }];
    return { at, active, lock_waiters, by_state: { active }, sessions, roots: [] };
  }

  #capture({ type, timestamp, data }: Draft): void {
    const document = {
      ...{ id: "01KA0000000000000000000000", project: "tests", host: "tests", type, sequence: 1 },
      ...{ timestamp: timestamp.toISOString(), agent: { version: "0.0.0" }, data },
    };
    assert.equal(validate(document), null);
    this.captured.push({ type, data: data as unknown as BurstData });
  }
}

interface BurstData {
  trigger: { kind: string; value: number };
  before: Probe[];
  samples: BurstSample[];
  truncated: boolean;
  server_ms: number;
}

Deno.test("BurstRun probes every few seconds, and asks nothing more while nothing happens", async () => {
  await using bench = new Bench();
  await bench.clock.advance(60_000);
  assert.deepEqual([bench.probes, bench.captured.length], [12, 0]);
});

Deno.test("BurstRun records a storm of twenty seconds a sample a second, with the half minute before", async () => {
  await using bench = new Bench();
  await bench.clock.advance(42_000);
  bench.lockWaiters = 30;
  await bench.clock.advance(20_000);
  bench.lockWaiters = 0;
  await bench.clock.advance(20_000);
  const [burst, ...more] = bench.captured;
  assert.deepEqual([burst?.type, more.length], ["pg_burst", 0]);
  const { trigger, before, samples, truncated } = burst!.data;
  assert.deepEqual([trigger.kind, trigger.value, truncated], ["lock_queue", 30, false]);
  assert.equal(before.length, limits.burstRingProbes - 1);
  assert.ok(before.every(({ lock_waiters }) => lock_waiters === 0));
  assert.equal(samples.filter(({ lock_waiters }) => lock_waiters === 30).length, 18);
  const calm = samples.filter(({ lock_waiters }) => lock_waiters === 0).length;
  assert.equal(calm, limits.burstCalmMs / 1_000 + 1, "it ends when the storm has been gone for a while");
});

Deno.test("BurstRun ends after a minute, and records a storm that goes on only once", async () => {
  await using bench = new Bench();
  bench.lockWaiters = 30;
  await bench.clock.advance(10 * limits.burstRestMs);
  assert.equal(bench.captured.length, 1);
  assert.equal(bench.captured[0]?.data.samples.length, 60);
  bench.lockWaiters = 0;
  await bench.clock.advance(10_000);
  bench.lockWaiters = 30;
  await bench.clock.advance(70_000);
  assert.equal(bench.captured.length, 2);
});

Deno.test("BurstRun rests between two recordings, and records what still is when the rest is over", async () => {
  await using bench = new Bench();
  bench.lockWaiters = 30;
  await bench.clock.advance(70_000);
  bench.lockWaiters = 0;
  await bench.clock.advance(10_000);
  bench.lockWaiters = 30;
  await bench.clock.advance(limits.burstRestMs - 30_000);
  assert.equal(bench.captured.length, 1);
  await bench.clock.advance(100_000);
  assert.equal(bench.captured.length, 2);
});

Deno.test("BurstRun takes samples further apart the more they cost, within a budget of their own", async () => {
  await using bench = new Bench();
  bench.sampleMs = 100;
  bench.lockWaiters = 30;
  await bench.clock.advance(80_000);
  const { samples, server_ms } = bench.captured[0]!.data;
  assert.equal(samples.length, 12, "every 5.1 s");
  assert.equal(server_ms, 1_200);
  bench.governor.endCycle(1_200);
  assert.equal(bench.governor.status.serverMs, 0, "the usual budget is not charged for it");
});

Deno.test("BurstRun asks nothing while the governor does not allow it", async () => {
  await using bench = new Bench();
  bench.lockWaiters = 30;
  for (let cycle = 0; cycle < 2; cycle++) bench.governor.endCycle(5_000);
  await bench.clock.advance(120_000);
  assert.deepEqual([bench.probes, bench.captured.length], [0, 0]);
});

Deno.test("BurstRun keeps its document within its bytes, and says that it was cut", async () => {
  await using bench = new Bench();
  bench.filling = "x".repeat(100_000);
  bench.lockWaiters = 30;
  await bench.clock.advance(80_000);
  const { samples, truncated } = bench.captured[0]!.data;
  assert.deepEqual([samples.length, truncated], [9, true]);
});

Deno.test("BurstRun goes on when the server does not answer", async () => {
  await using bench = new Bench();
  bench.fails = true;
  await bench.clock.advance(60_000);
  bench.fails = false;
  bench.lockWaiters = 30;
  await bench.clock.advance(80_000);
  assert.equal(bench.captured.length, 1);
  assert.equal(bench.log.of("burst_read_failed").length, 0, "the database says that it is away");
});

Deno.test("BurstRun records a storm of recent errors, but not of old ones that are read late", async () => {
  await using bench = new Bench();
  await bench.clock.advance(60_000);
  const see = (timestamp: string) => {
    for (let index = 0; index < 200; index++) bench.run.seeEntry({ level: "ERROR", timestamp });
  };
  for (const timestamp of ["2026-11-21T02:00:00.000Z", "2026-11-21T04:00:00.000Z"]) {
    see(timestamp);
    await bench.clock.advance(20_000);
    assert.deepEqual(bench.log.of("burst_recording_begins"), [], timestamp);
  }
  see(bench.clock.now().toISOString());
  await bench.clock.advance(60_000);
  assert.equal(bench.captured[0]?.data.trigger.kind, "error_storm");
});

Deno.test("BurstRun.stop delivers what a recording has so far", async () => {
  const bench = new Bench();
  bench.lockWaiters = 30;
  await bench.clock.advance(12_500);
  await bench.run.stop();
  assert.equal(bench.captured[0]?.data.samples.length, 8);
});

Deno.test("BurstRun keeps its rest over a reload, and records again when both the rest and the storm are over", async () => {
  await using bench = new Bench();
  bench.lockWaiters = 30;
  await bench.clock.advance(20_000);
  for (let reloads = 0; reloads < 3; reloads++) {
    await bench.reload();
    await bench.clock.advance(20_000);
  }
  assert.equal(bench.captured.length, 1, "what the first had when it was stopped");
  bench.lockWaiters = 0;
  await bench.clock.advance(10_000);
  bench.lockWaiters = 30;
  await bench.clock.advance(20_000);
  assert.equal(bench.captured.length, 1);
  await bench.clock.advance(limits.burstRestMs);
  assert.equal(bench.captured.length, 2);
});

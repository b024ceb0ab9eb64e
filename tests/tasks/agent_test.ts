// The agent's parts put together: start, cycle, failures, stop; with every seam in memory.
import assert from "node:assert/strict";
import type { Collector } from "../../collectors/collector.ts";
import * as limits from "../../limits.ts";
import { Agent } from "../../tasks/agent.ts";
import { BurstRun } from "../../tasks/burst_run.ts";
import type { Schedule } from "../../tasks/cron.ts";
import { Governor } from "../../tasks/governor.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { MemoryDatabase } from "../fakes/memory_database.ts";
import { MemoryOutbox } from "../fakes/memory_outbox.ts";
import { retry, ScriptedDelivery } from "../fakes/scripted_delivery.ts";
import { draftOf, testSeal } from "../support/drafts.ts";
import { MemoryLog } from "../support/memory_log.ts";
import { waitFor } from "../support/wait_for.ts";

/** Ticks when a test says so. */
class ManualSchedule {
  readonly ticks: (() => Promise<void>)[] = [];

  readonly schedule: Schedule = (_name, { signal }, tick) => {
    this.ticks.push(tick);
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  };
}

function counting(name: string): Collector {
  let runs = 0;
  return { name, collect: () => Promise.resolve({ kind: "samples", data: { run: ++runs }, rows: 1 }) };
}

function failing(name: string): Collector {
  return { name, collect: () => Promise.reject(new Error("broken")) };
}

function usage() {
  return { rssBytes: 50_000_000, cpuS: 1.5 };
}

class Bench {
  readonly clock = new FakeClock();
  readonly log = new MemoryLog();
  readonly delivery = new ScriptedDelivery();
  readonly database = new MemoryDatabase();
  readonly outbox: MemoryOutbox;
  readonly cron = new ManualSchedule();
  readonly stopping = new AbortController();
  readonly #collectors: Collector[];
  #agent: Agent | null = null;

  constructor(collectors: Collector[], maxBytes = 10_000_000) {
    this.outbox = new MemoryOutbox({ seal: testSeal(), maxBytes });
    this.#collectors = collectors;
  }

  /** Made at the first use, so that a test can fill the outbox before. */
  get agent(): Agent {
    const { clock, log, delivery, database, outbox, cron: { schedule } } = this;
    const governor = new Governor({ clock, log, intervalMs: 60_000, cpus: 1 });
    const parts = { clock, log, delivery, database, outbox, schedule, governor, stopping: this.stopping.signal };
    this.#agent ??= new Agent({ ...parts, collectors: this.#collectors, intervalS: 60, random: () => 0, usage });
    return this.#agent;
  }

  /** Moves the clock until the promise is there. */
  async whileTimePasses<T>(promise: Promise<T>): Promise<T> {
    let ended = false;
    const end = () => void (ended = true);
    promise.then(end, end);
    await waitFor("the end", async () => {
      await this.clock.advance(1_000);
      return ended;
    });
    return await promise;
  }

  /** The documents that were delivered, without the agent's own status. */
  get taken(): { sequence: number; type: string }[] {
    return this.delivery.taken.filter(({ type }) => type !== "agent_status");
  }
}

Deno.test("Agent runs every collector right at the start and then at every tick", async () => {
  const bench = new Bench([counting("a"), counting("b")]);
  void bench.agent.start();
  await waitFor("two documents", () => bench.taken.length === 2);
  await bench.whileTimePasses(Promise.all(bench.cron.ticks.map((tick) => tick())));
  await waitFor("four documents", () => bench.taken.length === 4);
  await bench.whileTimePasses(bench.agent.stop());
});

Deno.test("Agent goes on with the others when one collector throws", async () => {
  const bench = new Bench([failing("broken"), counting("sound")]);
  void bench.agent.start();
  await waitFor("the document", () => bench.taken.length === 1);
  assert.equal(bench.log.of("collection_failed").length, 1);
  await bench.whileTimePasses(bench.agent.stop());
});

Deno.test("Agent delivers what an earlier process left behind before anything else", async () => {
  const bench = new Bench([counting("a")]);
  await bench.outbox.put(draftOf("left behind"));
  void bench.agent.start();
  await waitFor("both documents", () => bench.taken.length === 2);
  assert.deepEqual(bench.delivery.attempts, [1, 2]);
  await waitFor("the word of it", () => bench.log.of("buffer_flush_complete").length === 1);
  await bench.whileTimePasses(bench.agent.stop());
});

Deno.test("Agent says what had to go when the buffer is full", async () => {
  const bench = new Bench([counting("a")], 2_500);
  const release = bench.delivery.hold();
  void bench.agent.start();
  const [eviction] = await waitFor("an eviction", async () => {
    await bench.cron.ticks[0]?.();
    const evictions = bench.log.of("buffer_eviction_complete");
    return evictions.length > 0 && evictions;
  });
  assert.equal(eviction?.fields.evicted_count, 1);
  release();
  await bench.whileTimePasses(bench.agent.stop());
});

Deno.test("Agent goes on when a document cannot be stored, and says so", async () => {
  const bench = new Bench([counting("a")]);
  bench.outbox.failNext("put", 1);
  void bench.agent.start();
  await waitFor("the failure", () => bench.log.of("document_not_stored").length === 1);
  await bench.cron.ticks[0]?.();
  await waitFor("the document", () => bench.taken.length === 1);
  await bench.whileTimePasses(bench.agent.stop());
});

Deno.test("Agent.stop keeps what was collected and closes everything", async () => {
  const bench = new Bench([counting("a")]);
  bench.delivery.hold();
  void bench.agent.start();
  await waitFor("the attempt", () => bench.delivery.attempts.length === 1);
  await bench.whileTimePasses(bench.agent.stop());
  assert(bench.delivery.closed);
  assert.equal(bench.outbox.status().records, 2, "the document and the status that told of it");
});

Deno.test("Agent tells of itself once a cycle, when the cycle's collectors have ended", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const slow: Collector = {
    name: "slow",
    collect: async () => {
      await promise;
      return { kind: "samples", data: {}, rows: 7 };
    },
  };
  const bench = new Bench([slow, failing("broken")]);
  void bench.agent.start();
  await bench.clock.advance(3_000);
  assert.equal(bench.delivery.taken.length, 0, "it waits for the slow one");
  resolve();
  const status = await waitFor("the status", () => bench.delivery.taken.find(({ type }) => type === "agent_status"));
  const { collectors, buffer, circuit, governor, loss, process } = status.data as Record<
    string,
    Record<string, unknown>
  >;
  assert.deepEqual(collectors, [
    { name: "slow", ok: true, duration_ms: 3_000, rows: 7, skipped: null, error: null, every: 1 },
    { name: "broken", ok: false, duration_ms: 0, rows: 0, skipped: null, error: "broken", every: 1 },
  ]);
  assert.equal(buffer?.max_bytes, 10_000_000);
  assert.deepEqual(circuit, { state: "closed", consecutive_failures: 0 });
  assert.equal(loss?.missed_runs, 0);
  assert.deepEqual([governor?.step, governor?.reason, governor?.budget_ms], ["none", null, 300]);
  assert.deepEqual(process, { rss_bytes: 50_000_000, cpu_s: 1.5 });
  await bench.whileTimePasses(bench.agent.stop());
});

Deno.test("Agent.reload exchanges collectors, database and delivery, and keeps what waits and what it counts", async () => {
  const hanging: Collector = { name: "hanging", collect: () => new Promise(() => undefined) };
  const bench = new Bench([counting("a"), hanging]);
  bench.delivery.answer(...Array.from({ length: 20 }, () => retry()));
  void bench.agent.start();
  await waitFor("a document that waits", () => bench.outbox.status().records > 0);
  const [database, delivery] = [new MemoryDatabase(), new ScriptedDelivery()];
  const cycle = { database, collectors: [counting("b")], intervalS: 120 };
  await bench.whileTimePasses(bench.agent.reload({ delivery, cycle, maxBytes: 5_000_000 }));
  assert.equal(bench.database.status().reachable, false, "the database of before is closed");
  assert.equal(bench.delivery.closed, true);
  assert.equal(bench.outbox.status().maxBytes, 5_000_000);
  await waitFor("documents of before and after", async () => {
    await bench.clock.advance(1_000);
    return ["a", "b", "agent_status"].every((type) => delivery.taken.some((document) => document.type === type));
  });
  const status = delivery.taken.find(({ type }) => type === "agent_status")?.data as { loss: { missed_runs: number } };
  assert.equal(status.loss.missed_runs, 1, "the run that was cut off");
  await bench.whileTimePasses(bench.agent.stop());
  assert.equal(database.status().reachable, false);
});

Deno.test("Agent.reload asks another listener at once, whatever the one before had asked for", async () => {
  const bench = new Bench([counting("a")]);
  bench.delivery.answer(retry({ status: 429, retryAfterMs: 3_600_000 }));
  void bench.agent.start();
  await waitFor("the refusal", () => bench.log.of("delivery_failed").length === 1);
  const delivery = new ScriptedDelivery();
  await bench.agent.reload({ delivery });
  await waitFor("the document", () => delivery.taken.length > 0);
  await bench.whileTimePasses(bench.agent.stop());
});

Deno.test("Agent.reload does not wait for what the listener of before asks for only then", async () => {
  const bench = new Bench([counting("a")]);
  bench.delivery.answer(retry({ status: 429, retryAfterMs: 3_600_000 }));
  const release = bench.delivery.hold();
  void bench.agent.start();
  await waitFor("the attempt", () => bench.delivery.attempts.length === 1);
  const delivery = new ScriptedDelivery();
  await bench.agent.reload({ delivery });
  release();
  await waitFor("the document", () => delivery.taken.length > 0);
  await bench.whileTimePasses(bench.agent.stop());
});

Deno.test("Agent.reload does not count what the same database had cost before as one cycle's", async () => {
  const bench = new Bench([]);
  void bench.agent.start();
  const governor = new Governor({ clock: bench.clock, log: bench.log, intervalMs: 60_000, cpus: 1 });
  bench.database.costMs = 500_000;
  const cycle = { database: bench.database, collectors: [], intervalS: 120, governor };
  await bench.whileTimePasses(bench.agent.reload({ cycle }));
  await waitFor("the status after it", async () => {
    await bench.clock.advance(1_000);
    return governor.status.serverMs !== null;
  });
  assert.deepEqual([governor.status.serverMs, governor.status.step], [0, "none"]);
  await bench.whileTimePasses(bench.agent.stop());
});

Deno.test("Agent.reload hands on what recorded bursts, so that its rest goes on", async () => {
  const bench = new Bench([]);
  void bench.agent.start();
  const { clock, log, database } = bench;
  const governor = new Governor({ clock, log, intervalMs: 60_000, cpus: 1 });
  const probe = { at: "", active: 0, lock_waiters: 0, waits: {} };
  const sample = { at: "", active: 0, lock_waiters: 0 };
  const sampler = { probe: () => Promise.resolve(probe), sample: () => Promise.resolve(sample), waitedMs: 0 };
  const [handed, made]: [(BurstRun | null)[], BurstRun[]] = [[], []];
  const createBurst = (before: BurstRun | null) => {
    handed.push(before);
    made.push(new BurstRun({ sampler, governor, clock, log, cpus: 1, before }));
    return made.at(-1)!;
  };
  const cycle = { database, collectors: [], intervalS: 60, governor, createBurst };
  for (let reloads = 0; reloads < 2; reloads++) await bench.whileTimePasses(bench.agent.reload({ cycle }));
  assert.deepEqual(handed, [null, made[0]]);
  await bench.whileTimePasses(bench.agent.stop());
});

Deno.test("Agent.stop during a reload waits for no run that the reload would begin, though database and listener hang", async () => {
  const hanging: Collector = { name: "hanging", collect: () => new Promise(() => undefined) };
  const bench = new Bench([hanging]);
  await bench.outbox.put(draftOf("waits"));
  bench.delivery.hold();
  void bench.agent.start();
  await waitFor("the attempt", () => bench.delivery.attempts.length === 1);
  const databases = [bench.database, new MemoryDatabase()];
  for (const database of databases) database.close = () => new Promise(() => undefined);
  const startedMs = bench.clock.monotonicMs();
  const reloading = bench.agent.reload({ cycle: { database: databases[1]!, collectors: [hanging], intervalS: 60 } });
  bench.stopping.abort();
  await bench.whileTimePasses(reloading.then(() => bench.agent.stop()));
  // The database of before has its grace beside those that every stop has.
  const graceMs = limits.stopGraceMs + limits.sendGraceMs + 2 * limits.closeGraceMs;
  const tookMs = bench.clock.monotonicMs() - startedMs;
  assert(tookMs <= graceMs + 1_000, `it took ${tookMs} ms`);
});

Deno.test("Agent.health says so when ticks do not come, and not when they come late by a run", async () => {
  const bench = new Bench([counting("a")]);
  void bench.agent.start();
  await bench.clock.advance(3 * 60_000);
  assert.equal(bench.agent.health.stalled, null);
  await bench.clock.advance(1_000);
  assert.equal(bench.agent.health.stalled, "No tick of a for 181 s");
  await Promise.all(bench.cron.ticks.map((tick) => bench.whileTimePasses(tick())));
  assert.equal(bench.agent.health.stalled, null);
  await bench.whileTimePasses(bench.agent.stop());
});

Deno.test("Agent.health does not take a buffer that cannot be read for a standstill: a restart would lose what is held", async () => {
  const bench = new Bench([]);
  bench.delivery.answer(retry({ status: 429, retryAfterMs: 1_000 }));
  await bench.outbox.put(draftOf("in the file"));
  void bench.agent.start();
  await waitFor("the refusal", () => bench.log.of("delivery_failed").length === 1);
  bench.outbox.isReadable = false;
  for (let minute = 0; minute <= 121; minute++) {
    await bench.clock.advance(60_000);
    await Promise.all(bench.cron.ticks.map((tick) => bench.whileTimePasses(tick())));
    assert.equal(bench.agent.health.stalled, null);
  }
  assert(bench.agent.health.buffered.records > 0);
  bench.outbox.isReadable = true;
  await bench.clock.advance(limits.stalledDrainMs - 60_000);
  await Promise.all(bench.cron.ticks.map((tick) => bench.whileTimePasses(tick())));
  assert.equal(bench.agent.health.stalled, null, "the time begins when it can be read");
  await bench.whileTimePasses(bench.agent.stop());
});

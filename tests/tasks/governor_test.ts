// What the agent leaves out to spare the server, when, and how it comes back.
import assert from "node:assert/strict";
import type { ServerSigns } from "../../collectors/restraint.ts";
import * as limits from "../../limits.ts";
import { Governor, steps } from "../../tasks/governor.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { MemoryLog } from "../support/memory_log.ts";

const calmSigns: ServerSigns = { active: 2, lockWaiters: 0, clients: 10, clientsMax: 97 };

class Bench {
  readonly clock = new FakeClock("2026-11-21T03:00:00.000Z");
  readonly log = new MemoryLog();
  readonly governor = new Governor({ clock: this.clock, log: this.log, intervalMs: 60_000, cpus: 2 });

  /** Cycles with this cost as seen from here; answers with the step after each. */
  async cycles(count: number, waitedMs: number, signs: Partial<ServerSigns> = {}): Promise<string[]> {
    const taken: string[] = [];
    for (let cycle = 0; cycle < count; cycle++) {
      await this.clock.advance(60_000);
      this.governor.seeServer({ ...calmSigns, ...signs });
      this.governor.endCycle(waitedMs);
      taken.push(this.governor.status.step);
    }
    return taken;
  }
}

Deno.test("Governor leaves nothing out while a cycle is within its budget of half a percent of a core", async () => {
  const bench = new Bench();
  assert.deepEqual(await bench.cycles(3, 300), ["none", "none", "none"]);
  const { governor } = bench;
  assert.deepEqual([governor.texts, governor.lockWaitersMax, governor.allowsBurst], [
    true,
    limits.lockWaitersMax,
    true,
  ]);
  assert.deepEqual([governor.status.budgetMs, governor.status.serverMs, governor.status.reason], [300, 300, null]);
  assert.equal(bench.log.entries.length, 0);
});

Deno.test("Governor steps down in order, one step a cycle and a judged pace, and never to silence", async () => {
  const bench = new Bench();
  const taken = await bench.cycles(20, 2_000);
  assert.deepEqual([...new Set(taken)], steps.slice(1), "in order");
  const { governor } = bench;
  assert.deepEqual([governor.texts, governor.lockWaitersMax], [false, limits.governedLockWaitersMax]);
  const due = (name: string) => Array.from({ length: 10 }, () => governor.isDue(name)).filter((is) => is).length;
  assert.deepEqual(["pg_stat_statements", "pg_stat_activity", "pg_locks", "system_metrics"].map(due), [2, 5, 5, 10]);
  const said = bench.log.of("governor_stepped_down");
  assert.deepEqual(said.map(({ fields }) => fields.step), steps.slice(1));
  assert.deepEqual(said[0]?.fields, {
    step: "texts",
    reason: "Cost of 2000 ms a cycle",
    server_ms: 2_000,
    budget_ms: 300,
  });
});

Deno.test("Governor takes the server's own figure for what a cycle cost, when it comes, a cycle later", async () => {
  const bench = new Bench();
  await bench.cycles(1, 200);
  // A slow network: answers take long, the server works little.
  for (let cycle = 0; cycle < 3; cycle++) {
    bench.governor.seeCost(20);
    assert.deepEqual(await bench.cycles(1, 900), ["none"]);
  }
  assert.equal(bench.governor.status.serverMs, 20);
  bench.governor.seeCost(700);
  assert.deepEqual(await bench.cycles(1, 30), ["texts"], "what was seen from here would have hidden it");
});

Deno.test("Governor takes one step for one cycle that cost much, though its figure comes again from the server", async () => {
  const bench = new Bench();
  assert.deepEqual(await bench.cycles(1, 343), ["texts"], "the first: texts, names, connections");
  bench.governor.seeCost(320);
  assert.deepEqual(await bench.cycles(1, 60), ["texts"]);
  bench.governor.seeCost(320);
  assert.deepEqual(await bench.cycles(1, 60), ["texts"], "no more than was waited in that cycle");
  bench.governor.seeCost(320);
  await bench.cycles(1, 900);
  bench.governor.seeCost(850);
  assert.deepEqual(await bench.cycles(1, 60), ["statements"], "another one is another reason");
});

Deno.test("Governor shares a figure that covers several cycles among them", async () => {
  const bench = new Bench();
  await bench.cycles(4, 200);
  bench.governor.seeCost(400);
  await bench.cycles(1, 200);
  assert.equal(bench.governor.status.serverMs, 100);
});

Deno.test("Governor holds the cost of a cycle against the pace of what was slowed down", async () => {
  const bench = new Bench();
  await bench.cycles(2, 1_000);
  assert.equal(bench.governor.status.step, "statements");
  // One read of five costs more than the budget, their mean does not.
  for (const waitedMs of [50, 50, 50, 50, 900, 50, 50, 50, 50, 900]) await bench.cycles(1, waitedMs);
  assert.equal(bench.governor.status.step, "statements");
});

Deno.test("Governor gives the agent half of its budget while the server is in trouble", async () => {
  const troubles: [Partial<ServerSigns>, RegExp][] = [
    [{ lockWaiters: 300 }, /300 sessions wait for locks/],
    [{ active: 20 }, /20 active sessions/],
    [{ clients: 90 }, /Connections run short/],
  ];
  for (const [signs, reason] of troubles) {
    const bench = new Bench();
    assert.deepEqual(await bench.cycles(3, 140, signs), ["texts", "texts", "texts"]);
    assert.match(bench.governor.status.reason ?? "", reason);
    assert.deepEqual(await bench.cycles(1, 160, signs), ["statements"]);
  }
  const bench = new Bench();
  bench.governor.seePressure(80);
  assert.deepEqual(await bench.cycles(1, 50), ["texts"]);
  assert.equal(bench.governor.status.reason, "CPU pressure of 80 %");
  bench.governor.seeFailure("pg_locks timed out");
  assert.deepEqual(await bench.cycles(1, 5_000), ["statements"]);
});

Deno.test("Governor comes back step by step, after calm cycles only", async () => {
  const bench = new Bench();
  await bench.cycles(2, 1_000);
  assert.deepEqual(await bench.cycles(4, 10), Array(4).fill("statements"));
  assert.deepEqual(await bench.cycles(1, 1_000), ["statements"], "not over, not calm: the count begins anew");
  const before = bench.governor.status.since;
  const taken = await bench.cycles(14, 10);
  assert.deepEqual([...new Set(taken)], ["statements", "texts", "none"]);
  assert.equal(taken.lastIndexOf("texts") - taken.indexOf("texts"), 4);
  assert.ok(bench.governor.status.since > before);
  assert.equal(bench.log.of("governor_stepped_up").length, 2);
});

Deno.test("Governor waits longer each time that a step up has to be taken back, up to an hour", async () => {
  const bench = new Bench();
  await bench.cycles(1, 1_000);
  const waits: number[] = [];
  for (let round = 0; round < 6; round++) {
    let cycles = 0;
    while (bench.governor.status.step === "texts") cycles += (await bench.cycles(1, 10)).length;
    waits.push(cycles);
    await bench.cycles(1, 1_000);
  }
  assert.deepEqual(waits, [5, 10, 20, 40, 60, 60]);
});

Deno.test("Governor allows no burst beyond its first step, nor when connections run short", async () => {
  const bench = new Bench();
  await bench.cycles(1, 1_000);
  assert.equal(bench.governor.allowsBurst, true);
  bench.governor.seeServer({ ...calmSigns, clients: 96 });
  assert.equal(bench.governor.allowsBurst, false);
  bench.governor.seeServer(calmSigns);
  await bench.cycles(1, 1_000);
  assert.equal(bench.governor.allowsBurst, false);
});

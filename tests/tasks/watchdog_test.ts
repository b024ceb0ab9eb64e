// What the service manager hears, and when the watchdog is not fed.
import assert from "node:assert/strict";
import * as limits from "../../limits.ts";
import type { AgentHealth } from "../../tasks/agent.ts";
import type { ServiceManager } from "../../tasks/notify.ts";
import { statusText, Watchdog } from "../../tasks/watchdog.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { MemoryLog } from "../support/memory_log.ts";

class Listening implements ServiceManager {
  readonly messages: string[] = [];

  notify(lines: readonly string[]): Promise<void> {
    this.messages.push(lines.map((line) => line.replace(/^STATUS=.*/, "STATUS")).join(" "));
    return Promise.resolve();
  }

  close(): void {}
}

class Bench {
  readonly manager = new Listening();
  readonly clock = new FakeClock();
  readonly log = new MemoryLog();
  stalled: string | null = null;
  readonly watchdog: Watchdog;

  constructor(watchdogMs: number | null = 60_000) {
    const { manager, clock, log } = this;
    const health = () => ({ ...healthy, stalled: this.stalled });
    this.watchdog = new Watchdog({ manager, watchdogMs, health, clock, log });
  }

  /** What was said since the last call and while this time passes. */
  async during(ms: number): Promise<string[]> {
    await this.clock.advance(ms);
    return this.manager.messages.splice(0);
  }
}

const healthy: AgentHealth = {
  cycle: { at: new Date("2026-11-21T08:00:01.500Z"), ok: 5, count: 6 },
  buffered: { records: 3, bytes: 5_000 },
  circuit: { state: "half_open", consecutiveFailures: 5 },
  stalled: null,
};

Deno.test("Watchdog feeds three times within its time, and says READY once the first runs have ended", async () => {
  const bench = new Bench();
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.watchdog.start(promise);
  assert.deepEqual(await bench.during(10_000), ["STATUS WATCHDOG=1"]);
  resolve();
  assert.deepEqual(await bench.during(5_000), ["READY=1 STATUS"]);
  assert.deepEqual(await bench.during(60_000), Array(3).fill("STATUS WATCHDOG=1"));
  await bench.watchdog.stop();
  assert.deepEqual(await bench.during(120_000), ["STOPPING=1 STATUS"]);
});

Deno.test("Watchdog says READY after a while when the first runs do not end: a server that hangs holds up no boot", async () => {
  const bench = new Bench();
  bench.watchdog.start(new Promise(() => undefined));
  assert(!(await bench.during(limits.readyWaitMs - 1)).includes("READY=1 STATUS"));
  assert((await bench.during(1)).includes("READY=1 STATUS"));
  await bench.watchdog.stop();
});

Deno.test("Watchdog is not READY when it was stopped before", async () => {
  const bench = new Bench();
  const { promise, resolve } = Promise.withResolvers<void>();
  bench.watchdog.start(promise);
  await bench.watchdog.stop();
  resolve();
  assert.deepEqual(await bench.during(limits.readyWaitMs), ["STATUS WATCHDOG=1", "STOPPING=1 STATUS"]);
});

Deno.test("Watchdog does not feed while something stands still, says so once, and feeds when it moves again", async () => {
  const bench = new Bench();
  bench.watchdog.start(Promise.resolve());
  await bench.during(1);
  bench.stalled = "No tick of pg_locks for 200 s";
  assert.deepEqual(await bench.during(60_000), ["STATUS", "STATUS", "STATUS"]);
  assert.deepEqual(bench.log.of("watchdog_not_fed").map(({ fields }) => fields), [{ reason: bench.stalled }]);
  bench.stalled = null;
  assert.deepEqual(await bench.during(20_000), ["STATUS WATCHDOG=1"]);
  await bench.watchdog.stop();
});

Deno.test("Watchdog reports its status to a service manager that has no watchdog", async () => {
  const bench = new Bench(null);
  bench.watchdog.start(Promise.resolve());
  assert.equal((await bench.during(3 * limits.statusReportMs)).filter((line) => /STATUS/.test(line)).length, 5);
  await bench.watchdog.stop();
});

Deno.test("Watchdog frames a reload by RELOADING and READY", async () => {
  const bench = new Bench();
  await bench.watchdog.reloading();
  await bench.watchdog.ready();
  assert.deepEqual(bench.manager.messages, ["RELOADING=1 STATUS", "READY=1 STATUS"]);
});

Deno.test("statusText tells in one line of the last cycle, the buffer and the circuit", () => {
  assert.equal(
    statusText(healthy),
    "Last cycle 2026-11-21T08:00:01Z: 5 of 6 collectors well; 3 documents (5 KiB) buffered; circuit half open",
  );
  assert.equal(
    statusText({ ...healthy, cycle: null, stalled: "No tick of pg_locks for 200 s" }),
    "Stands still: No tick of pg_locks for 200 s; First cycle under way; 3 documents (5 KiB) buffered; circuit half open",
  );
});

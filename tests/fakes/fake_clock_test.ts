// The clock that other tests rely on.
import assert from "node:assert/strict";
import { FakeClock } from "./fake_clock.ts";

Deno.test("FakeClock wakes sleepers in the order of their times, each at its own", async () => {
  const clock = new FakeClock("2026-01-01T00:00:00.000Z");
  const woken: string[] = [];
  const sleep = async (name: string, ms: number) => {
    await clock.sleep(ms);
    woken.push(`${name} at ${clock.monotonicMs()}`);
  };
  void sleep("late", 200);
  void sleep("early", 100).then(() => sleep("again", 50));
  assert.equal(clock.nextWakeMs, 100);
  await clock.advance(99);
  assert.deepEqual(woken, []);
  await clock.advance(101);
  assert.deepEqual(woken, ["early at 100", "again at 150", "late at 200"]);
  assert.equal(clock.now().toISOString(), "2026-01-01T00:00:00.200Z");
  assert.equal(clock.sleepers, 0);
});

Deno.test("FakeClock ends a sleep whose signal is aborted, and sets the wall clock alone", async () => {
  const clock = new FakeClock();
  const controller = new AbortController();
  const sleep = clock.sleep(1_000, controller.signal);
  controller.abort();
  await sleep;
  await clock.sleep(1_000, controller.signal);
  assert.equal(clock.sleepers, 0);
  clock.setWall("2030-01-01T00:00:00.000Z");
  assert.deepEqual([clock.now().getUTCFullYear(), clock.monotonicMs()], [2030, 0]);
});

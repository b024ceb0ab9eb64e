// Percentages of the time between two runs.
import assert from "node:assert/strict";
import fc from "fast-check";
import { CpuMeter } from "../../../collectors/system/cpu.ts";
import type { CpuTimes } from "../../../collectors/system/machine.ts";
import { FakeClock } from "../../fakes/fake_clock.ts";
import { cpuTimes } from "../../fakes/memory_machine.ts";

const minute = 60_000;

/** What the second of two runs says. */
async function percentOf(before: CpuTimes[], after: CpuTimes[], elapsedMs = minute): Promise<number | string> {
  const clock = new FakeClock();
  const meter = new CpuMeter(clock);
  meter.percent(before);
  await clock.advance(elapsedMs);
  return outcome(meter.percent(after));
}

function outcome(reading: ReturnType<CpuMeter["percent"]>): number | string {
  return reading.kind === "read" ? reading.value : reading.reason;
}

Deno.test("CpuMeter has no percentage of the first run", () => {
  const reading = new CpuMeter(new FakeClock()).percent([cpuTimes({ user: 1_000_000 })]);
  assert.deepEqual(reading, {
    kind: "unavailable",
    reason: "First run: the percentage is of the time between two runs",
  });
});

Deno.test("CpuMeter takes what passed since the previous run, of all CPUs together", async () => {
  const before = [cpuTimes({ user: 9_000_000, idle: 5 }), cpuTimes({ idle: 9_000_000 })];
  const after = [cpuTimes({ user: 9_000_000 + minute, idle: 5 }), cpuTimes({ idle: 9_000_000 + minute })];
  assert.equal(await percentOf(before, after), 50);
});

Deno.test("CpuMeter counts user, nice, sys and irq as busy", async () => {
  for (const field of ["user", "nice", "sys", "irq"] as const) {
    assert.equal(await percentOf([cpuTimes()], [cpuTimes({ [field]: 15_000, idle: 45_000 })]), 25, field);
  }
  assert.equal(await percentOf([cpuTimes()], [cpuTimes({ idle: minute })]), 0);
});

Deno.test("CpuMeter takes a CPU that waits for disks as idle although its times are not given", async () => {
  // Half of the minute was iowait: of what is given, half is busy.
  assert.equal(await percentOf([cpuTimes()], [cpuTimes({ user: 15_000, idle: 15_000 })]), 25);
});

Deno.test("CpuMeter measures each run against the one before, rounded to two decimals", async () => {
  const clock = new FakeClock();
  const meter = new CpuMeter(clock);
  meter.percent([cpuTimes()]);
  await clock.advance(minute);
  assert.equal(outcome(meter.percent([cpuTimes({ user: 20_000, idle: 40_000 })])), 33.33);
  await clock.advance(minute);
  assert.equal(outcome(meter.percent([cpuTimes({ user: 20_000, idle: 100_000 })])), 0);
});

Deno.test("CpuMeter leaves out a run too soon after another and measures the next against the earlier", async () => {
  const clock = new FakeClock();
  const meter = new CpuMeter(clock);
  meter.percent([cpuTimes()]);
  await clock.advance(500);
  assert.match(String(outcome(meter.percent([cpuTimes({ user: 500 })]))), /^The previous run was 500 ms ago/);
  await clock.advance(500);
  assert.equal(outcome(meter.percent([cpuTimes({ user: 500, idle: 500 })])), 50);
});

Deno.test("CpuMeter has no percentage when CPUs come or go, and one again at the next run", async () => {
  const clock = new FakeClock();
  const meter = new CpuMeter(clock);
  const run = async (times: CpuTimes[]) => {
    await clock.advance(minute);
    return outcome(meter.percent(times));
  };
  await run([cpuTimes(), cpuTimes()]);
  assert.match(String(await run([cpuTimes({ idle: 1 })])), /number of CPUs changed from 2 to 1/);
  assert.equal(await run([cpuTimes({ user: 30_000, idle: 30_001 })]), 50);
  assert.match(String(await run([cpuTimes(), cpuTimes()])), /number of CPUs changed from 1 to 2/);
});

Deno.test("CpuMeter has no percentage of times that go backwards: wrapped, restarted, of another CPU", async () => {
  const wrapped = await percentOf([cpuTimes({ user: 42_949_672_950 })], [cpuTimes({ user: 10_000, idle: 50_000 })]);
  assert.match(String(wrapped), /went backwards/);
  const restarted = await percentOf([cpuTimes({ idle: 9_000_000 })], [cpuTimes({ user: 5, idle: 10 })]);
  assert.match(String(restarted), /went backwards/);
});

Deno.test("CpuMeter has no percentage of times that outrun the clock: another CPU in the same place", async () => {
  const after = [cpuTimes({ user: 500_000, idle: 2_000_000 })];
  assert.match(String(await percentOf([cpuTimes({ user: 400_000, idle: 1_000_000 })], after)), /more than the time/);
});

Deno.test("CpuMeter bears the kernel's small steps back and ahead", async () => {
  assert.equal(await percentOf([cpuTimes({ idle: 1_000 })], [cpuTimes({ user: minute, idle: 990 })]), 100);
  assert.equal(await percentOf([cpuTimes({ user: 20 })], [cpuTimes({ user: 10, idle: minute + 50 })]), 0);
  assert.equal(await percentOf([cpuTimes()], [cpuTimes({ user: minute + 30 })]), 100);
});

Deno.test("CpuMeter tells a kernel that counts nothing from a machine that is idle", async () => {
  assert.match(String(await percentOf([cpuTimes(), cpuTimes()], [cpuTimes(), cpuTimes()])), /stand still/);
});

Deno.test("CpuMeter gives 0 to 100 or a reason, whatever the times are", async () => {
  const time = fc.oneof(fc.nat(200_000), fc.double(), fc.maxSafeNat(), fc.constant(NaN));
  const times = fc.record({ user: time, nice: time, sys: time, idle: time, irq: time });
  const sight = fc.array(times, { maxLength: 3 });
  await fc.assert(
    fc.asyncProperty(sight, sight, async (before, after) => {
      const found = await percentOf(before, after);
      assert.ok(typeof found === "string" ? found !== "" : found >= 0 && found <= 100, String(found));
    }),
    { numRuns: 200 },
  );
});

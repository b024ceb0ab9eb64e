// Intervals in cron's words, and the clock that is set meanwhile.
import assert from "node:assert/strict";
import * as limits from "../../limits.ts";
import { cronExpression, scheduleOnCron, untilClockIsSet } from "../../tasks/cron.ts";
import { FakeClock } from "../fakes/fake_clock.ts";

Deno.test("cronExpression says whole minutes that divide an hour in cron's words", () => {
  assert.equal(cronExpression(60), "*/1 * * * *");
  assert.equal(cronExpression(300), "*/5 * * * *");
  assert.equal(cronExpression(1_800), "*/30 * * * *");
  assert.equal(cronExpression(3_600), "0 * * * *");
});

Deno.test("cronExpression refuses what cron would run at uneven distances", () => {
  for (const interval of [0, 30, 90, 420, 7_200]) assert.throws(() => cronExpression(interval), RangeError);
});

Deno.test("untilClockIsSet notices a clock that is set back or forward, and not one that is slewed", async () => {
  for (const setByMs of [-3_600_000, -2_000, 2_000, 86_400_000]) {
    const clock = new FakeClock();
    let noticed = false;
    void untilClockIsSet(clock, new AbortController().signal).then(() => noticed = true);
    for (let watch = 0; watch < 20; watch++) {
      clock.setWall(new Date(clock.now().getTime() + 500));
      await clock.advance(limits.clockWatchMs);
    }
    assert(!noticed, "by small steps");
    clock.setWall(new Date(clock.now().getTime() + setByMs));
    await clock.advance(limits.clockWatchMs);
    assert(noticed, `${setByMs}`);
  }
});

Deno.test("untilClockIsSet ends at the signal", async () => {
  const abort = new AbortController();
  const watching = untilClockIsSet(new FakeClock(), abort.signal);
  abort.abort();
  await watching;
});

Deno.test("scheduleOnCron registers each time under another name: Deno keeps the times of one that was used before", async () => {
  const stop = new AbortController();
  const options = { intervalS: 60, signal: stop.signal };
  // Under one name the second would be refused.
  const schedules = [1, 2].map(() => scheduleOnCron("pg_locks", options, () => Promise.resolve()));
  stop.abort();
  await Promise.all(schedules);
});

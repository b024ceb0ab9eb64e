// Intervals in cron's words.
import assert from "node:assert/strict";
import { cronExpression } from "../../tasks/cron.ts";

Deno.test("cronExpression says whole minutes that divide an hour in cron's words", () => {
  assert.equal(cronExpression(60), "*/1 * * * *");
  assert.equal(cronExpression(300), "*/5 * * * *");
  assert.equal(cronExpression(1_800), "*/30 * * * *");
  assert.equal(cronExpression(3_600), "0 * * * *");
});

Deno.test("cronExpression refuses what cron would run at uneven distances", () => {
  for (const interval of [0, 30, 90, 420, 7_200]) assert.throws(() => cronExpression(interval), RangeError);
});

/**
 * The rate of each key.
 *
 * @module
 */

import assert from "node:assert/strict";
import { RateLimit } from "../../../tasks/listener/rate_limit.ts";

Deno.test("RateLimit lets a burst through, then its rate, each name for itself", () => {
  let nowMs = 0;
  const limit = new RateLimit({ perS: 2, burst: 3, nowMs: () => nowMs });
  const take = (name: string, count: number) => Array.from({ length: count }, () => limit.take(name));
  assert.deepEqual(take("a", 4), [0, 0, 0, 1]);
  assert.deepEqual(take("b", 1), [0]);
  nowMs = 1_000;
  assert.deepEqual(take("a", 3), [0, 0, 1]);
  nowMs = 60_000;
  assert.deepEqual(take("a", 4), [0, 0, 0, 1]);
});

// What fires a recording, and that it fires once.
import assert from "node:assert/strict";
import type { Probe } from "../../collectors/burst.ts";
import * as limits from "../../limits.ts";
import { BurstTriggers } from "../../tasks/burst_triggers.ts";

function probe(counts: Partial<Probe>): Probe {
  return { at: "2026-11-21T03:00:00.000Z", active: 0, lock_waiters: 0, waits: {}, ...counts };
}

Deno.test("BurstTriggers fires for a lock queue, and not again before it has been gone", () => {
  const triggers = new BurstTriggers(2);
  const queue = probe({ lock_waiters: 12 });
  const fired = triggers.judge(queue, [], 0);
  assert.deepEqual(fired, { kind: "lock_queue", value: 12, threshold: limits.burstLockWaiters });
  assert.notEqual(triggers.judge(queue, [], 0), null, "it has not been followed yet");
  triggers.rest(fired!);
  assert.equal(triggers.judge(queue, [], 0), null);
  assert.equal(triggers.judge(probe({ lock_waiters: 3 }), [], 0), null);
  assert.equal(triggers.judge(queue, [], 0)?.kind, "lock_queue");
});

Deno.test("BurstTriggers fires for a jump above what is usual and above what the CPUs do at once", () => {
  const usual = [5, 40, 6].map((active) => probe({ active }));
  const judge = (cpus: number, active: number, before = usual) =>
    new BurstTriggers(cpus).judge(probe({ active }), before, 0)?.kind ?? null;
  assert.equal(judge(2, 24), "active_sessions");
  assert.equal(judge(2, 23), null);
  assert.equal(judge(8, 31), null);
  assert.equal(judge(8, 32), "active_sessions");
  assert.equal(judge(2, 1_000, usual.slice(1)), null, "nothing is known to be usual");
});

Deno.test("BurstTriggers fires for a storm of errors", () => {
  const fired = new BurstTriggers(2).judge(probe({}), [], limits.burstErrors);
  assert.equal(fired?.kind, "error_storm");
});

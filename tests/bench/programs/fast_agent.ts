/**
 * The whole agent as `start` runs it, but for the schedule: each line on stdin is a tick, and a minute on the monotonic
 * clock, so that all that is done every few minutes is done as often a cycle as in the real agent. A `b` on stdin starts
 * the burst recorder, which would otherwise have its probes in some cycles and not in others.
 *
 * Usage: as `main.ts`: `fast_agent.ts start --config PATH`
 *
 * @module
 */

import { systemClock } from "../../../clock.ts";
import { garbageCollectedMs } from "../../../limits.ts";
import { BurstRun } from "../../../tasks/burst_run.ts";
import { Governor } from "../../../tasks/governor.ts";
import { collectAllGarbage } from "../../../tasks/start.ts";
import { runStart, tickWhen } from "../../support/start_program.ts";

const minuteMs = 60_000;
/** `start` collects garbage by a timer that does not hear of these minutes. */
const ticksBetweenCollections = garbageCollectedMs / minuteMs;
let ticks = 0;
let next = Promise.withResolvers<void>();

async function nextTick(signal: AbortSignal): Promise<void> {
  const { promise: aborted, resolve } = Promise.withResolvers<void>();
  const end = () => resolve();
  signal.addEventListener("abort", end, { once: true });
  await Promise.race([next.promise, aborted]);
  // Or each tick would leave a listener behind, in what is measured.
  signal.removeEventListener("abort", end);
}

async function readTicks(): Promise<void> {
  for await (const bytes of Deno.stdin.readable) {
    for (const byte of bytes) {
      if (byte === 98) startRecorder?.();
      if (byte !== 10) continue;
      ticks += 1;
      if (ticks % ticksBetweenCollections === 0) collectAllGarbage();
      next.resolve();
      next = Promise.withResolvers();
    }
  }
}

tickWhen(nextTick);
// What is measured is a whole cycle, with nothing left out.
Governor.prototype.endCycle = () => {};
const { start } = BurstRun.prototype;
let startRecorder: (() => void) | null = null;
BurstRun.prototype.start = function (...args) {
  startRecorder = () => start.apply(this, args);
};
systemClock.monotonicMs = () => performance.now() + ticks * minuteMs;

void readTicks();
await runStart();

/**
 * How busy the CPUs were between two runs, from the times that each of them has spent since boot.
 *
 * Busy is user, nice, sys and irq. The rest of the time that passed is idle, whatever the CPU waited for: Deno gives
 * neither iowait nor softirq nor steal, so time and not the sum of what is given is what a percentage is of.
 *
 * Invariants:
 *
 * - a percentage is of the time between two runs that saw the same CPUs, never since boot;
 * - times that cannot be of the same CPUs, or that the clock contradicts, give none and are measured against next;
 * - a run too soon after another gives none, and the next one is measured against the earlier.
 *
 * @module
 */

import type { Clock } from "../../clock.ts";
import * as limits from "../../limits.ts";
import type { CpuTimes } from "./machine.ts";
import { read, type Reading, round, unavailable } from "./reading.ts";

interface Sight {
  cpus: readonly CpuTimes[];
  monotonicMs: number;
}

/** Measures each run against the one before. */
export class CpuMeter {
  readonly #clock: Pick<Clock, "monotonicMs">;
  #last: Sight | null = null;

  constructor(clock: Pick<Clock, "monotonicMs">) {
    this.#clock = clock;
  }

  /** How busy all CPUs together were since the previous run: 100 is all of them, all the time. */
  percent(cpus: readonly CpuTimes[]): Reading<number> {
    const sight: Sight = { cpus, monotonicMs: this.#clock.monotonicMs() };
    const last = this.#last;
    if (last === null) {
      this.#last = sight;
      return unavailable("First run: the percentage is of the time between two runs");
    }
    const elapsedMs = sight.monotonicMs - last.monotonicMs;
    if (elapsedMs < limits.cpuIntervalMinMs) {
      return unavailable(`The previous run was ${Math.round(elapsedMs)} ms ago, too short a time to measure`);
    }
    this.#last = sight;
    return percentBetween(last.cpus, cpus, elapsedMs);
  }
}

function percentBetween(before: readonly CpuTimes[], after: readonly CpuTimes[], elapsedMs: number): Reading<number> {
  if (before.length !== after.length) {
    return unavailable(`The number of CPUs changed from ${before.length} to ${after.length} since the previous run`);
  }
  let busyMs = 0;
  let isCounting = false;
  for (const [index, times] of after.entries()) {
    const earlier = before[index]!;
    const busy = busyOf(times) - busyOf(earlier);
    const idle = times.idle - earlier.idle;
    if (!Number.isFinite(busy + idle)) return unavailable("The times of a CPU are no numbers");
    if (busy < -limits.cpuTimesSlackMs || idle < -limits.cpuTimesSlackMs) {
      return unavailable("The times of a CPU went backwards since the previous run");
    }
    if (busy + idle > elapsedMs + limits.cpuTimesSlackMs) {
      return unavailable("The times of a CPU grew by more than the time that has passed since the previous run");
    }
    if (busy !== 0 || idle !== 0) isCounting = true;
    busyMs += busy;
  }
  if (!isCounting) return unavailable("The times of the CPUs stand still: this kernel does not count them");
  return read(round(Math.min(100, Math.max(0, 100 * busyMs / (elapsedMs * after.length)))));
}

function busyOf(times: CpuTimes): number {
  return times.user + times.nice + times.sys + times.irq;
}

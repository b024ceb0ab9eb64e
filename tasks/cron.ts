/**
 * Ticks on whole intervals of the clock: the only user of `Deno.cron`.
 *
 * `Deno.cron` waits for a time on the wall clock that it has chosen before. When the clock is set back by an hour it
 * would wait for an hour more, so it is told anew whenever the clock was set. Each time under another name: under the
 * same one, the time that was chosen before would tick as well (Deno 2.9.6).
 *
 * @module
 */

import { type Clock, systemClock } from "../clock.ts";
import * as limits from "../limits.ts";

/** Calls `tick` at every whole interval of UTC until the signal is aborted; resolves then. */
export type Schedule = (
  name: string,
  options: { intervalS: number; signal: AbortSignal },
  tick: () => Promise<void>,
) => Promise<void>;

/** Registrations so far, for their names. */
let registrations = 0;

/** The schedule of the real agent. */
export const scheduleOnCron: Schedule = scheduleCron;

async function scheduleCron(
  name: string,
  { intervalS, signal }: { intervalS: number; signal: AbortSignal },
  tick: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    const ended = new AbortController();
    const end = () => ended.abort();
    signal.addEventListener("abort", end, { once: true });
    void untilClockIsSet(systemClock, ended.signal).then(end);
    registrations += 1;
    await Deno.cron(`${name} ${registrations}`, cronExpression(intervalS), { signal: ended.signal }, tick);
    signal.removeEventListener("abort", end);
  }
}

/** Resolves when the wall clock was set, or the machine slept, or the signal is aborted. */
export async function untilClockIsSet(clock: Clock, signal: AbortSignal): Promise<void> {
  const aheadMs = () => clock.now().getTime() - clock.monotonicMs();
  for (let beforeMs = aheadMs(); !signal.aborted;) {
    await clock.sleep(limits.clockWatchMs, signal);
    const nowMs = aheadMs();
    if (Math.abs(nowMs - beforeMs) > limits.clockSetMs) return;
    beforeMs = nowMs;
  }
}

/** An interval of whole minutes that divides an hour, in cron's words. */
export function cronExpression(intervalS: number): string {
  const minutes = intervalS / 60;
  if (!Number.isInteger(minutes) || minutes < 1 || 60 % minutes !== 0) {
    throw new RangeError(
      `Cannot schedule because the interval must be whole minutes that divide an hour: current value is ${intervalS} s`,
    );
  }
  return minutes === 60 ? "0 * * * *" : `*/${minutes} * * * *`;
}

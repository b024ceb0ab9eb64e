/**
 * Ticks on whole intervals of the clock: the only user of `Deno.cron`.
 *
 * @module
 */

/** Calls `tick` at every whole interval of UTC until the signal is aborted; resolves then. */
export type Schedule = (
  name: string,
  options: { intervalS: number; signal: AbortSignal },
  tick: () => Promise<void>,
) => Promise<void>;

/** The schedule of the real agent. */
export const scheduleOnCron: Schedule = scheduleCron;

function scheduleCron(
  name: string,
  { intervalS, signal }: { intervalS: number; signal: AbortSignal },
  tick: () => Promise<void>,
): Promise<void> {
  return Deno.cron(name, cronExpression(intervalS), { signal }, tick);
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

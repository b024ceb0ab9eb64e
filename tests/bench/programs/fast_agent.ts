/**
 * The whole agent as `start` runs it, but for the schedule: each line on stdin is a tick, and a minute on the monotonic
 * clock, so that all that is done every few minutes is done as often a cycle as in the real agent. A `b` on stdin starts
 * the burst recorder, which would otherwise have its probes in some cycles and not in others.
 *
 * Usage: as `main.ts`: `fast_agent.ts start --config PATH`
 *
 * @module
 */

import process from "node:process";
import { systemClock } from "../../../clock.ts";
import { BurstRun } from "../../../tasks/burst_run.ts";
import { Governor } from "../../../tasks/governor.ts";
import { run } from "../../../tasks/start.ts";

type Tick = () => Promise<void>;
type Cron = (name: string, schedule: unknown, options: { signal: AbortSignal }, tick: Tick) => Promise<void>;

const minuteMs = 60_000;
let ticks = 0;
let next = Promise.withResolvers<void>();

/** As cron does: a tick that finds the last one still running is left out. */
async function tickOnCommand(...[, , { signal }, tick]: Parameters<Cron>): Promise<void> {
  const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  while (!signal.aborted) {
    await Promise.race([next.promise, aborted]);
    if (!signal.aborted) await tick();
  }
}

async function readTicks(): Promise<void> {
  for await (const bytes of Deno.stdin.readable) {
    for (const byte of bytes) {
      if (byte === 98) startRecorder?.();
      if (byte !== 10) continue;
      ticks += 1;
      next.resolve();
      next = Promise.withResolvers();
    }
  }
}

Object.defineProperty(Deno, "cron", { value: tickOnCommand });
// What is measured is a whole cycle, with nothing left out.
Governor.prototype.endCycle = () => {};
const { start } = BurstRun.prototype;
let startRecorder: (() => void) | null = null;
BurstRun.prototype.start = function (...args) {
  startRecorder = () => start.apply(this, args);
};
systemClock.monotonicMs = () => performance.now() + ticks * minuteMs;

const stop = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => stop.abort(signal));
const encoder = new TextEncoder();
void readTicks();
const code = await run({
  args: Deno.args.slice(1),
  environment: (name) => Deno.env.get(name),
  print: (text) => Deno.stdout.write(encoder.encode(text)).then(() => {}),
  printError: (text) => void Deno.stderr.writeSync(encoder.encode(text)),
  stop: stop.signal,
  onHangup: () => {},
  usage: () => {
    const { user, system } = process.cpuUsage();
    return { rssBytes: Deno.memoryUsage().rss, cpuS: (user + system) / 1e6 };
  },
  version: "0.0.0",
});
Deno.exit(code);

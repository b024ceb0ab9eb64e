/**
 * The whole agent as `start` runs it, but for the schedule: a tick comes every few seconds instead of every minute.
 *
 * Usage: as `main.ts`, with the interval in front: `fast_agent.ts EVERY_MS start --config PATH`
 *
 * @module
 */

import process from "node:process";
import { run } from "../../tasks/start.ts";

const [everyMs = "2000", , ...args] = Deno.args;

type Tick = () => Promise<void>;
type Cron = (name: string, schedule: unknown, options: { signal: AbortSignal }, tick: Tick) => Promise<void>;

/** As cron does: a tick that finds the last one still running is left out. */
async function tickOften(...[, , { signal }, tick]: Parameters<Cron>): Promise<void> {
  while (!signal.aborted) {
    const sinceTickMs = Date.now() % Number(everyMs);
    await new Promise((resolve) => setTimeout(resolve, Number(everyMs) - sinceTickMs));
    if (!signal.aborted) await tick();
  }
}

Object.defineProperty(Deno, "cron", { value: tickOften });

const stop = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => stop.abort(signal));
const encoder = new TextEncoder();
const code = await run({
  args,
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

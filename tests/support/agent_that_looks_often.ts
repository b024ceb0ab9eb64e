/**
 * The agent as `start` runs it, but for two things: it looks about once a second instead of once a minute, and leaves
 * nothing out to spare the server, because how busy this machine is must not decide what there is to see.
 *
 * Usage: as `main.ts`: `agent_that_looks_often.ts start --config PATH`
 *
 * @module
 */

import process from "node:process";
import { Governor } from "../../tasks/governor.ts";
import { run } from "../../tasks/start.ts";

/** Above a second: below, the machine's CPU has no percentage. */
const lookMs = 1_050;

type Tick = () => Promise<void>;
type Cron = (name: string, schedule: unknown, options: { signal: AbortSignal }, tick: Tick) => Promise<void>;

/** As cron does: a tick that finds the last one still running is left out. */
async function tickOften(...[, , { signal }, tick]: Parameters<Cron>): Promise<void> {
  while (!signal.aborted) {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, lookMs);
      signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
    });
    if (!signal.aborted) await tick();
  }
}

Object.defineProperty(Deno, "cron", { value: tickOften });
Governor.prototype.endCycle = () => {};
const stop = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => stop.abort(signal));
const code = await run({
  args: Deno.args.slice(1),
  environment: (name) => Deno.env.get(name),
  print: () => Promise.resolve(),
  printError: () => {},
  stop: stop.signal,
  onHangup: () => {},
  usage: () => {
    const { user, system } = process.cpuUsage();
    return { rssBytes: Deno.memoryUsage().rss, cpuS: (user + system) / 1e6 };
  },
  version: "0.0.0",
});
Deno.exit(code);

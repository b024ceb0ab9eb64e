/**
 * `start` as a program with a schedule of its own, for what has to see more cycles than one a minute.
 *
 * @module
 */

import process from "node:process";
import { run } from "../../tasks/start.ts";

type Tick = () => Promise<void>;
type Cron = (name: string, schedule: unknown, options: { signal: AbortSignal }, tick: Tick) => Promise<void>;

/** Has all collectors tick whenever `due` resolves, until the agent stops; `due` must resolve then, too. */
export function tickWhen(due: (signal: AbortSignal) => Promise<void>): void {
  /** As cron does: a tick that finds the last one still running is left out. */
  async function cron(...[, , { signal }, tick]: Parameters<Cron>): Promise<void> {
    while (!signal.aborted) {
      await due(signal);
      if (!signal.aborted) await tick();
    }
  }
  Object.defineProperty(Deno, "cron", { value: cron });
}

/** Runs `start` with this process's arguments, as `main.ts` does, and exits when a signal has stopped it. */
export async function runStart(): Promise<never> {
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => stop.abort(signal));
  const encoder = new TextEncoder();
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
}

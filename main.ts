/**
 * The way in: finds the command, owns the arguments, the environment, the signals and the exit.
 *
 * @module
 */

import manifest from "./deno.json" with { type: "json" };
import { type Command, exitFailure } from "./tasks/command.ts";

/** A command's module is loaded when it is called: the agent does not carry the demo along. */
const commands: Readonly<Record<string, string>> = {
  start: "./tasks/start.ts",
  once: "./tasks/once.ts",
  demo: "./tasks/demo/demo.ts",
  listener: "./tasks/listener.ts",
};

const signals = ["SIGTERM", "SIGINT"] as const;

if (import.meta.main) Deno.exit(await main());

async function main(): Promise<number> {
  const [name = "", ...args] = Deno.args;
  const path = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (path === undefined) {
    printError(`Unknown command "${name}". Commands: ${Object.keys(commands).join(", ")}\n`);
    return exitFailure;
  }
  const stop = new AbortController();
  for (const signal of signals) Deno.addSignalListener(signal, () => stopOrExit(stop, signal));
  const { run } = await import(path) as { run: Command };
  try {
    return await run({
      args,
      environment: (variable) => Deno.env.get(variable),
      print,
      printError,
      stop: stop.signal,
      version: manifest.version,
    });
  } catch (error) {
    printError(`${name}: ${error instanceof Error ? error.message : error}\n`);
    return exitFailure;
  }
}

/** The first signal asks to stop; the second does not wait. */
function stopOrExit(stop: AbortController, signal: string): void {
  if (stop.signal.aborted) Deno.exit(exitFailure);
  stop.abort(signal);
}

async function print(text: string): Promise<void> {
  let bytes = new TextEncoder().encode(text);
  while (bytes.length > 0) bytes = bytes.subarray(await Deno.stdout.write(bytes));
}

function printError(text: string): void {
  let bytes = new TextEncoder().encode(text);
  try {
    while (bytes.length > 0) bytes = bytes.subarray(Deno.stderr.writeSync(bytes));
  } catch {
    // Whoever read the log is gone; the agent goes on without.
  }
}

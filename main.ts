/**
 * The way in: finds the command, owns the arguments, the environment, the signals and the exit.
 *
 * @module
 */

import process from "node:process";
import manifest from "./deno.json" with { type: "json" };
import * as limits from "./limits.ts";
import { type Command, exitClean, exitFailure, type ProcessUsage } from "./tasks/command.ts";
import { argumentProblem, asksForHelp } from "./tasks/help.ts";

/** A command's module is loaded when it is called: the agent does not carry the demo along. */
const commands: Readonly<Record<string, string>> = {
  start: "./tasks/start.ts",
  once: "./tasks/once.ts",
  doctor: "./tasks/doctor.ts",
  logs: "./tasks/logs.ts",
  demo: "./tasks/demo/demo.ts",
  listener: "./tasks/listener/listener.ts",
};

const signals = ["SIGTERM", "SIGINT"] as const;

if (import.meta.main) Deno.exit(await main());

async function main(): Promise<number> {
  const [name = "", ...args] = Deno.args;
  const path = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (path === undefined) return await refuseCommand(name);
  const { run, help } = await import(path) as { run: Command; help: string };
  if (asksForHelp(args)) {
    await print(help);
    return exitClean;
  }
  const stop = listenForStop();
  try {
    return await run({
      args,
      environment: (variable) => Deno.env.get(variable),
      print,
      printError,
      stop,
      onHangup: (handler) => Deno.addSignalListener("SIGHUP", handler),
      usage,
      version: manifest.version,
    });
  } catch (error) {
    const problem = argumentProblem(error);
    const said = problem === null
      ? `${name}: ${error instanceof Error ? error.message : error}\n`
      : `${problem}\n${help}`;
    printError(said);
    return exitFailure;
  }
}

async function refuseCommand(name: string): Promise<number> {
  const help = `Usage: deno task ${Object.keys(commands).join("|")} [OPTION...]; --help behind one tells its options\n`;
  if (asksForHelp([name])) {
    await print(help);
    return exitClean;
  }
  printError((name === "" ? "" : `Unknown command "${name}"\n`) + help);
  return exitFailure;
}

/**
 * Aborted by the first signal; the second does not wait. One that follows at once is the first again: Ctrl-C in a
 * terminal reaches the agent both directly and through `deno task`.
 */
function listenForStop(): AbortSignal {
  const stop = new AbortController();
  let firstMs = 0;
  const onSignal = (signal: Deno.Signal) => {
    if (!stop.signal.aborted) {
      firstMs = performance.now();
      stop.abort(signal);
    } else if (performance.now() - firstMs > limits.signalRepeatMs) Deno.exit(exitFailure);
  };
  for (const signal of signals) Deno.addSignalListener(signal, () => onSignal(signal));
  return stop.signal;
}

function usage(): ProcessUsage {
  const { user, system } = process.cpuUsage();
  return { rssBytes: Deno.memoryUsage().rss, cpuS: (user + system) / 1e6 };
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

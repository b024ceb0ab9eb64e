/**
 * The configuration as every command reads it: from `--config`, the environment or the usual place; what is wrong with
 * it is said in log lines.
 *
 * @module
 */

import { type Config, type ConfigSource, loadConfig, type Loaded } from "../config.ts";
import { createLog, type Log } from "../log.ts";
import { readConfigArgument } from "./arguments.ts";
import type { CommandContext } from "./command.ts";

/** Loads the configuration, or says all that is wrong with it and answers null. */
export async function readConfig(context: CommandContext, requires: "listener" | "database"): Promise<Config | null> {
  const loaded = await load(context, { requires, readTextFile: (path) => Deno.readTextFile(path) });
  reportLoaded(loaded, createLog({ level: "info", write: context.printError }));
  return loaded.kind === "loaded" ? loaded.config : null;
}

/**
 * Loads the configuration of an agent that runs. A file that this process was not granted does not refuse it: the
 * setting that names it needs a restart, and until then what the file holds is not asked for.
 */
export function readConfigAgain(context: CommandContext): Promise<Loaded> {
  return load(context, { requires: "listener", readTextFile: readIfGranted });
}

/** Says all that is odd or wrong. */
export function reportLoaded(loaded: Loaded, log: Log): void {
  for (const warning of loaded.warnings) log.warning("configuration_warning", { ...warning });
  if (loaded.kind === "loaded") return;
  for (const problem of loaded.problems) log.error("configuration_refused", { ...problem });
}

async function load(
  { args, environment }: CommandContext,
  source: Pick<ConfigSource, "requires" | "readTextFile">,
): Promise<Loaded> {
  const { config } = await readConfigArgument(args);
  return await loadConfig({ ...(config === undefined ? {} : { path: config }), environment, ...source });
}

/** Passes for a secret and for a certificate alike; nothing of it is taken over. */
const notGrantedText = "-----BEGIN NOTHING-----";

async function readIfGranted(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return notGrantedText;
    throw error;
  }
}

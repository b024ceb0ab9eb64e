/**
 * The configuration as every command reads it: from `--config`, the environment or the usual place; what is wrong with
 * it is said in log lines.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { type Config, loadConfig } from "../config.ts";
import { createLog } from "../log.ts";
import type { CommandContext } from "./command.ts";

/** Loads the configuration, or says all that is wrong with it and answers null. */
export async function readConfig(context: CommandContext, requires: "listener" | "database"): Promise<Config | null> {
  const { values } = parseArgs({ args: context.args, options: { config: { type: "string" } } });
  const loaded = await loadConfig({
    ...(values.config === undefined ? {} : { path: values.config }),
    environment: context.environment,
    readTextFile: (path) => Deno.readTextFile(path),
    requires,
  });
  const log = createLog({ level: "info", write: context.printError });
  for (const warning of loaded.warnings) log.warning("configuration_warning", { ...warning });
  if (loaded.kind === "loaded") return loaded.config;
  for (const problem of loaded.problems) log.error("configuration_refused", { ...problem });
  return null;
}

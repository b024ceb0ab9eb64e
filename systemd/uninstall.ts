/**
 * `deno task uninstall`: takes the agent off this server. Configuration, secrets and buffer stay unless `--purge`.
 *
 * Usage: `deno task uninstall [--purge] [--dry-run]`
 *
 * @module
 */

import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { type Change, exists, removal } from "./files.ts";
import * as layout from "./layout.ts";
import { runProgram } from "../tasks/program.ts";
import { execute, isBooted, readAccounts } from "./system.ts";

/** Takes everything away, or only tells what. Answers with the exit code. */
export async function uninstall(
  options: { purge: boolean; dryRun: boolean; print: (line: string) => void },
): Promise<number> {
  const { dryRun, print } = options;
  if (await exists(`/var/lib/dpkg/info/${layout.packageName}.list`)) {
    print(`The package has installed it: use apt ${options.purge ? "purge" : "remove"} ${layout.packageName}`);
    return 1;
  }
  if (Deno.uid() !== 0 && !dryRun) {
    print("Cannot uninstall because only root can: run it with sudo");
    return 1;
  }
  const changes = await removals(options.purge);
  for (const { text, make } of changes) {
    if (!dryRun) await make();
    print(dryRun ? `would ${text}` : text);
  }
  if (changes.length > 0 && !dryRun && await isBooted()) await execute("systemctl", "daemon-reload");
  print(changes.length === 0 ? "Nothing is installed" : `${changes.length} changes ${dryRun ? "to make" : "made"}`);
  return 0;
}

async function removals(purge: boolean): Promise<Change[]> {
  const changes: Change[] = [];
  if (await exists(layout.unitPath)) {
    changes.push({ text: `stop and disable ${layout.unitName}`, make: stopAndDisable });
  }
  const made = [dirname(layout.dropInPath), layout.unitPath, layout.commandPath, layout.usersPath, layout.foldersPath];
  const owned = [layout.configurationPath, layout.credentialsPath, layout.statePath];
  // The code last: it runs.
  for (const path of [...made, ...(purge ? owned : []), layout.codePath]) {
    if (await exists(path)) changes.push(removal(path));
  }
  const folder = dirname(layout.configurationPath);
  if (purge && await exists(folder)) {
    // Unless it holds what is not ours.
    changes.push({ text: `remove ${folder} if it is empty`, make: () => Deno.remove(folder).catch(() => {}) });
  }
  const { uid } = await readAccounts(layout.userName, layout.logGroup);
  if (purge && uid !== null) {
    changes.push({ text: `remove user ${layout.userName}`, make: () => execute("userdel", layout.userName) });
  }
  return changes;
}

async function stopAndDisable(): Promise<void> {
  if (await isBooted()) await execute("systemctl", "stop", layout.unitName);
  await execute("systemctl", "disable", layout.unitName);
}

const help = `Usage: deno task uninstall [--purge] [--dry-run]
  --purge    takes configuration, secrets and buffer, too
  --dry-run  tells every change and makes none`;

async function main(args: string[]): Promise<number> {
  const options = { "dry-run": { type: "boolean" }, purge: { type: "boolean" } } as const;
  const { purge = false, "dry-run": dryRun = false } = parseArgs({ args, options }).values;
  return await uninstall({ purge, dryRun, print: console.log });
}

if (import.meta.main) Deno.exit(await runProgram(Deno.args, help, main));

/**
 * How the installed unit is, for the doctor: whether what it owes to the configuration is up to date, and whether it runs.
 *
 * @module
 */

import { isInstalled } from "./code.ts";
import { dropInText, loadInstalledConfig } from "./drop_in.ts";
import { dropInPath, unitName } from "./layout.ts";

/** `dropIn` is null for a working copy, which no unit runs, and where the configuration could not be read. */
export interface UnitState {
  dropIn: "current" | "stale" | "missing" | null;
  isActive: boolean;
}

/** Looks at the files of systemd. */
export async function readUnitState(): Promise<UnitState> {
  return { dropIn: isInstalled ? await dropInState() : null, isActive: await isActive() };
}

async function dropInState(): Promise<UnitState["dropIn"]> {
  const loaded = await loadInstalledConfig();
  if (loaded.kind === "refused") return null;
  try {
    return await Deno.readTextFile(dropInPath) === dropInText(loaded.config) ? "current" : "stale";
  } catch {
    return "missing";
  }
}

/** systemd keeps a link for each unit that runs. */
async function isActive(): Promise<boolean> {
  return await Deno.lstat(`/run/systemd/units/invocation:${unitName}`).then(() => true, () => false);
}

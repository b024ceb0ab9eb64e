/**
 * How the installed unit is, for the doctor: whether what it owes to the configuration is up to date, and whether it runs.
 *
 * @module
 */

import type { Config } from "../config.ts";
import { isInstalled } from "./code.ts";
import { dropInText } from "./drop_in.ts";
import { dropInPath, unitName } from "./layout.ts";

/** `dropIn` is null for a working copy, which no unit runs, and where the configuration could not be read. */
export interface UnitState {
  dropIn: "current" | "stale" | "missing" | null;
  isActive: boolean;
}

/** Looks at the files of systemd. */
export async function readUnitState(config: Config | null): Promise<UnitState> {
  return { dropIn: isInstalled && config !== null ? await dropInState(config) : null, isActive: await isActive() };
}

async function dropInState(config: Config): Promise<UnitState["dropIn"]> {
  try {
    return await Deno.readTextFile(dropInPath) === dropInText(config) ? "current" : "stale";
  } catch {
    return "missing";
  }
}

/** systemd keeps a link for each unit that runs. */
async function isActive(): Promise<boolean> {
  return await Deno.lstat(`/run/systemd/units/invocation:${unitName}`).then(() => true, () => false);
}

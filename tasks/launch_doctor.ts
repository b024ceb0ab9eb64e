/**
 * What `launch.ts` finds out for the doctor, with permissions that the agent does not get.
 *
 * @module
 */

import type { Problem } from "../config.ts";
import { readUnitState } from "../systemd/unit_state.ts";
import type { Given } from "./doctor.ts";

/** What is wrong with the configuration, who called, and how the unit is. */
export async function given(problems: Problem[], user: string): Promise<Given> {
  return { problems, user, ...await readUnitState() };
}

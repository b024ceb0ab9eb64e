/**
 * The agent as `start` runs it, but for two things: it looks about once a second instead of once a minute, and leaves
 * nothing out to spare the server, because how busy this machine is must not decide what there is to see.
 *
 * Usage: as `main.ts`: `agent_that_looks_often.ts start --config PATH`
 *
 * @module
 */

import { systemClock } from "../../clock.ts";
import { Governor } from "../../tasks/governor.ts";
import { runStart, tickWhen } from "./start_program.ts";

/** Above a second: below, the machine's CPU has no percentage. */
const lookMs = 1_050;

tickWhen((signal) => systemClock.sleep(lookMs, signal));
Governor.prototype.endCycle = () => {};
await runStart();

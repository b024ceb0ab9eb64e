/**
 * Collects the system metrics twice, with its CPU busy in between, and prints both as JSON: run by `system_test.ts`
 * under the agent's flags. Arguments: the procfs path, then the paths of file systems.
 *
 * @module
 */

import { systemClock } from "../../clock.ts";
import { SystemCollector } from "../../collectors/system.ts";
import { MemoryLog } from "../support/memory_log.ts";

const [procfsPath = "", ...filesystems] = Deno.args;
const collector = new SystemCollector({ procfsPath, filesystems, clock: systemClock, log: new MemoryLog() });
const { signal } = new AbortController();

async function collect(): Promise<unknown> {
  const collection = await collector.collect({ timestamp: new Date(), signal });
  return collection.kind === "samples" ? collection.data : collection.reason;
}

const first = await collect();
const untilMs = performance.now() + 1_500;
while (performance.now() < untilMs);
console.log(JSON.stringify([first, await collect()]));

/**
 * All collectors, in one array. A new one is added here and nowhere else.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { ActivityCollector } from "./activity.ts";
import type { Collector } from "./collector.ts";
import type { Database } from "./database.ts";

/** What collectors are made of. */
export interface CollectorOptions {
  database: Database;
  log: Log;
  clock: Clock;
}

/** Makes every collector once. */
export function createCollectors(options: CollectorOptions): Collector[] {
  return [
    new ActivityCollector(options),
  ];
}

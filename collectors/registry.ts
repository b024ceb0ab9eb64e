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
import { LocksCollector } from "./locks.ts";
import type { QueryText } from "./query_text.ts";
import { type Restraint, unrestrained } from "./restraint.ts";
import { Sessions } from "./sessions.ts";
import { StatementsCollector } from "./statements.ts";
import { SystemCollector } from "./system.ts";

/** What collectors are made of. */
export interface CollectorOptions {
  database: Database;
  log: Log;
  clock: Clock;
  /** `collection.query_text`. */
  queryText: QueryText;
  /** `system.procfs_path`. */
  procfsPath: string;
  /** Paths whose file systems are watched. */
  filesystems: readonly string[];
  /** Default: nothing is left out. */
  restraint?: Restraint;
}

/** Makes every collector once. */
export function createCollectors({ restraint = unrestrained, ...others }: CollectorOptions): Collector[] {
  const options = { ...others, restraint };
  const sessions = new Sessions(options);
  return [
    new ActivityCollector({ ...options, sessions }),
    new StatementsCollector(options),
    new LocksCollector({ ...options, waiters: sessions }),
    new SystemCollector(options),
  ];
}

/**
 * The collectors as a configuration asks for them, for every command that runs them.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import type { Collector } from "../collectors/collector.ts";
import type { Database } from "../collectors/database.ts";
import { createCollectors } from "../collectors/registry.ts";
import type { Config } from "../config.ts";
import type { Log } from "../log.ts";
import { logFolder } from "./permissions.ts";

/** What collectors share. */
export interface CollectorParts {
  database: Database;
  log: Log;
  clock: Clock;
  /** `once` buffers nothing, so it may not look at the buffer's folder either. */
  command: "start" | "once";
}

/** Makes all collectors. */
export function collectorsOf(config: Config, { database, log, clock, command }: CollectorParts): Collector[] {
  const logs = config.collection.logPath === "" ? [] : [logFolder(config.collection.logPath)];
  return createCollectors({
    database,
    log,
    clock,
    queryText: config.collection.queryText,
    procfsPath: config.system.procfsPath,
    filesystems: command === "start" ? [config.buffer.path, ...logs] : logs,
  });
}

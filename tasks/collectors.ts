/**
 * The collectors as a configuration asks for them, for every command that runs them.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import type { Collector } from "../collectors/collector.ts";
import type { Database } from "../collectors/database.ts";
import { type LogEntry, presentEntry } from "../collectors/logs/entry.ts";
import { LogSettingsReader } from "../collectors/logs/log_settings.ts";
import { createCollectors } from "../collectors/registry.ts";
import type { Restraint } from "../collectors/restraint.ts";
import type { Config } from "../config.ts";
import type { Log } from "../log.ts";
import type { Outbox } from "../transport/outbox.ts";
import { LogRun, type LogRunOptions } from "./log_run.ts";
import { logFolder } from "./permissions.ts";

/** What follows the server's logs; null when `collection.log_path` is empty. */
export function logRunOf(
  config: Config,
  parts: { database: Database; log: Log; clock: Clock; outbox: Outbox } & Pick<LogRunOptions, "onStored" | "onEntry">,
): LogRun | null {
  const { logPath: path, queryText } = config.collection;
  if (path === "") return null;
  const settings = new LogSettingsReader(parts.database, () => parts.clock.monotonicMs());
  const redact = queryText === "full" ? null : (entry: LogEntry) => presentEntry(entry, queryText);
  return new LogRun({ ...parts, path, settings, redact });
}

/** What collectors share. */
export interface CollectorParts {
  database: Database;
  log: Log;
  clock: Clock;
  /** `once` buffers nothing, so it may not look at the buffer's folder either. */
  command: "start" | "once";
  /** Default: nothing is left out. */
  restraint?: Restraint;
}

/** Makes all collectors. */
export function collectorsOf(config: Config, { command, ...parts }: CollectorParts): Collector[] {
  const logs = config.collection.logPath === "" ? [] : [logFolder(config.collection.logPath)];
  return createCollectors({
    ...parts,
    queryText: config.collection.queryText,
    procfsPath: config.system.procfsPath,
    filesystems: command === "start" ? [config.buffer.path, ...logs] : logs,
  });
}

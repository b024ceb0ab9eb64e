/**
 * The agent's own log: one JSON object a line with `time`, `level`, `event` and fields. The only writer of such lines.
 * Fields never hold a secret or the text of a query.
 *
 * @module
 */

import { configureSync, getLogger, type LogRecord, resetSync } from "@logtape/logtape";
import type { Log, LogLevel } from "./log_interface.ts";

export { errorMessage, type Log, type LogFields, type LogLevel, logLevels } from "./log_interface.ts";

/** Makes the process's log. There is one a process: a second call replaces the first. */
export function createLog(options: { level: LogLevel; write: (line: string) => void }): Log {
  resetSync();
  configureSync({
    sinks: { lines: (record) => options.write(formatLine(record)) },
    loggers: [
      { category: ["agent"], sinks: ["lines"], lowestLevel: options.level },
      { category: ["logtape", "meta"], sinks: [], lowestLevel: "error" },
    ],
  });
  const logger = getLogger(["agent"]);
  return {
    debug: (event, fields = {}) => logger.debug(event, fields),
    info: (event, fields = {}) => logger.info(event, fields),
    warning: (event, fields = {}) => logger.warning(event, fields),
    error: (event, fields = {}) => logger.error(event, fields),
  };
}

function formatLine(record: LogRecord): string {
  return JSON.stringify({
    time: new Date(record.timestamp).toISOString(),
    level: record.level,
    event: record.rawMessage,
    ...record.properties,
  }) + "\n";
}

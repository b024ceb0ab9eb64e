/**
 * The agent's own log: one JSON object a line with `time`, `level`, `event` and fields. The only writer of such lines.
 * Fields never hold a secret or the text of a query.
 *
 * @module
 */

import { configureSync, getLogger, type LogRecord, resetSync } from "@logtape/logtape";
import { type Log, type LogFields, type LogLevel, logLevels } from "./log_interface.ts";

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
  least = logLevels.indexOf(options.level);
  function logAt(level: LogLevel) {
    const rank = logLevels.indexOf(level);
    return function log(event: string, properties: LogFields = {}) {
      // Asked here, because most lines are of a level that is not written.
      if (rank < least) return;
      // A record, because an event's name is no template.
      // deno-lint-ignore house/one-owner -- As the library does when it makes the record itself.
      logger.emit({ level, message: [event], rawMessage: event, timestamp: Date.now(), properties });
    };
  }
  return { debug: logAt("debug"), info: logAt("info"), warning: logAt("warning"), error: logAt("error") };
}

/** The place of the least level that is written; a second log changes it for whoever has the first. */
let least = 0;

function formatLine(record: LogRecord): string {
  return JSON.stringify({
    time: new Date(record.timestamp).toISOString(),
    level: record.level,
    event: record.rawMessage,
    ...record.properties,
  }) + "\n";
}

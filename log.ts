/**
 * The agent's own log: one JSON object a line with `time`, `level`, `event` and fields. The only writer of such lines.
 * Fields never hold a secret or the text of a query.
 *
 * @module
 */

import { configureSync, getLogger, type LogRecord, resetSync } from "@logtape/logtape";

/** From the least to the most severe. `error` means that data was lost or a person is needed, `warning` recovered. */
export const logLevels = ["debug", "info", "warning", "error"] as const;
export type LogLevel = (typeof logLevels)[number];

/** What an event carries beside its name. Never a secret, never a statement's text. */
export type LogFields = Record<string, unknown>;

/** What the rest of the agent sees of the log. `event` is a name that operators search for (docs/operations.md). */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warning(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

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

/** The message of whatever was thrown, and of what caused it. */
export function errorMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : errorMessage(error.cause);
  return cause === "" || error.message.includes(cause) ? error.message : `${error.message}: ${cause}`;
}

function formatLine(record: LogRecord): string {
  return JSON.stringify({
    time: new Date(record.timestamp).toISOString(),
    level: record.level,
    event: record.rawMessage,
    ...record.properties,
  }) + "\n";
}

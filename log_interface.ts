/**
 * What the rest of the agent sees of its log, and what it says there of whatever was thrown. Apart from `log.ts`, so that
 * a program that only may have something to say does not wait for the package behind it.
 *
 * @module
 */

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

/** The message of whatever was thrown, and of what caused it. */
export function errorMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : errorMessage(error.cause);
  return cause === "" || error.message.includes(cause) ? error.message : `${error.message}: ${cause}`;
}

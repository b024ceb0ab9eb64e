/**
 * What a command of `main.ts` is: given the process's powers, it answers with the exit code.
 *
 * @module
 */

/** What the process itself uses. */
export interface ProcessUsage {
  rssBytes: number;
  /** Processor time since the start, in seconds. */
  cpuS: number;
}

/** The powers that `main.ts` alone owns. */
export interface CommandContext {
  /** What stands behind the command's name. */
  args: string[];
  environment: (name: string) => string | undefined;
  /** Writes to stdout, whole. */
  print: (text: string) => Promise<void>;
  /** Writes to stderr, whole. */
  printError: (text: string) => void;
  /** Aborted at the first SIGTERM or SIGINT. Its reason is the signal's name. */
  stop: AbortSignal;
  /** Has the handler called at each SIGHUP; before, it ends the process. */
  onHangup: (handler: () => void) => void;
  /** What the process uses of memory and processor. */
  usage: () => ProcessUsage;
  /** The agent's version. */
  version: string;
}

/** Runs to its end; answers with the exit code. */
export type Command = (context: CommandContext) => Promise<number>;

/** A clean end. */
export const exitClean = 0;
/** A failure at run time. */
export const exitFailure = 1;
/** The configuration was refused (EX_CONFIG of sysexits.h). */
export const exitConfiguration = 78;

/** Resolves when the signal is aborted, at once if it has been. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

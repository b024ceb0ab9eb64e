/**
 * How the commands are called, and what each answers to `--help` and to arguments that it does not know.
 *
 * @module
 */

/** How a command that reads the configuration is called. */
export const agentHelp = {
  start: `Usage: deno task start [--config PATH]
  Runs the agent in the foreground. SIGTERM and SIGINT stop it, SIGHUP reloads.
  --config  default: BITVILLE_PG_CONFIG_PATH, or /etc/bitville/postgres-agent.ini if that exists
`,
  once: `Usage: deno task once [--config PATH]
  Runs every collector once and prints one document a line; sends and stores nothing.
  --config  default: BITVILLE_PG_CONFIG_PATH, or /etc/bitville/postgres-agent.ini if that exists
`,
  doctor: `Usage: deno task doctor [--config PATH] [--json]
  Looks at everything that the agent needs, and names the command that mends what is wrong.
  --config  default: BITVILLE_PG_CONFIG_PATH, or /etc/bitville/postgres-agent.ini if that exists
  --json    one object for a program
`,
} as const;

/** Whether a command is to tell how it is called, and do nothing else. */
export function asksForHelp(args: readonly string[]): boolean {
  return args.includes("--help") || args.includes("-h");
}

/** What `parseArgs` of node:util did not understand, in one sentence; null for any other error. */
export function argumentProblem(error: unknown): string | null {
  const isProblem = error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS_");
  // Behind the first sentence it explains how to name a file `--that`.
  return isProblem ? error.message.replace(/\. To specify .*$/s, "") : null;
}

/** What to say to arguments of which reading threw. */
export function refusalText(error: unknown, help: string): string {
  return `${argumentProblem(error) ?? (error instanceof Error ? error.message : error)}\n${help.trimEnd()}`;
}

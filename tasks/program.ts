/**
 * A program of its own beside main.ts: tells how it is called, and says what went wrong in a line instead of a stack.
 *
 * @module
 */

import { argumentProblem, asksForHelp } from "./help.ts";

/** Answers with the exit code: `run`'s, 0 for `--help`, 1 for arguments that it does not know and what it cannot do. */
export async function runProgram(
  args: string[],
  usage: string,
  run: (args: string[]) => Promise<number>,
): Promise<number> {
  if (asksForHelp(args)) {
    console.log(usage);
    return 0;
  }
  try {
    return await run(args);
  } catch (error) {
    const problem = argumentProblem(error);
    if (problem !== null) console.error(`${problem}; --help tells how it is called`);
    else if (error instanceof Error && error.message.startsWith("Cannot ")) console.error(error.message);
    else throw error;
    return 1;
  }
}

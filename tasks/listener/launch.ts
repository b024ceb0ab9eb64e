/**
 * Prints the command line that starts the reference listener under exactly the permissions its arguments need, quoted
 * for a POSIX shell: `tasks/launch.sh` runs it.
 *
 * @module
 */

import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import { exitClean, exitFailure } from "../command.ts";
import { asksForHelp, refusalText } from "../help.ts";
import { leastPermissions } from "../permissions.ts";
import { quote } from "../quote.ts";
import { listenerUsage, readListenerArguments } from "./arguments.ts";
import { listenerPermissions } from "./permissions.ts";

if (import.meta.main) Deno.exit(launch(Deno.args));

function launch(args: readonly string[]): number {
  const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/(.)\/$/, "$1");
  if (asksForHelp(args)) {
    console.log(commandLine(root, leastPermissions(root), ["listener", "--help"]));
    return exitClean;
  }
  let permissions: string[];
  try {
    permissions = listenerPermissions(readListenerArguments(args.slice(1), (name) => Deno.env.get(name)), root);
  } catch (error) {
    console.error(refusalText(error, listenerUsage));
    return exitFailure;
  }
  console.log(commandLine(root, permissions, args));
  return exitClean;
}

function commandLine(root: string, permissions: readonly string[], args: readonly string[]): string {
  // Without --cached-only an `import` would reach the registries whatever --allow-net says.
  const command = [Deno.execPath(), "run", ...permissions, "--cached-only", posix.join(root, "main.ts")];
  return [...command, ...args].map(quote).join(" ");
}

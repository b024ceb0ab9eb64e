/**
 * Prints the command line that starts the reference listener under exactly the permissions its arguments need, quoted
 * for a POSIX shell: `tasks/launch.sh` runs it.
 *
 * @module
 */

import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import { exitClean, exitFailure } from "../command.ts";
import { quote } from "../quote.ts";
import { listenerUsage, readListenerArguments } from "./arguments.ts";
import { listenerPermissions } from "./permissions.ts";

if (import.meta.main) Deno.exit(launch(Deno.args));

function launch(args: readonly string[]): number {
  const read = readListenerArguments(args.slice(1), (name) => Deno.env.get(name));
  if (read === null) {
    console.error(listenerUsage.trimEnd());
    return exitFailure;
  }
  const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/(.)\/$/, "$1");
  const permissions = listenerPermissions(read, root);
  // Without --cached-only an `import` would reach the registries whatever --allow-net says.
  const command = [Deno.execPath(), "run", ...permissions, "--cached-only", posix.join(root, "main.ts")];
  console.log([...command, ...args].map(quote).join(" "));
  return exitClean;
}

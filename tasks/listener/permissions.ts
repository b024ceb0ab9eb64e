/**
 * What the reference listener may do, as Deno's flags: listen at its address, read its code and what it was told to read,
 * write its database's folder. It calls nobody.
 *
 * @module
 */

import { flag } from "../permissions.ts";
import type { ListenerArguments } from "./arguments.ts";

/** The flags for `deno run`, without shell quoting. Throws for a path that they cannot express. */
export function listenerPermissions(read: ListenerArguments, root: string): string[] {
  const { host, port, data, keysFile, pagePasswordFile } = read;
  const files = [keysFile, pagePasswordFile].filter((path) => path !== null);
  return [
    "--no-prompt",
    flag("net", [`${host.includes(":") ? `[${host}]` : host}:${port}`]),
    flag("read", [root, data, ...files]),
    flag("write", [data]),
    flag("env", ["HOME", "XDG_STATE_HOME", "INIT_CWD"]),
  ];
}

/**
 * Keeps a process and its folder from outliving this process, however that ends: a shell waits for the end of a pipe
 * that only this process holds, then ends the other and removes the folder. (SIGKILL leaves no other way: a server
 * would go on for ever.)
 *
 * @module
 */

/**
 * Reads until this process is gone or says that all is done. The name is checked because a pid may be reused. Not only
 * the process but its pid file, too, may say that it is gone: in a container nobody may collect the dead. 50 times
 * 0.1 s are plenty.
 */
const script = `
read -r done && exit 0
read -r pid <"$2" && [ "$(cat "/proc/$pid/comm")" = "$3" ] && kill -"$4" "$pid"
polls=0
while [ -e "$2" ] && kill -0 "$pid" && [ "$polls" -lt 50 ]; do sleep 0.1; polls=$((polls + 1)); done
rm -rf "$1"
`;

/** What to clean up. */
export interface Guarded {
  folder: string;
  /** The file whose first line is the process's id. It may come and go. */
  pidFile: string;
  /** The process's name, as `/proc/PID/comm` has it. */
  processName: string;
  /** What ends it at once. */
  signal: "QUIT" | "KILL";
}

/** Guards until it is disposed of: then whoever made the folder has removed it. */
export function guard(guarded: Guarded): AsyncDisposable {
  const { folder, pidFile, processName, signal } = guarded;
  const child = new Deno.Command("sh", {
    args: ["-c", script, "sh", folder, pidFile, processName, signal],
    cwd: "/",
    // In a session of its own, or a Ctrl-C in the terminal would end the guard, too.
    detached: true,
    stdin: "piped",
    stdout: "null",
    stderr: "null",
  }).spawn();
  return {
    async [Symbol.asyncDispose]() {
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode("done\n"));
      await writer.close();
      await child.status;
    },
  };
}

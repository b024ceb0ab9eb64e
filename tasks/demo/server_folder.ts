/**
 * The temporary folder of one embedded server: its data, socket and log.
 *
 * @module
 */

import { join } from "node:path";
import { guard } from "./guard.ts";

/** The kernel's limit is 108 bytes; the server adds `/.s.PGSQL.65535` and a NUL. */
const socketDirectoryBytesMax = 90;

/** Disposing of it removes it; so does the end of this process, with the server in it. */
export interface ServerFolder extends AsyncDisposable {
  readonly path: string;
  readonly data: string;
  readonly log: string;
}

/** Makes a folder that others can read, so that tests can be other users; its path is short enough for a socket. */
export async function makeServerFolder(): Promise<ServerFolder> {
  let path = await Deno.makeTempDir({ prefix: "bitville-postgres-" });
  if (new TextEncoder().encode(path).length > socketDirectoryBytesMax) {
    await Deno.remove(path);
    path = await Deno.makeTempDir({ dir: "/tmp", prefix: "bitville-postgres-" });
  }
  await Deno.chmod(path, 0o755);
  const data = join(path, "data");
  const pidFile = join(data, "postmaster.pid");
  const guarding = guard({ folder: path, pidFile, processName: "postgres", signal: "QUIT" });
  return {
    path,
    data,
    log: join(path, "postgres.log"),
    async [Symbol.asyncDispose]() {
      await Deno.remove(path, { recursive: true });
      await guarding[Symbol.asyncDispose]();
    },
  };
}

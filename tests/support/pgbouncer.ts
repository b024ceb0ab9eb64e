/**
 * PgBouncer in transaction mode, in front of a server of a test.
 *
 * @module
 */

import { join } from "node:path";
import { isRoot, unprivilegedUser } from "../../tasks/demo/embedded_postgres.ts";
import { waitFor } from "./wait_for.ts";

/** Why tests that need PgBouncer do not run here, or null. */
export const pgbouncerMissing: string | null = findPgbouncer() === null ? "skipped: there is no pgbouncer" : null;

/** A running PgBouncer. */
export interface Pgbouncer extends AsyncDisposable {
  host: string;
  port: number;
}

/** Starts one that keeps a single connection to the server, so that clients follow each other on it. */
export async function startPgbouncer(
  server: { host: string; port: number },
  options: { settings?: Record<string, string> } = {},
): Promise<Pgbouncer> {
  const folder = await Deno.makeTempDir({ prefix: "bitville-pgbouncer-" });
  await Deno.chmod(folder, 0o755);
  const port = freePort();
  const settings: Record<string, string> = {
    listen_addr: "127.0.0.1",
    listen_port: String(port),
    unix_socket_dir: "",
    auth_type: "trust",
    auth_file: join(folder, "users"),
    pool_mode: "transaction",
    default_pool_size: "1",
    ...options.settings,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  const databases = `[databases]\n* = host=${server.host} port=${server.port}\n`;
  await Deno.writeTextFile(join(folder, "pgbouncer.ini"), `${databases}[pgbouncer]\n${lines.join("\n")}\n`);
  await Deno.writeTextFile(join(folder, "users"), '"postgres" ""\n');
  const process = spawn(folder);
  return {
    host: "127.0.0.1",
    port: await waitFor("pgbouncer", () => isListening(port)),
    [Symbol.asyncDispose]: async () => {
      process.kill("SIGKILL");
      await process.status;
      await Deno.remove(folder, { recursive: true });
    },
  };
}

function spawn(folder: string): Deno.ChildProcess {
  const account = isRoot() ? unprivilegedUser() : null;
  return new Deno.Command(findPgbouncer() ?? "pgbouncer", {
    args: ["--quiet", join(folder, "pgbouncer.ini")],
    stdin: "null",
    stdout: "null",
    stderr: "null",
    ...(account === null ? {} : { uid: account.uid, gid: account.gid }),
  }).spawn();
}

async function isListening(port: number): Promise<number | null> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return port;
  } catch {
    return null;
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Debian keeps it where only root's search path leads. */
function findPgbouncer(): string | null {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin"];
  return folders.map((folder) => join(folder, "pgbouncer")).find((path) => isFile(path)) ?? null;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

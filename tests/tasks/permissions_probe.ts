/**
 * Tries what its arguments say, one JSON array each, and prints for each `ok`, `denied` by Deno or `failed`: run by
 * `permissions_test.ts` under the agent's flags.
 *
 * @module
 */

import { statfs } from "node:fs/promises";
import { connect } from "node:net";
import os from "node:os";

const attempts: Record<string, (...values: string[]) => unknown> = {
  // As the database driver connects.
  tcp: (host, port) => connected(connect({ host: host ?? "", port: Number(port) })),
  unix: (path) => connected(connect({ path: path ?? "" })),
  fetch: async (url) => await (await fetch(url ?? "")).text(),
  read: (path) => Deno.readTextFile(path ?? ""),
  list: (path) => Array.fromAsync(Deno.readDir(path ?? "")),
  write: (path) => Deno.writeTextFile(path ?? "", ""),
  mkdir: (path) => Deno.mkdir(path ?? "", { recursive: true, mode: 0o700 }),
  env: (name) => Deno.env.get(name ?? ""),
  run: (command) => new Deno.Command(command ?? "").output(),
  sys: () => [
    Deno.hostname(),
    Deno.loadavg(),
    Deno.systemMemoryInfo(),
    Deno.osUptime(),
    Deno.osRelease(),
    os.cpus(),
    os.freemem(),
  ],
  space: (path) => statfs(path ?? ""),
  interfaces: () => Deno.networkInterfaces(),
};

function connected(socket: ReturnType<typeof connect>): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
  });
}

async function attempt(name: string, values: string[]): Promise<string> {
  try {
    await attempts[name]?.(...values);
    return "ok";
  } catch (error) {
    const isDenied = error instanceof Deno.errors.NotCapable || /\bEPERM\b/.test(String(error));
    return isDenied ? "denied" : `failed: ${error}`;
  }
}

for (const argument of Deno.args) {
  const [name, ...values]: string[] = JSON.parse(argument);
  console.log(await attempt(name ?? "", values));
}

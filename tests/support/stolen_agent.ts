/**
 * Tries what a stolen agent would try, and prints for each attempt a JSON line with what came of it: `done`, `denied`
 * by Deno, or `failed` for another reason. Run by `tests/integration/permissions_test.ts` under the flags of a running
 * agent.
 *
 * Usage: `deno run FLAGS stolen_agent.ts JSON`, an object of name → [attempt, ...values].
 *
 * @module
 */

import { connect } from "node:net";
import { readFileSync } from "node:fs";
import { spawnSync } from "node:child_process";

const attempts: Record<string, (...values: string[]) => unknown> = {
  read: (path) => Deno.readTextFile(path!),
  readByNode: (path) => readFileSync(path!),
  write: (path) => Deno.writeTextFile(path!, "probe"),
  remove: (path) => Deno.remove(path!),
  link: (target, path) => Deno.symlink(target!, path!),
  connect: (port) => Deno.connect({ hostname: "127.0.0.1", port: Number(port) }).then((socket) => socket.close()),
  connectByNode: (host, port) => nodeConnected(host!, Number(port)),
  connectElsewhere: (hostname, port) => Deno.connect({ hostname: hostname!, port: Number(port) }),
  listen: () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close(),
  resolve: (name) => Deno.resolveDns(name!, "A"),
  fetch: (url) => fetch(url!).then((response) => response.body?.cancel()),
  run: (program) => new Deno.Command(program!).output(),
  runByNode: (program) => {
    const { error } = spawnSync(program!);
    if (error !== undefined) throw error;
  },
  kill: (pid) => Deno.kill(Number(pid), "SIGCONT"),
  foreign: (library) => Deno.dlopen(library!, {}).close(),
  environment: (name) => Deno.env.get(name!),
  wholeEnvironment: () => Deno.env.toObject(),
  importFile: (path) => import(`file://${path}`),
  importRemote: (url) => import(url!),
  users: () => Deno.uid(),
  interfaces: () => Deno.networkInterfaces(),
};

function nodeConnected(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
  });
}

async function outcomeOf(name: string, values: string[]): Promise<string> {
  const attempt = attempts[name];
  if (attempt === undefined) return `failed: there is no attempt ${name}`;
  try {
    await attempt(...values);
    return "done";
  } catch (error) {
    const isDenied = error instanceof Deno.errors.NotCapable ||
      /Requires \w+ access|\bEPERM\b|--cached-only/.test(String(error));
    return isDenied ? "denied" : `failed: ${error}`;
  }
}

const wanted: Record<string, [string, ...string[]]> = JSON.parse(Deno.args[0] ?? "{}");
for (const [name, [attempt, ...values]] of Object.entries(wanted)) {
  console.log(JSON.stringify({ name, outcome: await outcomeOf(attempt, values) }));
}

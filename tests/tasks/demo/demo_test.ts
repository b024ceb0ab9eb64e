/**
 * The demo as a user calls it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));

function startDemo(args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "main.ts", "demo", ...args],
    cwd: root,
    // What would change a real agent must not reach the demo's.
    env: { NO_COLOR: "1", BITVILLE_PG_DB_PORT: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

Deno.test("demo --once shows documents with correlated sessions, ends with 0 and leaves nothing behind", async () => {
  const { code, stdout, stderr } = await startDemo(["--once"]).output();
  const [shown, told] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)) as [string, string];
  assert.equal(code, 0, told);
  assert.match(shown, /pg_stat_activity {2}#\d+ {2}\d+ backends: .*\d active/);
  assert.match(shown, /^ +\d+ {2}(active|idle in transaction) .*[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-/m);
  const folders = [...told.matchAll(/\/\S+\/bitville-(?:postgres|demo)-[0-9a-f]{8,}/g)].map(([folder]) => folder);
  assert.equal(new Set(folders).size, 2, told);
  assert.deepEqual(folders.filter(exists), []);
});

Deno.test("demo stops cleanly by SIGTERM", async () => {
  const child = startDemo([]);
  let told = "";
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    if (!told.includes("collection_complete") && (told + text).includes("collection_complete")) child.kill("SIGTERM");
    told += text;
  }
  await child.stdout.cancel();
  assert.equal((await child.status).code, 0);
  assert.match(told, /"event":"agent_stopped"/);
});

Deno.test("demo refuses an argument that it does not know", async () => {
  const { code, stderr } = await startDemo(["--twice"]).output();
  assert.equal(code, 1);
  assert.match(new TextDecoder().decode(stderr), /^Unknown option '--twice'\nUsage: deno task demo/);
});

/**
 * `deno task listener` as a user starts it: under the permissions that its arguments come to.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { ownEnvironment, projectRoot } from "../../support/agent_process.ts";
import { GeneratedAgent } from "../../support/generated_documents.ts";
import { seededRandom } from "../../support/seeded_random.ts";

/** The text until it holds what is waited for. */
async function readUntil(stream: ReadableStream<Uint8Array<ArrayBuffer>>, pattern: RegExp): Promise<RegExpExecArray> {
  let text = "";
  for await (const part of stream.pipeThrough(new TextDecoderStream())) {
    const found = pattern.exec(text += part);
    if (found !== null) return found;
  }
  throw new Error(`It ended without ${pattern}:\n${text}`);
}

Deno.test("launch starts a listener that stores, shows its page, and keeps what it has when it stops", async () => {
  const folder = await Deno.makeTempDir({ prefix: "bitville-listener-" });
  const data = join(folder, "made", "anew");
  const child = new Deno.Command("sh", {
    args: [`${projectRoot}tasks/launch.sh`, "listener", "--port", "0", "--data", data],
    clearEnv: true,
    env: { ...ownEnvironment(), DENO: Deno.execPath() },
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let ended = false;
  try {
    const [, url] = await readUntil(child.stdout, /^url = (.*)$/m);
    const [document] = new GeneratedAgent({ host: "db1", random: seededRandom(1) }).cycle(Date.now());
    const headers = { "authorization": "Bearer demo-key", "idempotency-key": document!.id };
    const body = JSON.stringify(document);
    const answer = await fetch(url!, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body,
    });
    assert.equal(answer.status, 202, await answer.text());
    const page = await fetch(new URL("/", url));
    assert.match(await page.text(), /<main id="main"/);
    child.kill("SIGTERM");
    assert.equal((await child.status).code, 0);
    ended = true;
    const files = await Array.fromAsync(Deno.readDir(data), ({ name }) => name);
    // Its write-ahead log is part of the file again.
    assert.deepEqual(files, ["listener.sqlite"]);
  } finally {
    if (!ended) child.kill("SIGKILL");
    await child.status;
    await Deno.remove(folder, { recursive: true });
  }
});

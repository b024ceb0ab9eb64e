/**
 * Death at every step: between any two writes, sends and acknowledgements the process is killed, or the power fails. The
 * listener, which the test keeps, tells what came of it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { draftOf } from "../support/drafts.ts";
import type { Account, StoredDocument } from "../support/ledger.ts";
import { OutboxFolder, putStatus } from "../support/outbox_folder.ts";
import { seededRandom, takeSeed } from "../support/seeded_random.ts";

const program = fileURLToPath(new URL("../support/stepping_agent.ts", import.meta.url));

/** A listener that stores what it takes, and refuses what asks to be refused. */
class Listener implements AsyncDisposable {
  readonly stored: StoredDocument[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    const server = { hostname: "127.0.0.1", port: 0, onListen: () => undefined };
    this.#server = Deno.serve(server, async (request) => {
      const document = await request.json() as StoredDocument & { data: { name?: string } };
      if (document.data.name === "refuse") return new Response(null, { status: 422 });
      this.stored.push(document);
      return new Response(null, { status: 202 });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** Runs the plan until it dies at the step, or ends; then lets a new start deliver what is left. */
async function dieAt(deadly: number): Promise<{ died: boolean; result: Account }> {
  await using listener = new Listener();
  await using folder = await OutboxFolder.create();
  const args = ["run", "-A", "--no-check", program, folder.path, listener.url, String(deadly)];
  const { signal, code, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  const died = signal === "SIGKILL";
  assert(died || code === 0, new TextDecoder().decode(stderr));
  folder.delivered.push(...listener.stored);
  const outbox = await folder.open();
  await outbox.put(draftOf("after the death"));
  const result = await folder.drain(outbox);
  await outbox.close();
  return { died, result };
}

Deno.test("start accounts for every document whichever step it dies at", async () => {
  let crashes = 0;
  let doubles = 0;
  for (let step = 1;; step++) {
    const { died, result } = await dieAt(step);
    const { unexplained, foreignIds, wrongSums } = result;
    assert.deepEqual([unexplained, foreignIds, wrongSums], [0, 0, 0], `step ${step}: ${JSON.stringify(result)}`);
    doubles += result.doubles;
    if (!died) break;
    crashes += 1;
    assert(step < 2_000, "the plan has an end");
  }
  console.log(`${crashes} steps, ${crashes} crashes, missing 0, foreign ids 0, ${doubles} came twice under their ids`);
  assert(crashes > 60);
});

Deno.test("start accounts for every document when the power fails at any step, whatever of the last writes is lost", async () => {
  const seed = takeSeed();
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  await using folder = await OutboxFolder.create();
  const copies: OutboxFolder[] = [];
  const step = async () => {
    if (random() > 0.5) return;
    const copy = await folder.copy();
    copies.push(copy);
    const { size } = await Deno.stat(`${copy.path}/outbox.kv-wal`);
    await Deno.truncate(`${copy.path}/outbox.kv-wal`, Math.floor(random() * (size + 1)));
  };
  const outbox = await folder.open({ maxBytes: 1_200_000 });
  // From here on there is something to copy.
  await outbox.close();
  const stepped = await folder.open({ maxBytes: 1_200_000, step });
  for (let index = 0; index < 24; index++) {
    await stepped.put(draftOf(`${index}`, index % 5 === 0 ? 300_000 : 2_000));
    if (index % 3 === 2) await folder.deliver(stepped);
    if (index % 8 === 7) await putStatus(stepped);
  }
  await stepped.close();
  let behind = 0;
  for (const [index, copy] of copies.entries()) {
    const result = await copy.openAndDrain();
    const { unexplained, foreignIds, wrongSums } = result;
    assert.deepEqual([unexplained, foreignIds, wrongSums], [0, 0, 0], `copy ${index}: ${JSON.stringify(result)}`);
    behind += copy.log.of("buffer_behind").length;
    await copy[Symbol.asyncDispose]();
  }
  console.log(`${copies.length} power cuts, ${behind} of them took stored documents away, none unexplained`);
  assert(copies.length > 20 && behind > 0);
});

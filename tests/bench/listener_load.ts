/**
 * What the reference listener can take, and how fast its page answers. Starts one as `deno task listener` does, has a
 * fleet deliver to it, and prints figures. Not a test: what it measures is this machine.
 *
 * Usage: `deno run -A tests/bench/listener_load.ts [--agents=1000] [--cycles=2] [--connections=64]` for a fleet whose
 * cycles come at once, as fast as the listener takes them; `--day` for a day of ten agents and the page's answers.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { WireDocument } from "../../tasks/listener/schemas.ts";
import { GeneratedAgent } from "../support/generated_documents.ts";
import { seededRandom } from "../support/seeded_random.ts";
import { waitFor } from "../support/wait_for.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const apiKey = "bench-key";
const port = 18_273;
const url = `http://127.0.0.1:${port}/`;

const { values } = parseArgs({
  options: {
    agents: { type: "string", default: "1000" },
    cycles: { type: "string", default: "2" },
    connections: { type: "string", default: "64" },
    day: { type: "boolean", default: false },
    keep: { type: "boolean", default: false },
  },
});

const folder = await Deno.makeTempDir({ prefix: "bitville-listener-load-" });
const child = new Deno.Command("sh", {
  args: ["tasks/launch.sh", "listener", "--port", String(port), "--api-key", apiKey, "--data", folder],
  cwd: root,
  env: { DENO: Deno.execPath() },
  stdout: "null",
  stderr: "inherit",
}).spawn();
try {
  await waitFor(
    "the listener",
    () => fetch(`${url}ready`).then((answer) => answer.text().then(() => true), () => false),
  );
  if (values.day) await day();
  else await fleet();
  if (values.keep) {
    console.log(`Kept at ${url} until Enter`);
    await Deno.stdin.read(new Uint8Array(1));
  }
} finally {
  child.kill("SIGTERM");
  await child.status;
  await Deno.remove(folder, { recursive: true });
}

/** All agents' cycles, each at once. */
async function fleet(): Promise<void> {
  const random = seededRandom(1);
  const agents = Array.from(
    { length: Number(values.agents) },
    (_, n) => new GeneratedAgent({ host: `db${n}`, random }),
  );
  const nowMs = Date.now();
  for (let cycle = 0; cycle < Number(values.cycles); cycle++) {
    const documents = agents.flatMap((agent) => agent.cycle(nowMs - (Number(values.cycles) - cycle) * 60_000));
    await deliver(documents, `cycle ${cycle + 1}`);
  }
  const { agents: known } = await (await fetch(`${url}api/agents`)).json() as {
    agents: { missing: number; lastSequence: number }[];
  };
  const missing = known.reduce((sum, one) => sum + one.missing, 0);
  const stored = known.reduce((sum, one) => sum + one.lastSequence, 0);
  console.log(`stored ${stored} documents of ${known.length} agents, missing ${missing}; ${await size()}`);
}

/** A day of ten agents, and what the page asks then. */
async function day(): Promise<void> {
  const random = seededRandom(2);
  const agents = Array.from({ length: 10 }, (_, n) => new GeneratedAgent({ host: `db${n}`, random }));
  const endMs = Math.floor(Date.now() / 60_000) * 60_000;
  for (let hour = 24; hour > 0; hour--) {
    const documents: WireDocument[] = [];
    for (let minute = 0; minute < 60; minute++) {
      const atMs = endMs - (hour * 60 - minute) * 60_000;
      for (const agent of agents) documents.push(...agent.cycle(atMs));
    }
    await deliver(documents, `hour ${25 - hour}`);
  }
  const span = `from=${endMs - 86_400_000}&to=${endMs}`;
  const { requests } = await (await fetch(`${url}api/requests`)).json() as {
    requests: { correlationId: string }[];
  };
  for (
    const path of [
      "agents",
      "now?agent=1",
      `series?agent=1&${span}`,
      `statements?agent=1&${span}`,
      `statements/1?${span}`,
      `log?agent=1&${span}`,
      `log?agent=1&${span}&text=item_7`,
      "requests",
      `requests/${requests[0]?.correlationId}`,
    ]
  ) {
    const times: number[] = [];
    let bytes = 0;
    for (let run = 0; run < 5; run++) {
      const startMs = performance.now();
      bytes = (await (await fetch(`${url}api/${path}`)).arrayBuffer()).byteLength;
      times.push(performance.now() - startMs);
    }
    const [best, worst] = [Math.min(...times), Math.max(...times)].map((ms) => ms.toFixed(0));
    console.log(`${path.replace(/from=\d+&to=\d+/, "24 h").padEnd(60)} ${best}…${worst} ms, ${bytes} bytes`);
  }
  console.log(await size());
}

async function deliver(documents: readonly WireDocument[], what: string): Promise<void> {
  const bodies = documents.map((document) => ({ id: document.id, body: JSON.stringify(document) }));
  const bytes = bodies.reduce((sum, { body }) => sum + body.length, 0);
  const startMs = performance.now();
  const next = bodies.values();
  let longestMs = 0;
  await Promise.all(Array.from({ length: Number(values.connections) }, async () => {
    for (const { id, body } of next) {
      const sentMs = performance.now();
      const answer = await fetch(`${url}ingest/postgres`, {
        method: "POST",
        headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json", "idempotency-key": id },
        body,
      });
      const text = await answer.text();
      if (answer.status !== 202) throw new Error(`${answer.status}: ${text}`);
      longestMs = Math.max(longestMs, performance.now() - sentMs);
    }
  }));
  const seconds = (performance.now() - startMs) / 1_000;
  const rate = Math.round(documents.length / seconds);
  console.log(
    `${what}: ${documents.length} documents, ${(bytes / 1e6).toFixed(0)} MB in ${seconds.toFixed(1)} s, ` +
      `${rate} documents/s, longest answer ${Math.round(longestMs)} ms; ${await size()}`,
  );
}

async function size(): Promise<string> {
  const status = await Deno.readTextFile(`/proc/${child.pid}/status`);
  const [, resident] = /VmRSS:\s+(\d+)/.exec(status) ?? [];
  const [, peak] = /VmHWM:\s+(\d+)/.exec(status) ?? [];
  const file = (await Deno.stat(`${folder}/listener.sqlite`)).size;
  const megabytes = (kilobytes: string | undefined) => Math.round(Number(kilobytes) / 1_000);
  return `${megabytes(resident)} MB resident (peak ${megabytes(peak)}), database ${Math.round(file / 1e6)} MB`;
}

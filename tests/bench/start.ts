/**
 * How soon the agent has stored and delivered its first document, beside a start of Deno that does nothing.
 *
 * @module
 */

import type { Figure } from "./figures.ts";
import { Load, sizes } from "./load.ts";
import { programPath, Service, Sink } from "./service.ts";
import type { BenchServer } from "./server.ts";

export async function measureStart(server: BenchServer, { runs }: { runs: number }): Promise<Figure[]> {
  await using load = await Load.create(server);
  await load.grow(sizes[0]!);
  const [empty, connects, stored, storedLessConnect, delivered, agentAlone]: number[][] = [[], [], [], [], [], []];
  for (let run = 0; run < runs; run++) {
    empty!.push(await emptyProgram());
    const connectMs = await connect(server);
    connects!.push(connectMs);
    const start = await startOf(server, "task start");
    stored!.push(start.storedMs);
    storedLessConnect!.push(start.storedMs - connectMs);
    delivered!.push(start.deliveredMs);
    agentAlone!.push((await startOf(server, "fast")).storedMs);
  }
  const reference = { name: "an empty program", values: empty! };
  return [
    { name: "start/to the first document stored", unit: "ms", values: stored!, reference },
    { name: "start/to the first document stored, less one connect", unit: "ms", values: storedLessConnect!, reference },
    { name: "start/to the first document delivered", unit: "ms", values: delivered!, reference },
    {
      name: "start/of the agent's own process, to the first document stored",
      unit: "ms",
      values: agentAlone!,
      reference,
    },
    { name: "start/one connect", unit: "ms", values: connects! },
  ];
}

async function emptyProgram(): Promise<number> {
  const startMs = performance.now();
  await new Deno.Command(Deno.execPath(), { args: ["run", programPath("empty.ts")] }).output();
  return performance.now() - startMs;
}

async function connect(server: BenchServer): Promise<number> {
  const startMs = performance.now();
  const client = await server.connect({ name: "bench" });
  await client.query("select 1");
  const tookMs = performance.now() - startMs;
  await client.end();
  return tookMs;
}

async function startOf(
  server: BenchServer,
  command: "task start" | "fast",
): Promise<{ storedMs: number; deliveredMs: number }> {
  await using sink = await Sink.start();
  await using service = await Service.start({ server, sink, command, settings: { logging: { level: "debug" } } });
  const stored = await service.until("a stored document", () => service.firstAtMs.get("document_stored"));
  const delivered = await service.until("a delivered document", async () => (await sink.report()).firstAtMs);
  return { storedMs: stored - service.startedAtMs, deliveredMs: delivered - service.startedAtMs };
}

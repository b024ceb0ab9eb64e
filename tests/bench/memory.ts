/**
 * What memory the whole service holds, `deno task` included, as the proportional set of its processes, from a copy of Deno
 * that the bench does not share.
 *
 * @module
 */

import { join } from "node:path";
import type { AgentFolder } from "../support/agent_folder.ts";
import { waitFor } from "../support/wait_for.ts";
import type { Figure } from "./figures.ts";
import { Load, sizes } from "./load.ts";
import { median } from "./figures.ts";
import { memoryMb, pause, peakUntil, PrivateDeno } from "./processes.ts";
import { createFolder, programPath, Service, type ServiceOptions, Sink } from "./service.ts";
import type { BenchServer } from "./server.ts";

/** Runs of each; cycles; the log that is read at full speed; documents of a full buffer. */
export interface MemoryOptions {
  runs: number;
  cycles: number;
  /** A log in the form that the server's settings say, and where it was written. */
  logFile: string;
  drainedBytes: number;
}

/** What each service is started with: its two processes share one copy of Deno, with nobody else. */
type Started = Pick<ServiceOptions, "server"> & { deno: string };

/** Between the last work and the look: garbage is collected when it is, not when somebody asks. */
const settleMs = 5_000;
const drainedDocumentBytes = 250_000;

export async function measureMemory(server: BenchServer, options: MemoryOptions): Promise<Figure[]> {
  await using load = await Load.create(server);
  await using ofReference = await PrivateDeno.create();
  await using ofService = await PrivateDeno.create();
  const start = { server, deno: ofService.path };
  await load.grow(sizes[0]!);
  const idle: number[] = [];
  const reference: number[] = [];
  for (let run = 0; run < options.runs; run++) {
    reference.push(await idleProgram(ofReference.path));
    idle.push(await idleService(start));
  }
  const log = await fullSpeedLog(start, options);
  const drain = await drainOfFullBuffer(start, options);
  await load.grow(sizes.at(-1)!);
  const { after, peak } = await manyCycles(start, options);
  const beyondIdle = (peaks: number[]) => peaks.map((value) => value - median(idle));
  return [
    { name: "memory/idle", unit: "MB", values: idle, reference: { name: "idle KV and cron", values: reference } },
    { name: "memory/after cycles", unit: "MB", values: after },
    { name: "memory/peak of cycles", unit: "MB", values: [peak] },
    { name: "memory/log at full speed, beyond idle", unit: "MB", values: beyondIdle([log]) },
    { name: "memory/drain of a full buffer, beyond idle", unit: "MB", values: beyondIdle([drain]) },
  ];
}

async function idleProgram(deno: string): Promise<number> {
  const folder = await Deno.makeTempDir();
  const process = new Deno.Command(deno, {
    args: ["run", "--unstable-kv", "--unstable-cron", "--allow-all", programPath("idle.ts"), join(folder, "kv")],
    stdout: "piped",
  }).spawn();
  try {
    const lines = process.stdout.getReader();
    await lines.read();
    await pause(settleMs);
    const used = memoryMb(process.pid);
    await lines.cancel();
    return used;
  } finally {
    process.kill();
    await process.status;
    await Deno.remove(folder, { recursive: true });
  }
}

async function idleService(start: Started): Promise<number> {
  await using sink = await Sink.start();
  await using service = await Service.start({ ...start, sink, command: "task start" });
  await service.cycles(1);
  await pause(settleMs);
  return memoryMb(service.pid);
}

async function manyCycles(
  start: Started,
  { cycles }: MemoryOptions,
): Promise<{ after: number[]; peak: number }> {
  await using sink = await Sink.start();
  await using service = await Service.start({ ...start, sink, command: "fast under task" });
  await service.cycles(1);
  const run = async () => {
    for (let cycle = 0; cycle < cycles; cycle++) await service.tick();
  };
  const peak = await peakUntil(run(), () => memoryMb(service.pid));
  const after: number[] = [];
  for (let sample = 0; sample < 5; sample++) {
    await pause(settleMs / 5);
    after.push(memoryMb(service.pid));
  }
  return { after, peak };
}

/** The log appears whole in an empty file that is followed, so that nothing but the agent sets the pace. */
async function fullSpeedLog(start: Started, { logFile }: MemoryOptions): Promise<number> {
  await using sink = await Sink.start();
  const logs = await Deno.makeTempDir();
  try {
    const path = join(logs, "postgresql.log");
    await Deno.writeTextFile(path, "");
    await using service = await Service.start({
      ...{ ...start, sink, command: "fast under task" },
      settings: { collection: { log_path: logs } },
    });
    await service.cycles(1);
    // Idle is measured behind what is collected then, too.
    await service.untilFollowing();
    const before = (await sink.report()).documents;
    const done = (async () => {
      await Deno.copyFile(logFile, path);
      await service.until("the log's first documents", async () => (await sink.report()).documents > before);
      await untilQuiet(sink);
    })();
    return await peakUntil(done, () => memoryMb(service.pid));
  } finally {
    await Deno.remove(logs, { recursive: true });
  }
}

async function drainOfFullBuffer(start: Started, { drainedBytes }: MemoryOptions): Promise<number> {
  await using sink = await Sink.start();
  const folder: AgentFolder = await createFolder({ ...start, sink, command: "fast under task" });
  const count = Math.floor(drainedBytes / drainedDocumentBytes);
  await folder.fill(count, drainedDocumentBytes);
  await using service = await Service.start({ ...start, sink, command: "fast under task", folder });
  const done = service.until("the drain", async () => (await sink.report()).documents >= count);
  return await peakUntil(done, () => memoryMb(service.pid));
}

/** Until nothing has arrived for a second. */
async function untilQuiet(sink: Sink): Promise<void> {
  let before = -1;
  await waitFor("the end of documents", async () => {
    await pause(1_500);
    const { documents } = await sink.report();
    const isQuiet = documents === before;
    before = documents;
    return isQuiet;
  }, { boundMs: 300_000 });
}

/**
 * What the soak does to the agent. Each fault ends as it began: with a good listener, room on the disk and an agent that
 * runs.
 *
 * @module
 */

import { join } from "node:path";
import { systemClock } from "../../clock.ts";
import { outboxPageBytes } from "../../limits.ts";
import { badModes, type Mode, type SoakListener } from "./soak_listener.ts";
import type { Captures, SoakProcess } from "./soak_process.ts";

/** What faults are done to. */
export interface Stage {
  readonly listener: SoakListener;
  readonly bufferPath: string;
  /** Whether the buffer has a small disk of its own, that can be filled. */
  readonly hasOwnDisk: boolean;
  readonly random: () => number;
  readonly captures: Captures;
  agent: SoakProcess;
  /** Starts the next agent. */
  start: () => SoakProcess;
  /** Sets the buffer's cap for agents started from now on. */
  setCap: (megabytes: number) => Promise<void>;
}

/** One thing that goes wrong. */
export interface Fault {
  name: string;
  run: (stage: Stage) => Promise<void>;
}

/** Faults that an agent lives through. */
export const livedFaults: readonly Fault[] = [
  ...badModes.map((mode) => ({ name: `listener ${mode}`, run: (stage: Stage) => misbehave(stage, mode) })),
  { name: "listener flaps", run: flap },
  { name: "listener away until the cap presses", run: pressCap },
  { name: "disk full", run: fillDisk },
  { name: "disk full and listener away", run: fillDiskUnheard },
  { name: "clock an hour back", run: (stage) => signal(stage, "SIGUSR1") },
  { name: "clock a day forward", run: (stage) => signal(stage, "SIGUSR2") },
  { name: "process stands still", run: standStill },
];

/** Faults that end an agent; the next one is started. */
export const endingFaults: readonly Fault[] = [
  { name: "kill -9", run: (stage) => restart(stage, "SIGKILL") },
  { name: "kill -9 with the listener away", run: killUnheard },
  { name: "kill -9 right after the start", run: killAtStart },
  { name: "SIGTERM", run: (stage) => restart(stage, "SIGTERM") },
  { name: "buffer damaged", run: damage },
  { name: "buffer truncated", run: truncate },
  { name: "buffer replaced by noise", run: replaceByNoise },
  { name: "cap lowered and raised", run: changeCap },
];

async function misbehave({ listener, random }: Stage, mode: Mode): Promise<void> {
  listener.set(mode);
  await systemClock.sleep(1_000 + random() * 5_000);
  listener.set("well");
}

async function flap({ listener, random }: Stage): Promise<void> {
  for (let time = 0; time < 6; time++) {
    listener.set(time % 2 === 0 ? "gone" : "well");
    await systemClock.sleep(random() * 1_000);
  }
  listener.set("well");
}

async function pressCap({ listener, random }: Stage): Promise<void> {
  listener.set(random() < 0.5 ? "gone" : "silent");
  await systemClock.sleep(12_000 + random() * 6_000);
  listener.set("well");
}

async function fillDisk(stage: Stage): Promise<void> {
  if (!stage.hasOwnDisk) return;
  const path = join(stage.bufferPath, "filling");
  using file = await Deno.open(path, { create: true, write: true });
  try {
    for (const piece of [new Uint8Array(65_536), new Uint8Array(512)]) await writeUntilFull(file, piece);
    await systemClock.sleep(3_000 + stage.random() * 4_000);
  } finally {
    await Deno.remove(path);
  }
}

async function writeUntilFull(file: Deno.FsFile, piece: Uint8Array): Promise<void> {
  try {
    while (await file.write(piece) > 0);
  } catch {
    // Full: the purpose.
  }
}

async function fillDiskUnheard(stage: Stage): Promise<void> {
  stage.listener.set("gone");
  await fillDisk(stage);
  stage.listener.set("well");
}

async function signal({ agent }: Stage, name: Deno.Signal): Promise<void> {
  agent.kill(name);
  await systemClock.sleep(2_500);
}

async function standStill({ agent, random }: Stage): Promise<void> {
  agent.kill("SIGSTOP");
  await systemClock.sleep(3_000 + random() * 3_000);
  agent.kill("SIGCONT");
}

async function restart(stage: Stage, name: Deno.Signal): Promise<void> {
  await systemClock.sleep(stage.random() * 3_000);
  await stage.agent.end(name);
  stage.agent = stage.start();
}

async function killUnheard(stage: Stage): Promise<void> {
  stage.listener.set(stage.random() < 0.5 ? "gone" : "reset_after_storing");
  await systemClock.sleep(3_000);
  await restart(stage, "SIGKILL");
  stage.listener.set("well");
}

async function killAtStart(stage: Stage): Promise<void> {
  for (let time = 0; time < 3; time++) {
    await stage.agent.end("SIGKILL");
    stage.agent = stage.start();
    await systemClock.sleep(stage.random() * 800);
  }
}

/** Lets documents pile up, ends the agent, harms its file and starts the next one. */
async function harm(stage: Stage, change: (path: string) => Promise<void>): Promise<void> {
  stage.listener.set("gone");
  await systemClock.sleep(4_000);
  await stage.agent.end(stage.random() < 0.5 ? "SIGKILL" : "SIGTERM");
  await change(join(stage.bufferPath, "outbox.kv"));
  stage.agent = stage.start();
  stage.listener.set("well");
}

async function damage(stage: Stage): Promise<void> {
  await harm(stage, async (path) => {
    using file = await Deno.open(path, { write: true });
    const { size } = await file.stat();
    for (let page = 0; page < 3; page++) {
      await file.seek(Math.floor(stage.random() * size / outboxPageBytes) * outboxPageBytes, Deno.SeekMode.Start);
      await file.write(crypto.getRandomValues(new Uint8Array(outboxPageBytes)));
    }
  });
}

async function truncate(stage: Stage): Promise<void> {
  await harm(stage, async (path) => {
    const { size } = await Deno.stat(path);
    await Deno.truncate(path, Math.floor(size * stage.random()));
  });
}

async function replaceByNoise(stage: Stage): Promise<void> {
  await harm(stage, (path) => Deno.writeFile(path, crypto.getRandomValues(new Uint8Array(50_000))));
}

async function changeCap(stage: Stage): Promise<void> {
  stage.listener.set("gone");
  await systemClock.sleep(8_000);
  await stage.setCap(1);
  await restart(stage, "SIGTERM");
  stage.listener.set("well");
  await systemClock.sleep(3_000);
  await stage.setCap(2);
  await restart(stage, "SIGTERM");
}

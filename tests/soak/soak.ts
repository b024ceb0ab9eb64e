/**
 * `deno task test:soak`: the agent, at thirty times the usual speed of documents, against everything that can go wrong
 * between a collector and the listener, at random. Ends with what became of every document, and exits 1 when one is
 * unexplained or the agent has grown.
 *
 * Usage: `deno task test:soak [--minutes N] [--seed N] [--only WORDS]`; 20 minutes by default.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { systemClock } from "../../clock.ts";
import { runProgram } from "../../tasks/program.ts";
import { AgentFolder } from "../support/agent_folder.ts";
import { account, accountLine } from "../support/ledger.ts";
import { OutboxFolder } from "../support/outbox_folder.ts";
import { seededRandom, takeSeed } from "../support/seeded_random.ts";
import { waitFor } from "../support/wait_for.ts";
import { endingFaults, type Fault, livedFaults, type Stage } from "./soak_faults.ts";
import { ledgerBy, tableOf } from "./soak_ledger.ts";
import { SoakListener } from "./soak_listener.ts";
import { Captures, SoakProcess, type Usage } from "./soak_process.ts";

const capMb = 2;
const ownDiskMb = 24;
/**
 * The agent that lives through faults has this share of the time, so that what grows in it can be seen. What it takes
 * once it has seen most of them is what it is measured by.
 */
const livedShare = 0.6;
const warmShare = 0.25;
/** Far beyond what any agent needs to be back. */
const backBoundMs = 90_000;
/** What a drain and V8's own moods take; a leak takes more in the time. */
const grownBytesMax = 64_000_000;
/** Deno's own come and go by up to nine; a leak of one a fault is a hundred in the usual time. */
const grownFilesMax = 15;

/** One thing that must be so at the end. */
interface Verdict {
  what: string;
  ok: boolean;
}

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: soakOptions });
  const minutes = Number(values.minutes ?? 20);
  if (!(minutes > 0)) {
    throw new Error(`Cannot run because --minutes must be a number above 0: current value is ${values.minutes}`);
  }
  const seed = values.seed === undefined ? takeSeed() : Number(values.seed);
  console.log(`seed ${seed}, ${minutes} minutes`);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => interrupted.abort(new Error("Interrupted")));
  }
  await using folder = await Folder.create();
  const verdicts = await soak(folder, { minutes, random: seededRandom(seed), only: values.only ?? "" });
  for (const { what, ok } of verdicts) console.log(`${ok ? "ok    " : "FAILED"} ${what}`);
  const failed = verdicts.filter(({ ok }) => !ok).length;
  console.log(`${verdicts.length - failed} passed, ${failed} failed, ${folder.hasOwnDisk ? 0 : 1} skipped`);
  return failed === 0 ? 0 : 1;
}

/** The agent's folder, with a small disk for its buffer where this process may mount one. */
class Folder implements AsyncDisposable {
  readonly listener: SoakListener;
  readonly agent: AgentFolder;
  readonly hasOwnDisk: boolean;

  private constructor(listener: SoakListener, agent: AgentFolder, hasOwnDisk: boolean) {
    this.listener = listener;
    this.agent = agent;
    this.hasOwnDisk = hasOwnDisk;
  }

  static async create(): Promise<Folder> {
    const listener = new SoakListener();
    const settings = { buffer: { max_size_mb: capMb }, listener: { timeout_s: 1 } };
    const agent = await AgentFolder.create({ database: { host: "127.0.0.1", port: 5432 }, listener, settings });
    await Deno.mkdir(agent.bufferPath, { mode: 0o700 });
    const mounted = await run("mount", "-t", "tmpfs", "-o", `size=${ownDiskMb}m,mode=0700`, "soak", agent.bufferPath);
    if (!mounted) console.log("skipped: the full disk, because only root can mount a small one");
    return new Folder(listener, agent, mounted);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.listener[Symbol.asyncDispose]();
    if (this.hasOwnDisk) await run("umount", this.agent.bufferPath);
    await this.agent[Symbol.asyncDispose]();
  }
}

async function run(command: string, ...args: string[]): Promise<boolean> {
  try {
    return (await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

interface SoakOptions {
  minutes: number;
  random: () => number;
  /** Of the faults, those with these words in their name. */
  only: string;
}

async function soak(folder: Folder, options: SoakOptions): Promise<Verdict[]> {
  const captures = new Captures();
  const { listener, agent: { iniPath, bufferPath } } = folder;
  const start = () => new SoakProcess(iniPath, captures);
  const stage: Stage = {
    ...{ listener, bufferPath, start, captures, random: options.random, hasOwnDisk: folder.hasOwnDisk },
    agent: start(),
    setCap: (megabytes) => folder.agent.set({ buffer: { max_size_mb: megabytes } }),
  };
  const isMeant = ({ name }: Fault) => name.includes(options.only);
  const startMs = performance.now();
  const untilMs = (share: number) => startMs + options.minutes * 60_000 * share;
  const usages: Usage[] = [];
  try {
    await calm(stage);
    for (const share of [0, warmShare, livedShare]) {
      await inTurn(livedFaults.filter(isMeant), stage, untilMs(share));
      usages.push(await settledUsage(stage));
    }
    await inTurn(endingFaults.filter(isMeant), stage, untilMs(1));
  } finally {
    await stage.agent.end("SIGTERM");
  }
  return [...await accountFor(folder, captures), ...assess(usages)];
}

/** Ends the soak behind the fault under way: what it has mounted must not stay. */
const interrupted = new AbortController();

/** Runs faults in a random order, each as often as any other, and waits after each until all is well. */
async function inTurn(faults: readonly Fault[], stage: Stage, untilMs: number): Promise<void> {
  for (let waiting: Fault[] = []; faults.length > 0 && performance.now() < untilMs;) {
    if (waiting.length === 0) waiting = [...faults];
    const [fault] = waiting.splice(Math.floor(stage.random() * waiting.length), 1);
    const startedMs = performance.now();
    stage.captures.begin(fault!.name);
    await fault!.run(stage);
    const faultMs = performance.now() - startedMs;
    await calm(stage);
    interrupted.signal.throwIfAborted();
    const calmMs = performance.now() - startedMs - faultMs;
    const memory = megabytes(stage.agent.usage().rssBytes);
    console.log(`${fault!.name}: ${seconds(faultMs)}, all well ${seconds(calmMs)} later, ${memory}`);
  }
}

/** Waits until a status arrives that was made now and tells that next to nothing waits. */
async function calm(stage: Stage): Promise<void> {
  const before = stage.listener.stored.length;
  await waitFor(`the agent to be well, which said\n${stage.agent.lastLines.join("\n")}`, () => {
    if (stage.agent.hasEnded) {
      throw new Error(`The agent ended by itself and said\n${stage.agent.lastLines.join("\n")}`);
    }
    return stage.listener.stored.slice(before).some(({ type, data }) => {
      return type === "agent_status" && (data as { buffer: { records: number } }).buffer.records < 10;
    });
  }, { boundMs: backBoundMs });
}

/** The least of some samples: a collection of garbage is due at some time. */
async function settledUsage({ agent }: Stage): Promise<Usage> {
  const samples: Usage[] = [];
  for (let sample = 0; sample < 10; sample++) {
    await systemClock.sleep(1_000);
    samples.push(agent.usage());
  }
  const least = (name: keyof Usage) => Math.min(...samples.map((sample) => sample[name]));
  return { rssBytes: least("rssBytes"), openFiles: least("openFiles") };
}

/** Takes what is left in the buffer, and accounts for all. */
async function accountFor(folder: Folder, captures: Captures): Promise<Verdict[]> {
  const { bufferPath } = folder.agent;
  await using left = await OutboxFolder.create(bufferPath);
  left.delivered.push(...folder.listener.stored);
  await left.openAndDrain();
  const result = account(left.delivered);
  const { captured } = result;
  const types = new Map(left.delivered.map(({ sequence, type }) => [sequence, type]));
  const typeOf = (sequence: number) => types.get(sequence) ?? captures.typeOf(sequence);
  const ledger = { documents: left.delivered, captured };
  console.log(tableOf("captured during", ledgerBy((sequence) => captures.faultAt(sequence), ledger)));
  console.log(tableOf("type", ledgerBy(typeOf, ledger)));
  console.log(accountLine("in all", result));
  console.log(`the buffer's file: ${(await Deno.stat(left.file)).size} bytes, its cap ${capMb} MB`);
  return [
    { what: `unexplained: ${result.unexplained}`, ok: result.unexplained === 0 },
    { what: `foreign ids: ${result.foreignIds}`, ok: result.foreignIds === 0 },
    { what: `statuses that do not add up: ${result.wrongSums}`, ok: result.wrongSums === 0 },
  ];
}

/** By what the agent took at the start, when it was warm, and at the end of what it lived through. */
function assess(usages: readonly Usage[]): Verdict[] {
  const [, warm, last] = usages;
  const memory = usages.map(({ rssBytes }) => megabytes(rssBytes)).join(", ");
  const files = usages.map(({ openFiles }) => openFiles).join(", ");
  return [
    {
      what: `memory at the start, warm and at the end: ${memory}`,
      ok: last!.rssBytes - warm!.rssBytes < grownBytesMax,
    },
    { what: `open files: ${files}`, ok: last!.openFiles - warm!.openFiles <= grownFilesMax },
  ];
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

const soakOptions = { minutes: { type: "string" }, seed: { type: "string" }, only: { type: "string" } } as const;

const help = `Usage: deno task test:soak [--minutes N] [--seed N] [--only WORDS]
  --minutes  default: 20
  --seed     of an earlier run, to have its faults again; default: another each time
  --only     the faults with these words in their name`;

if (import.meta.main) Deno.exit(await runProgram(Deno.args, help, main));

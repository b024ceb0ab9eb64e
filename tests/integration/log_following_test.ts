/**
 * A log that is written fast and rotated in every way while the agent is killed again and again: at the listener every
 * entry is there once, in order. With `BITVILLE_TEST_LOG_FLOOD` set it lasts two minutes at 20 MB/s.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { systemClock } from "../../clock.ts";
import { logBatchMs, logPollMs } from "../../limits.ts";
import { AgentFolder } from "../support/agent_folder.ts";
import { AgentProcess, ownEnvironment, projectRoot } from "../support/agent_process.ts";
import type { WrittenGeneration } from "../support/log_writer.ts";
import { type Received, ScriptedListener } from "../support/scripted_listener.ts";
import { seededRandom, takeSeed } from "../support/seeded_random.ts";
import { openTestOutbox } from "../support/test_outbox.ts";
import { waitFor } from "../support/wait_for.ts";

const plan = Deno.env.has("BITVILLE_TEST_LOG_FLOOD")
  ? { rate: 20, seconds: 120, rotate: 5, kills: 10, drainMs: 400_000 }
  : { rate: 2, seconds: 12, rotate: 3, kills: 4, drainMs: 30_000 };

/** What the writer writes at once: a loss is counted from the entry that was not whole. */
const blockBytes = 64 * 1024;

/** Nobody listens there: what asks the server fails, and does no harm. */
const nowhere = { host: "127.0.0.1", port: 1 } as const;

interface Entry {
  level: string;
  message: string;
  detail: string | null;
  statement: string | null;
  application_name: string | null;
}

/** What reached the listener, entry by entry. */
class Ledger {
  /** How often each number came. */
  readonly times = new Uint8Array(20_000_000);
  readonly wrong: string[] = [];
  entries = 0;
  repeatedDocuments = 0;
  dropped = 0;
  readonly #ids = new Set<string>();
  /** Numbers of entries that lack lines. */
  readonly torn: number[] = [];
  /** By sequence: the numbers in a document. What has waited and what is new take turns on their way. */
  readonly #documents = new Map<number, number[]>();

  /** All numbers in the order in which they were stored. */
  get order(): number[] {
    return [...this.#documents].sort(([one], [other]) => one - other).flatMap(([, numbers]) => numbers);
  }

  take({ id, sequence, type, data }: Received["document"]): void {
    if (type !== "pg_log") return;
    if (this.#ids.has(id)) {
      this.repeatedDocuments++;
      return;
    }
    this.#ids.add(id);
    this.dropped += Number(data.dropped);
    const numbers = (data.entries as Entry[]).map((entry) => this.#note(entry));
    this.#documents.set(sequence, numbers.filter((number) => number >= 0));
  }

  /** The number of an entry; -1 for what is none of the writer's. */
  #note(entry: Entry): number {
    this.entries++;
    const [, digits] = /^no (\d+) /.exec(entry.message) ?? [];
    const number = Number(digits);
    if (digits === undefined) {
      this.wrong.push(JSON.stringify(entry).slice(0, 300));
      return -1;
    }
    if (!isWhole(entry, number)) this.torn.push(number);
    this.times[number]!++;
    return number;
  }
}

/** Whether an entry has all of its lines, and no other's. */
function isWhole({ level, message, detail, statement, application_name }: Entry, number: number): boolean {
  if (application_name === null || !/^(web|bitville-[-0-9a-f]{36})$/.test(application_name)) return false;
  if (level === "ERROR") {
    return detail === `detail ${number} é` && (statement?.startsWith(`select ${number},\n`) ?? false);
  }
  if (level !== "LOG" || detail !== null || statement !== null) return false;
  return message.includes(" statement: ") ? message.endsWith(`\n\tend ${number}`) : !message.includes("\n");
}

/** Starts the writer; what it says is what it wrote. */
function startWriter(folder: string, seed: number): Promise<WrittenGeneration[]> {
  const { rate, seconds, rotate } = plan;
  const args = [folder, `--rate=${rate}`, `--seconds=${seconds}`, `--rotate=${rotate}`, `--seed=${seed}`];
  const program = join(projectRoot, "tests/support/log_writer.ts");
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-read", "--allow-write", program, ...args],
    clearEnv: true,
    env: ownEnvironment(),
    stdout: "piped",
  });
  return command.output().then(({ stdout, success }) => {
    assert(success);
    return new TextDecoder().decode(stdout).trimEnd().split("\n").map((line) => JSON.parse(line));
  });
}

/** In KB: the most the process has had. */
async function peakMemory(pid: number): Promise<number> {
  return Number(/VmHWM:\s+(\d+)/.exec(await Deno.readTextFile(`/proc/${pid}/status`).catch(() => ""))?.[1] ?? 0);
}

/** Entries that did not come, one after the other. */
interface Hole {
  from: number;
  to: number;
  generation: WrittenGeneration;
}

/** What is wrong with what came. A truncation may take away the end of its generation, and part of the last entry. */
function judge(written: readonly WrittenGeneration[], { times, order, torn }: Ledger) {
  const judged = { missing: 0, twice: 0, disordered: 0, torn: 0, destroyed: 0, destroyedBytes: 0 };
  const holes: Hole[] = [];
  for (const generation of written) {
    const { first, next, end, bytes } = generation;
    const numbers = Array.from(times.subarray(first, next));
    judged.twice += numbers.filter((count) => count > 1).length;
    const come = end === "truncate" ? numbers.findLastIndex((count) => count > 0) + 1 : numbers.length;
    holes.push(
      ...holesOf(numbers.slice(0, come)).map(({ from, to }) => ({ from: first + from, to: first + to, generation })),
    );
    judged.destroyed += numbers.length - come;
    judged.destroyedBytes += Math.round(bytes * (numbers.length - come) / Math.max(1, numbers.length));
    const cut = end === "truncate" ? first + come - 1 : -1;
    judged.torn += torn.filter((number) => number >= first && number < next && number !== cut).length;
  }
  judged.missing = holes.reduce((sum, { from, to }) => sum + to - from, 0);
  const last = new Map<WrittenGeneration | undefined, number>();
  for (const number of order) {
    const generation = written.find(({ next }) => number < next);
    if (number <= (last.get(generation) ?? -1)) judged.disordered++;
    last.set(generation, number);
  }
  return { ...judged, holes };
}

/** Where nothing came, as half-open ranges. */
function holesOf(counts: readonly number[]): { from: number; to: number }[] {
  const holes: { from: number; to: number }[] = [];
  for (const [index, count] of counts.entries()) {
    const last = holes.at(-1);
    if (count > 0) continue;
    if (last?.to === index) last.to++;
    else holes.push({ from: index, to: index + 1 });
  }
  return holes;
}

/** What a stopped agent has left: documents that wait, and what it has counted as lost. */
async function leftBy(folder: AgentFolder): Promise<{ records: number; skipped: number; tails: number }> {
  const outbox = await openTestOutbox(folder.bufferPath, { maxBytes: 2_000_000_000 });
  const summary = (await outbox.checkpoints("logs")).get("logs") as { bytesSkipped: number; tailsLost: number };
  const { records } = outbox.status();
  await outbox.close();
  return { records, skipped: summary.bytesSkipped, tails: summary.tailsLost };
}

/** Waits until nothing has come for longer than a batch may wait, and no listener is waited for. */
async function drain(ledger: Ledger, agent: AgentProcess): Promise<void> {
  let [seen, sinceMs] = [-1, 0];
  await waitFor("the last entry", () => {
    if (ledger.entries !== seen) [seen, sinceMs] = [ledger.entries, performance.now()];
    const isOpen = agent.of("circuit_open_buffering").length > agent.of("circuit_closed").length;
    return !isOpen && performance.now() - sinceMs > logBatchMs + 3_000;
  }, { boundMs: plan.drainMs });
}

async function makeFolder(listener: ScriptedListener): Promise<{ folder: AgentFolder; logs: string }> {
  // Room for everything, so that nothing is thinned.
  const settings = { buffer: { max_size_mb: 2_000 }, logging: { level: "info" } };
  const folder = await AgentFolder.create({ database: nowhere, listener, settings });
  const logs = join(folder.path, "logs");
  await Deno.mkdir(logs);
  await folder.set({ collection: { log_path: logs } });
  return { folder, logs };
}

Deno.test(`start carries a log through every rotation, killed ${plan.kills} times, each entry once`, async () => {
  const seed = takeSeed();
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  const ledger = new Ledger();
  await using listener = new ScriptedListener();
  listener.answer = () => {
    for (const { document } of listener.received.splice(0)) ledger.take(document);
    return new Response(null, { status: 202 });
  };
  const made = await makeFolder(listener);
  await using folder = made.folder;
  let writing: Promise<WrittenGeneration[]> | null = null;
  let peakKb = 0;
  for (let kill = 1; kill <= plan.kills; kill++) {
    await using agent = AgentProcess.start(folder);
    if (writing === null) {
      await agent.event("log_collection_begins");
      // Two looks later the folder is known to have been empty.
      await systemClock.sleep(2 * logPollMs);
      writing = startWriter(made.logs, seed);
    }
    await systemClock.sleep(plan.seconds * 1_000 / (plan.kills + 1) * (0.5 + random()));
    peakKb = Math.max(peakKb, await peakMemory(agent.pid));
    await agent.end("SIGKILL");
  }
  await using agent = AgentProcess.start(folder);
  const written = await writing ?? [];
  await drain(ledger, agent);
  peakKb = Math.max(peakKb, await peakMemory(agent.pid));
  assert.equal((await agent.end("SIGTERM")).code, 0);
  const left = await leftBy(folder);
  const { destroyed, destroyedBytes, holes, ...faults } = judge(written, ledger);
  const { entries, repeatedDocuments, dropped, wrong } = ledger;
  const bytes = written.reduce((sum, generation) => sum + generation.bytes, 0);
  const generations = written.length;
  console.log({
    bytes,
    generations,
    entries,
    repeatedDocuments,
    destroyed,
    destroyedBytes,
    ...left,
    peakKb,
    ...faults,
  });
  assert.deepEqual(wrong.slice(0, 5), []);
  assert.deepEqual(holes.slice(0, 10), []);
  assert.deepEqual({ ...faults, dropped, left: left.records }, {
    missing: 0,
    twice: 0,
    disordered: 0,
    torn: 0,
    dropped: 0,
    left: 0,
  });
  assert.equal(entries + destroyed, written.at(-1)?.next);
  // What was seen before it was destroyed is counted; of what was written after the last look nobody can know.
  assert(left.skipped <= destroyedBytes * 1.01 + blockBytes, `${left.skipped} bytes counted of ${destroyedBytes}`);
});

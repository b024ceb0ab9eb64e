/**
 * A log that is written and rotated, and a run that follows it on a clock in the hands of the test.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { LogSettingsReader } from "../../collectors/logs/log_settings.ts";
import { LogRun, type LogRunOptions } from "../../tasks/log_run.ts";
import { decompress } from "../../transport/gzip.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { MemoryDatabase } from "../fakes/memory_database.ts";
import { MemoryOutbox } from "../fakes/memory_outbox.ts";
import { testSeal } from "./drafts.ts";
import { loggingRow } from "./logging_row.ts";
import { MemoryLog } from "./memory_log.ts";
import { waitFor } from "./wait_for.ts";

/** Far beyond what one look and one turn of reading take. */
const roundBoundMs = 30_000;

/** What of a document is looked at. */
interface LogData {
  entries: { message: string }[];
  dropped: number;
}

/** A folder with one log that is written and rotated, and an outbox that outlives every run. */
export class Bench implements AsyncDisposable {
  readonly log = new MemoryLog();
  readonly database = new MemoryDatabase();
  readonly outbox = new MemoryOutbox({ seal: testSeal(), maxBytes: 50_000_000 });
  readonly path: string;
  readonly written: string[] = [];
  #run: { run: LogRun; clock: FakeClock; isAlive: boolean } | null = null;
  #killed: LogRun[] = [];

  private constructor(readonly folder: string) {
    this.path = join(folder, "postgresql.log");
  }

  static async open(): Promise<Bench> {
    return new Bench(await Deno.makeTempDir());
  }

  /** Appends lines that a server could have written, each with a number of its own. */
  async write(count: number, options: { path?: string; name?: string } = {}): Promise<void> {
    const { path = this.path, name = "psql" } = options;
    let text = "";
    for (let index = 0; index < count; index++) {
      const message = `line ${this.written.length}`;
      this.written.push(message);
      text += `2026-11-21 03:00:00.000 UTC [77] ${name} LOG:  ${message}\n`;
    }
    await Deno.writeTextFile(path, text, { append: true, create: true });
  }

  start(options: Partial<Pick<LogRunOptions, "path" | "redact" | "onEntry">> = {}): LogRun {
    // Behind the files' times, which are the machine's: the test's clock runs ahead of it.
    const clock = new FakeClock(new Date(Date.now() - 3_600_000));
    const database = this.database.answer("pg_log settings", [loggingRow({ prefix: "%m [%p] %a " })]);
    const settings = new LogSettingsReader(database, () => clock.monotonicMs());
    const { log } = this;
    const { path = this.folder, redact = null, ...rest } = options;
    const life = { isAlive: true };
    const outbox = mortal(this.outbox, life);
    const run = new LogRun({ path, settings, outbox, onStored: () => undefined, redact, clock, log, ...rest });
    run.start();
    this.#run = Object.assign(life, { run, clock });
    return run;
  }

  /** Its clock never moves again, and nothing of it is stored any more: for everybody else it is dead. */
  async kill(): Promise<void> {
    if (this.#run === null) return;
    this.#run.isAlive = false;
    this.#killed.push(this.#run.run);
    this.#run = null;
    // What was being stored is.
    await this.outbox.saveCheckpoints([]);
  }

  async stop(): Promise<void> {
    const run = this.#run?.run;
    this.#run = null;
    await run?.stop();
  }

  /** What is followed. */
  get files(): string[] {
    return this.#run?.run.progress.map(({ file }) => file) ?? [];
  }

  /** Of the run's clock. */
  get nowMs(): number {
    return this.#run?.clock.now().getTime() ?? 0;
  }

  /** Lets the run look again, and its batches become due. Afterwards it is asleep: what a test does next has no race. */
  async pass(ms = 11_000): Promise<void> {
    const clock = this.#run?.clock;
    if (clock === undefined) return;
    await clock.advance(ms);
    for (const endMs = performance.now() + roundBoundMs; clock.sleepers === 0;) {
      if (performance.now() > endMs) throw new Error("Waited in vain for the end of the round");
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }

  /** The messages that were stored, in order. */
  async stored(): Promise<string[]> {
    return (await this.#documents()).flatMap(({ entries }) => entries.map(({ message }) => message));
  }

  /** How many entries were left out, as the documents say. */
  async dropped(): Promise<number> {
    return (await this.#documents()).reduce((sum, { dropped }) => sum + dropped, 0);
  }

  /** Waits until everything written has been stored, and holds that nothing is there twice or out of order. */
  async expectAll(): Promise<void> {
    await waitFor("all lines", async () => {
      await this.pass();
      return (await this.stored()).length >= this.written.length;
    });
    assert.deepEqual(await this.stored(), this.written);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Promise.all(this.#killed.map((run) => run.stop().catch(() => undefined)));
    await Deno.remove(this.folder, { recursive: true });
  }

  readonly #taken: LogData[] = [];

  async #documents(): Promise<LogData[]> {
    for (let entry = await this.outbox.oldest(); entry !== null; entry = await this.outbox.oldest()) {
      const json = new TextDecoder().decode(await decompress(entry.gzip, 100_000_000));
      this.#taken.push(JSON.parse(json).data);
      await this.outbox.acknowledge(entry.sequence);
    }
    return this.#taken;
  }
}

/** The outbox as a run sees it: out of its reach when it is dead. */
function mortal(outbox: MemoryOutbox, life: { isAlive: boolean }): MemoryOutbox {
  return new Proxy(outbox, {
    get(target, name) {
      if (!life.isAlive) throw new Error("Cannot use the outbox because the run is dead");
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Each leaves what was written under another name or takes it away, as the programs of the world do. */
export const rotations: Record<string, (bench: Bench) => Promise<void>> = {
  "a rename and a new file": ({ path }) => shiftAway(path),
  copytruncate: async ({ path }) => {
    await shift(path);
    await Deno.copyFile(path, `${path}.1`);
    await Deno.truncate(path, 0);
  },
};

export async function shiftAway(path: string): Promise<void> {
  await shift(path);
  await Deno.rename(path, `${path}.1`);
  await Deno.writeTextFile(path, "");
}

async function shift(path: string): Promise<void> {
  for (let number = 8; number >= 1; number--) {
    await Deno.rename(`${path}.${number}`, `${path}.${number + 1}`).catch(() => undefined);
  }
}

/** Begins to follow an empty log. */
export async function follow(bench: Bench): Promise<void> {
  await bench.write(0);
  bench.start();
  await waitFor("the log", async () => {
    await bench.pass(1_000);
    return bench.log.of("log_followed").length > 0;
  });
}

/** How many files of a folder this process holds open. */
function openFiles(folder: string): number {
  return [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => linkOf(name).includes(folder)).length;
}

function linkOf(name: string): string {
  try {
    return Deno.readLinkSync(`/proc/self/fd/${name}`);
  } catch {
    return "";
  }
}

export async function expectClosed(bench: Bench): Promise<void> {
  await waitFor("the file to be closed", async () => {
    await bench.pass(1_000);
    return openFiles(bench.folder) === 0;
  });
}

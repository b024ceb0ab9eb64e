// Following real files through every kind of rotation and restart: each line arrives once, or is counted.
import * as limits from "../../limits.ts";
import assert from "node:assert/strict";
import { join } from "node:path";
import { LogSettingsReader } from "../../collectors/logs/log_settings.ts";
import { loggingRow } from "../support/logging_row.ts";
import { LogRun, type LogRunOptions } from "../../tasks/log_run.ts";
import { decompress } from "../../transport/gzip.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { MemoryDatabase } from "../fakes/memory_database.ts";
import { MemoryOutbox } from "../fakes/memory_outbox.ts";
import { testSeal } from "../support/drafts.ts";
import { MemoryLog } from "../support/memory_log.ts";
import { waitFor } from "../support/wait_for.ts";

/** A folder with one log that is written and rotated, and an outbox that outlives every run. */
class Bench implements AsyncDisposable {
  readonly log = new MemoryLog();
  readonly outbox = new MemoryOutbox({ seal: testSeal(), maxBytes: 50_000_000 });
  readonly path: string;
  readonly written: string[] = [];
  #run: { run: LogRun; clock: FakeClock } | null = null;
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

  start(options: { path?: string; redact?: LogRunOptions["redact"] } = {}): LogRun {
    // Behind the files' times, which are the machine's: the test's clock runs ahead of it.
    const clock = new FakeClock(new Date(Date.now() - 3_600_000));
    const database = new MemoryDatabase().answer("pg_log settings", [loggingRow({ prefix: "%m [%p] %a " })]);
    const settings = new LogSettingsReader(database, () => clock.monotonicMs());
    const { outbox, log } = this;
    const { path = this.folder, redact = null } = options;
    const run = new LogRun({ path, settings, outbox, onStored: () => undefined, redact, clock, log });
    run.start();
    this.#run = { run, clock };
    return run;
  }

  /** Its clock never moves again: for everybody else it is dead. */
  kill(): void {
    if (this.#run !== null) this.#killed.push(this.#run.run);
    this.#run = null;
  }

  async stop(): Promise<void> {
    const run = this.#run?.run;
    this.#run = null;
    await run?.stop();
  }

  /** Lets the run look again, and its batches become due. */
  async pass(ms = 11_000): Promise<void> {
    await this.#run?.clock.advance(ms);
  }

  /** The messages that were stored, in order. */
  async stored(): Promise<string[]> {
    const messages: string[] = [];
    for (const json of await this.#documents()) {
      const { data } = JSON.parse(json) as { data: { entries: { message: string }[] } };
      messages.push(...data.entries.map(({ message }) => message));
    }
    return messages;
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

  readonly #taken: string[] = [];

  async #documents(): Promise<string[]> {
    for (let entry = await this.outbox.oldest(); entry !== null; entry = await this.outbox.oldest()) {
      this.#taken.push(new TextDecoder().decode(await decompress(entry.gzip, 100_000_000)));
      await this.outbox.acknowledge(entry.sequence);
    }
    return this.#taken;
  }
}

/** Each leaves what was written under another name or takes it away, as the programs of the world do. */
const rotations: Record<string, (bench: Bench) => Promise<void>> = {
  "a rename and a new file": async ({ path }) => {
    await shift(path);
    await Deno.rename(path, `${path}.1`);
    await Deno.writeTextFile(path, "");
  },
  copytruncate: async ({ path }) => {
    await shift(path);
    await Deno.copyFile(path, `${path}.1`);
    await Deno.truncate(path, 0);
  },
};

async function shift(path: string): Promise<void> {
  for (let number = 8; number >= 1; number--) {
    await Deno.rename(`${path}.${number}`, `${path}.${number + 1}`).catch(() => undefined);
  }
}

/** Begins to follow an empty log. */
async function follow(bench: Bench): Promise<void> {
  await bench.write(0);
  bench.start();
  await waitFor("the log", async () => {
    await bench.pass(1_000);
    return bench.log.of("log_followed").length > 0;
  });
}

Deno.test("LogRun begins at the end of a file at the first start, and says so", async () => {
  await using bench = await Bench.open();
  await bench.write(100);
  bench.written.length = 0;
  await follow(bench);
  assert.equal(bench.log.of("log_collection_begins").length, 1);
  await bench.write(3);
  await bench.expectAll();
});

Deno.test("LogRun goes on exactly where it was stopped, and where it was killed", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  for (const end of ["stop", "kill", "stop", "kill"] as const) {
    await bench.write(700);
    await bench.pass(1_000);
    await bench[end]();
    await bench.write(30);
    bench.start();
    await bench.pass(1_000);
  }
  await bench.expectAll();
  assert.equal(bench.log.of("log_collection_begins").length, 1);
});

for (const [name, rotate] of Object.entries(rotations)) {
  Deno.test(`LogRun reads on after ${name}, the old file first`, async () => {
    await using bench = await Bench.open();
    await follow(bench);
    for (let round = 0; round < 5; round++) {
      await bench.write(50);
      if (round % 2 === 0) await bench.pass(1_000);
      await bench.write(40);
      await rotate(bench);
      await bench.write(round === 2 ? 200 : 10);
      await bench.pass(3_000);
    }
    await bench.expectAll();
    assert(bench.log.of("log_rotation_detected").length >= 5);
    assert.equal(bench.log.of("log_bytes_skipped").length, 0);
  });

  Deno.test(`LogRun finds what it had not read after ${name} while it was dead, also twice`, async () => {
    await using bench = await Bench.open();
    await follow(bench);
    for (const times of [1, 2, 3]) {
      await bench.write(60);
      await bench.pass(1_500);
      await bench.write(5);
      bench.kill();
      for (let time = 0; time < times; time++) {
        await bench.write(20);
        await rotate(bench);
        await bench.write(30);
      }
      bench.start();
      await bench.pass(3_000);
    }
    await bench.expectAll();
  });
}

for (const [name, rotate] of Object.entries(rotations)) {
  Deno.test(`LogRun reads what came and went between two looks by ${name}`, async () => {
    await using bench = await Bench.open();
    await follow(bench);
    for (const size of [0, 60, 60]) {
      await bench.write(size);
      await bench.pass(1_000);
      for (let time = 0; time < 3; time++) {
        await bench.write(7);
        await rotate(bench);
      }
      await bench.write(3);
      await bench.pass(3_000);
    }
    await bench.expectAll();
  });

  Deno.test(`LogRun reads a log from its beginning that was rotated by ${name} before it was seen`, async () => {
    await using bench = await Bench.open();
    await follow(bench);
    const path = join(bench.folder, "postgresql-2.log");
    await bench.write(20, { path });
    await rotate({ path } as Bench);
    await bench.write(20, { path });
    await bench.expectAll();
  });
}

Deno.test("LogRun sees that a file was truncated when it has grown beyond the position, and when to the same size", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  await bench.write(50);
  await bench.expectAll();
  for (const count of [300, 300, 900]) {
    await Deno.truncate(bench.path, 0);
    await bench.write(count);
    await bench.expectAll();
  }
  assert.equal(bench.log.of("log_rotation_detected").length, 3);
  assert.equal(bench.log.of("log_bytes_skipped").length, 0);
});

Deno.test("LogRun drops and counts an entry that cannot be redacted, and no other", async () => {
  await using bench = await Bench.open();
  await bench.write(0);
  const run = bench.start({
    redact: (entry) => {
      if (entry.message === "line 5") throw new RangeError("line 5 is too much");
      return entry;
    },
  });
  await waitFor("the log", async () => {
    await bench.pass(1_000);
    return bench.log.of("log_followed").length > 0;
  });
  await bench.write(10);
  bench.written.splice(5, 1);
  await bench.expectAll();
  assert.equal(run.entriesDropped, 1);
  assert(!JSON.stringify(bench.log.of("log_entry_dropped")).includes("line 5"));
});

Deno.test("LogRun counts what a truncation took away unread, and goes on", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  await bench.write(50);
  await bench.expectAll();
  await bench.write(1_000);
  bench.written.length = 50;
  const lost = (await Deno.stat(bench.path)).size;
  await Deno.truncate(bench.path, 0);
  await bench.write(5);
  await bench.expectAll();
  assert(lost > 0);
  assert(bench.log.of("log_rotation_detected").length === 1);
});

Deno.test("LogRun follows the collector's new name", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  await bench.write(20);
  const next = join(bench.folder, "postgresql-2.log");
  await bench.write(20, { path: next });
  await bench.expectAll();
});

Deno.test("LogRun takes the best format of a log that is written in several, and no line twice", async () => {
  await using bench = await Bench.open();
  const json = join(bench.folder, "postgresql.json");
  await Deno.writeTextFile(json, "");
  await follow(bench);
  await bench.write(5);
  for (const message of bench.written) {
    const line = { timestamp: "2026-11-21 03:00:00.000 UTC", pid: 77, error_severity: "LOG", message };
    await Deno.writeTextFile(json, JSON.stringify(line) + "\n", { append: true });
  }
  await bench.expectAll();
});

Deno.test("LogRun waits for a folder that is not there yet, and says it once", async () => {
  await using bench = await Bench.open();
  const folder = join(bench.folder, "later");
  bench.start({ path: folder });
  await bench.pass(5_000);
  assert.equal(bench.log.of("log_unreadable").length, 1);
  await Deno.mkdir(folder);
  await bench.write(7, { path: join(folder, "postgresql.log") });
  await bench.expectAll();
});

Deno.test("LogRun leaves compressed and foreign files alone", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  for (const name of ["postgresql.log.2.gz", "notes.txt", "postgresql.log.1.xz"]) {
    await bench.write(3, { path: join(bench.folder, name) });
  }
  bench.written.length = 0;
  await bench.write(4);
  await bench.expectAll();
});

Deno.test("LogRun lets a deleted file go", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  await bench.write(10);
  await bench.pass(2_000);
  await Deno.remove(bench.path);
  await bench.expectAll();
  const run = () => [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => linkOf(name).includes(bench.folder));
  await waitFor("the file to be closed", async () => {
    await bench.pass(5_000);
    return run().length === 0;
  });
});

function linkOf(name: string): string {
  try {
    return Deno.readLinkSync(`/proc/self/fd/${name}`);
  } catch {
    return "";
  }
}

Deno.test("LogRun sends entries of web requests within a second, others after a while or many at once", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  await bench.write(3);
  await bench.pass(5_000);
  assert.deepEqual(await bench.stored(), []);
  await bench.write(1, { name: "bitville-0b0e8a3e-7a3a-4a53-9d55-0c7f3a3b1e22" });
  await waitFor("the documents", async () => {
    await bench.pass(700);
    return (await bench.stored()).length === 4;
  });
  await bench.write(2 * limits.logBatchEntriesMax + 200);
  await bench.pass(700);
  await waitFor("two full documents", async () => (await bench.stored()).length >= 4 + limits.logBatchEntriesMax);
  await bench.expectAll();
});

Deno.test("LogRun loses nothing while the outbox cannot be written", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  bench.outbox.failNext("put", 3);
  await bench.write(900);
  await bench.expectAll();
  assert.equal(bench.log.of("document_not_stored").length, 1);
});

/**
 * What the server says of its logs, while they are followed. How files are followed: tests/tasks/log_run_test.ts.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { LogEntry } from "../../../collectors/logs/entry.ts";
import { LogFollower } from "../../../collectors/logs/log_follower.ts";
import { type LogSettings, unknownSettings } from "../../../collectors/logs/log_settings.ts";
import { TimeZone } from "../../../collectors/logs/timezone.ts";
import { MemoryLog } from "../../support/memory_log.ts";
import { waitFor } from "../../support/wait_for.ts";

/** All is written now: whether an entry may still grow does not depend on how fast the test is. */
const writtenMs = Date.parse("2026-07-01T12:00:00Z");

/** A folder with logs, followed from their beginning. */
class Followed implements AsyncDisposable {
  settings: LogSettings = unknownSettings;
  readonly #folder: string;
  readonly #follower: LogFollower;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#follower = new LogFollower({
      path: folder,
      settings: () => this.settings,
      nowMs: () => writtenMs,
      monotonicMs: () => 0,
      log: new MemoryLog(),
      onLoss: () => assert.fail("nothing is lost"),
    }, { states: new Map(), lookedMs: 0 });
  }

  static async create(): Promise<Followed> {
    return new Followed(await Deno.makeTempDir());
  }

  path(name: string): string {
    return join(this.#folder, name);
  }

  async write(name: string, text: string): Promise<void> {
    await Deno.writeTextFile(this.path(name), text, { append: true });
    await Deno.utime(this.path(name), writtenMs / 1_000, writtenMs / 1_000);
  }

  /** What one look and one read bring. */
  async read(): Promise<LogEntry[]> {
    await this.#follower.look();
    const entries: LogEntry[] = [];
    for await (const { records } of this.#follower.read()) entries.push(...records.map(({ entry }) => entry));
    return entries;
  }

  get files(): string[] {
    return this.#follower.progress.map(({ file, format }) => `${file.slice(this.#folder.length + 1)} ${format}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#follower.close();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

function line(minute: number, text: string): string {
  return `2026-07-01 12:0${minute}:00.000 CEST [7] u@d psql ${text}\n`;
}

Deno.test("LogFollower reads on under another prefix and zone from the first entry on that it has not handed out", async () => {
  await using followed = await Followed.create();
  followed.settings = { ...unknownSettings, prefix: "%m [%p] " };
  // More than stay open, so that the first ones are handed out as they were understood.
  await followed.write("a.log", Array.from({ length: 60 }, (_, index) => line(1, `LOG:  ${index}`)).join(""));
  const before = await followed.read();
  assert.ok(before.length > 0 && before.length < 60, `${before.length} entries`);
  assert.ok(before.every(({ level, user }) => level === "UNKNOWN" && user === null));
  followed.settings = { ...followed.settings, prefix: "%m [%p] %q%u@%d %a ", zone: new TimeZone("Europe/Paris") };
  await followed.write("a.log", line(2, "ERROR:  last") + line(2, "STATEMENT:  select"));
  const after: LogEntry[] = [];
  await waitFor("the last entry", async () => {
    after.push(...await followed.read());
    return after.at(-1)?.statement === "select";
  });
  assert.equal(before.length + after.length, 61);
  assert.deepEqual(
    after.slice(0, -1).map(({ message }) => Number(message)),
    [...Array(60).keys()].slice(before.length),
  );
  assert.ok(
    after.every(({ user, database, application_name }) => `${user} ${database} ${application_name}` === "u d psql"),
  );
  assert.equal(after.at(-1)?.statement, "select");
  assert.equal(after.at(-1)?.timestamp, "2026-07-01T10:02:00.000Z");
});

Deno.test("LogFollower leaves the format at once that the server says it no longer writes", async () => {
  await using followed = await Followed.create();
  const json = `{"timestamp":"2026-07-01 12:00:00.000 UTC","error_severity":"LOG","message":"left over"}\n`;
  await followed.write("a.json", json);
  await followed.write("a.log", "2026-07-01 12:00:00.000 UTC [7] LOG:  new\n");
  await followed.write("other.json", json);
  await followed.write("other.log", "");
  followed.settings = { ...unknownSettings, formats: ["stderr"], currentFile: followed.path("a.log") };
  await followed.read();
  // Of logs that are not this server's its settings say nothing.
  assert.deepEqual(followed.files.sort(), ["a.log stderr", "other.json jsonlog"]);
});

Deno.test("LogFollower follows the server's file also when its name does not look like a log's", async () => {
  await using followed = await Followed.create();
  await followed.write("postgresql-Mon", "2026-07-01 12:00:00.000 UTC [7] LOG:  x\n");
  await followed.write("notes", "no log\n");
  await followed.read();
  assert.deepEqual(followed.files, []);
  followed.settings = { ...unknownSettings, formats: ["stderr"], currentFile: followed.path("postgresql-Mon") };
  await followed.read();
  assert.deepEqual(followed.files, ["postgresql-Mon stderr"]);
});

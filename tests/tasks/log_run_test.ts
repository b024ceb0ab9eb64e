// Following real files through every kind of rotation and restart: each line arrives once, or is counted.
import assert from "node:assert/strict";
import { join } from "node:path";
import { logBatchEntriesMax, logDocumentsAhead, logFilesMax, logSettingsMs } from "../../limits.ts";
import { Bench, expectClosed, follow, rotations, shiftAway } from "../support/log_bench.ts";
import { waitFor } from "../support/wait_for.ts";

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
      await bench.kill();
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

Deno.test("LogRun reads the rest of a log from its copy when the file got another name as well between two looks", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  await bench.write(60);
  await bench.expectAll();
  for (const name of Object.keys(rotations).reverse()) {
    await bench.write(40);
    await rotations[name]!(bench);
  }
  await bench.write(5);
  await bench.expectAll();
  assert.equal(bench.log.of("log_bytes_skipped").length, 0);
});

Deno.test("LogRun finds again what a look had found when it is killed before anything of it was stored", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  const path = join(bench.folder, "postgresql-2.log");
  await bench.write(600);
  await bench.write(20, { path });
  await shiftAway(path);
  // Older than the next look by more than the file system's clock may lag, and newer than the look before.
  const written = new Date(bench.nowMs - 500);
  await Deno.utime(`${path}.1`, written, written);
  await bench.write(20, { path });
  await waitFor("a full document", async () => {
    await bench.pass(700);
    return (await bench.stored()).length > 0;
  });
  await bench.kill();
  bench.start();
  await waitFor("all lines", async () => {
    await bench.pass();
    return (await bench.stored()).length >= bench.written.length;
  });
  assert.deepEqual((await bench.stored()).sort(), bench.written.sort());
});

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
  bench.start({
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
  assert.equal(await bench.dropped(), 1);
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
  // Two logs have no order between them: a look may see the second's lines and, a moment before, not yet the first's.
  await bench.expectAll();
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
  await waitFor("the warning", async () => {
    await bench.pass(1_000);
    return bench.log.of("log_unreadable").length > 0;
  });
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

Deno.test("LogRun sends entries of web requests within a second, others after a while or 500 at once", async () => {
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
  await bench.write(1_200);
  await bench.pass(700);
  await waitFor("two full documents", async () => (await bench.stored()).length >= 1_004);
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

Deno.test("LogRun reads on while documents are stored, so many ahead, and goes on behind those that were", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  const { outbox } = bench;
  const gate = Promise.withResolvers<void>();
  const together: number[] = [];
  const put = outbox.putInOrder.bind(outbox);
  outbox.putInOrder = async (puts) => {
    together.push(puts.length);
    if (together.length === 1) await gate.promise;
    return await put(puts);
  };
  let read = 0;
  await bench.stop();
  bench.start({ onEntry: () => read += 1 });
  await bench.write(30 * logBatchEntriesMax);
  const advanced = bench.pass();
  await waitFor("the documents ahead", () => read >= logDocumentsAhead * logBatchEntriesMax);
  // Nothing but the gate can have it read on: a turn of the loop would bring what is missing.
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(read, logDocumentsAhead * logBatchEntriesMax);
  // Of the second call's documents the third.
  outbox.failNext("put", 1, { after: 3 });
  gate.resolve();
  await advanced;
  await bench.expectAll();
  assert.deepEqual(together.slice(0, 2), [1, logDocumentsAhead - 1]);
  assert(together[2]! >= logDocumentsAhead - 3, "at once, with those that were read meanwhile");
});

Deno.test("LogRun lets a deleted file go", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  await bench.write(10);
  await bench.pass(2_000);
  await Deno.remove(bench.path);
  await bench.expectAll();
  await expectClosed(bench);
});

Deno.test("LogRun lets a deleted file go whose successor has nothing to say", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  await bench.write(10);
  await bench.pass(2_000);
  await Deno.remove(bench.path);
  await Deno.writeTextFile(bench.path, "");
  await expectClosed(bench);
  await bench.write(3);
  await bench.expectAll();
});

Deno.test("LogRun closes a file that has been silent for a while, and reads on at the next line", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  for (const count of [10, 7, 1]) {
    await bench.write(count, { name: "bitville-0b0e8a3e-7a3a-4a53-9d55-0c7f3a3b1e22" });
    // The line is seen within a second, and sent within the next.
    await bench.pass(700);
    await bench.pass(700);
    await bench.pass(700);
    assert.deepEqual(await bench.stored(), bench.written);
    await expectClosed(bench);
  }
  await bench.write(5);
  await shiftAway(bench.path);
  await bench.write(5);
  await bench.expectAll();
});

Deno.test("LogRun reads from its start what appears while it is dead after a first start without any log", async () => {
  for (const folder of [".", "later"]) {
    await using bench = await Bench.open();
    const path = join(bench.folder, folder);
    bench.start({ path });
    await bench.pass(1_000);
    await bench.kill();
    await Deno.mkdir(path, { recursive: true });
    await bench.write(7, { path: join(path, "postgresql.log") });
    bench.start({ path });
    await bench.expectAll();
  }
});

Deno.test("LogRun tells what is new by its content: rotated files whose times are years ago are read", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  for (const rotate of [...Object.values(rotations), ...Object.values(rotations)]) {
    await bench.write(20);
    await bench.pass(1_000);
    for (let time = 0; time < 2; time++) {
      await bench.write(9);
      await rotate(bench);
      await Deno.utime(`${bench.path}.1`, new Date("2020-01-01"), new Date("2020-01-01"));
    }
    await bench.write(3);
    await bench.expectAll();
  }
});

Deno.test("LogRun follows the latest files of many, and begins none of the others anew when it comes back to it", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  const paths = Array.from({ length: logFilesMax + 4 }, (_, hour) => join(bench.folder, `hour-${100 + hour}.log`));
  for (const [index, path] of paths.entries()) {
    await bench.write(1, { path });
    await Deno.utime(path, index, index);
    await bench.pass(1_000);
  }
  await bench.expectAll();
  for (let look = 0; look < 110; look++) await bench.pass(1_000);
  assert.equal(bench.files.length, logFilesMax);
  for (const path of paths.slice(-6)) await Deno.remove(path);
  for (let look = 0; look < 70; look++) await bench.pass(1_000);
  assert(bench.files.includes(paths[0]!));
  await bench.write(2, { path: paths[0]! });
  await bench.expectAll();
  await bench.stop();
  bench.start();
  await bench.write(2, { path: paths[1]! });
  await bench.expectAll();
});

Deno.test("LogRun reads on while the server does not answer what it is asked", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  bench.database.answer("pg_log settings", () => new Promise(() => undefined));
  await bench.pass(logSettingsMs + 1_000);
  await bench.write(3);
  await bench.expectAll();
});

Deno.test("LogRun stores no look whose findings are not stored yet", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  const { outbox } = bench;
  const looks: number[] = [];
  const put = outbox.putInOrder.bind(outbox);
  outbox.putInOrder = async (puts) => {
    const stored = await put(puts);
    for (const { checkpoints } of puts) {
      const summary = checkpoints.find(({ name }) => name === "logs")?.value as { lookedMs: number };
      looks.push(summary.lookedMs);
    }
    return stored;
  };
  outbox.failNext("put", 1);
  await bench.write(logBatchEntriesMax);
  await waitFor("the failure", async () => {
    await bench.pass(100);
    return bench.log.of("document_not_stored").length > 0;
  });
  const beforeMs = bench.nowMs;
  await bench.write(1, { path: join(bench.folder, "postgresql-2.log") });
  await waitFor("the full document", async () => {
    await bench.pass(700);
    return looks.length > 0;
  });
  assert(looks[0]! <= beforeMs);
});

Deno.test("LogRun says what had to go for its documents", async () => {
  await using bench = await Bench.open();
  await follow(bench);
  bench.outbox.resize(8_000);
  await waitFor("an eviction", async () => {
    await bench.write(100);
    await bench.pass();
    return bench.log.of("buffer_eviction_complete").length > 0;
  });
});

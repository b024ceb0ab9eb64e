// The real machine: what Deno's own API says of it, and files that must not be read whole.
import assert from "node:assert/strict";
import { join } from "node:path";
import { denoMachine } from "../../../collectors/system/deno_machine.ts";
import { MemoryMachine } from "../../fakes/memory_machine.ts";
import { withFolder } from "../../support/with_folder.ts";

Deno.test("denoMachine gives the times of each CPU, as many as /proc/stat lists", () => {
  const listed = [...Deno.readTextFileSync("/proc/stat").matchAll(/^cpu\d+ (\d+) (\d+) (\d+) (\d+) \d+ (\d+)/gm)];
  const cpus = denoMachine.cpus();
  assert.equal(cpus.length, listed.length);
  for (const [index, { user, nice, sys, idle, irq }] of cpus.entries()) {
    const ticks = listed[index]!.slice(1).map(Number);
    for (const [place, ms] of [user, nice, sys, idle, irq].entries()) {
      assert.ok(Math.abs(ms - ticks[place]! * 10) < 1_000, `CPU ${index}, column ${place}: ${ms} ms, ${ticks} ticks`);
    }
  }
});

Deno.test("denoMachine gives memory as /proc/meminfo has it", () => {
  const text = Deno.readTextFileSync("/proc/meminfo");
  const kilobytes = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB`, "m").exec(text)?.[1]) * 1024;
  const { total, available } = denoMachine.memory();
  assert.equal(total, kilobytes("MemTotal"));
  assert.ok(Math.abs(available - kilobytes("MemAvailable")) < total / 10);
});

Deno.test("denoMachine reads a text up to its bound and refuses a longer one, as the fake does", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "text");
    const text = "ä1".repeat(100_000);
    await Deno.writeTextFile(path, text);
    assert.equal(denoMachine.readTextFile(path, 300_000), text);
    assert.throws(() => denoMachine.readTextFile(path, 299_999), /^Error: it must not be longer than 299999 bytes$/);
    const fake = new MemoryMachine();
    fake.files.set(path, text);
    assert.throws(() => fake.readTextFile(path, 100), /^Error: it must not be longer than 100 bytes$/);
    for (const machine of [denoMachine, fake]) {
      assert.throws(() => machine.readTextFile(join(folder, "absent"), 1), Deno.errors.NotFound);
    }
  });
});

Deno.test("denoMachine stops reading a file that never ends", async () => {
  // As long as a file can be, and takes no room.
  await withFolder(async (folder) => {
    const path = join(folder, "endless");
    await Deno.writeTextFile(path, "");
    await Deno.truncate(path, 2 ** 40);
    assert.throws(() => denoMachine.readTextFile(path, 1_000_000), /must not be longer/);
  });
});

Deno.test("denoMachine does not open what is no regular file: a pipe would wait for its writer for ever", async () => {
  await withFolder(async (folder) => {
    const pipe = join(folder, "pipe");
    await new Deno.Command("mkfifo", { args: [pipe] }).output();
    for (const path of [pipe, folder, "/dev/zero"]) {
      assert.throws(() => denoMachine.readTextFile(path, 10), /^Error: it must be a regular file$/);
    }
  });
});

Deno.test("denoMachine gives the space of a file system as df does", async () => {
  await withFolder(async (folder) => {
    const columns = "--output=size,itotal";
    const { stdout } = await new Deno.Command("df", { args: ["-B1", columns, folder] }).output();
    const [size, inodes] = new TextDecoder().decode(stdout).trim().split("\n")[1]!.trim().split(/\s+/);
    const { blockBytes, blocks, files } = await denoMachine.fileSystem(folder);
    assert.equal(String(blocks * blockBytes), size);
    assert.equal(String(files), inodes!.replace("-", "0"));
    await assert.rejects(denoMachine.fileSystem(join(folder, "absent")));
  });
});

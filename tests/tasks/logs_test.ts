/**
 * `deno task logs`: arguments, files, what it prints and how it ends.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import type { CommandContext } from "../../tasks/command.ts";
import { run } from "../../tasks/logs.ts";
import { withFolder } from "../support/with_folder.ts";

const line = "2026-11-21 06:12:28.226 CET [7] LOG:  checkpoint starting\n";

/** Runs the command in a folder with these files. */
async function logs(args: string[], files: Record<string, string> = {}) {
  return await withFolder(async (folder) => {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(join(folder, name), text);
    let printed = "";
    let said = "";
    const code = await run({
      args,
      environment: (name) => name === "INIT_CWD" ? folder : undefined,
      print: (text) => {
        printed += text;
        return Promise.resolve();
      },
      printError: (text) => {
        said += text;
      },
      stop: new AbortController().signal,
    } as Partial<CommandContext> as CommandContext);
    return { code, said, entries: printed.split("\n").filter(Boolean).map((entry) => JSON.parse(entry)) };
  });
}

Deno.test("logs prints the entries of files relative to where it was called, and a summary", async () => {
  const json = `{"timestamp":"2026-11-21 06:12:28.226 UTC","error_severity":"ERROR","message":"no"}\n`;
  const { code, said, entries } = await logs(["a.log", "b.json"], { "a.log": line + line, "b.json": json });
  assert.equal(code, 0);
  assert.deepEqual(entries.map(({ level, timestamp, file }) => [level, timestamp, file]), [
    ["LOG", "2026-11-21T05:12:28.226Z", "a.log"],
    ["LOG", "2026-11-21T05:12:28.226Z", "a.log"],
    ["ERROR", "2026-11-21T06:12:28.226Z", "b.json"],
  ]);
  assert.match(said, /^a\.log: stderr with prefix '%m \[%p\] ', 116 bytes, 2 lines/m);
  assert.match(said, /^b\.json: jsonlog, /m);
  assert.match(said, /^2 files, 3 entries \(LOG 2, ERROR 1\), /m);
});

Deno.test("logs takes format, prefix and time zone as given, and mends a prefix that lost its last blank", async () => {
  const text = "2026-11-21 06:12:28 IST u LOG:  x\n";
  const args = ["a", "--format", "stderr", "--prefix", "%t %u", "--timezone", "Asia/Kolkata"];
  const { entries } = await logs(args, { a: text });
  assert.equal(entries[0].user, "u");
  assert.equal(entries[0].timestamp, "2026-11-21T00:42:28.000Z");
});

Deno.test("logs finds out a prefix in use when the default does not fit", async () => {
  const text = "2026-11-21 06:12:28 UTC:10.0.0.1(5432):u@d:[7]:LOG:  x\n";
  const { entries, said } = await logs(["a"], { a: text });
  assert.deepEqual([entries[0].user, entries[0].database, entries[0].pid], ["u", "d", 7]);
  assert.match(said, /'%t:%r:%u@%d:\[%p\]:'/);
});

Deno.test("logs reads the other files when one cannot be read, and ends with 1", async () => {
  const { code, said, entries } = await logs(["none", "a"], { a: line });
  assert.equal(code, 1);
  assert.equal(entries.length, 1);
  assert.match(said, /^Cannot read none: No such file/m);
});

for (
  const [args, problem] of [
    [[], /no file is named/],
    [["a", "--format", "xml"], /"xml": it must be auto, stderr, csvlog, jsonlog/],
    [["a", "--timezone", "Mars/Olympus"], /"Mars\/Olympus": it must be a name such as/],
    [["a", "--colour"], /^Unknown option '--colour'$/m],
  ] as [string[], RegExp][]
) {
  Deno.test(`logs ${args.join(" ")} says what is wrong and how it is called`, async () => {
    const { code, said } = await logs(args);
    assert.equal(code, 1);
    assert.match(said, problem);
    assert.match(said, /^Usage: deno task logs FILE/m);
  });
}

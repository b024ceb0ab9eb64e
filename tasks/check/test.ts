/**
 * `deno task test`, `test:versions` and `test:systemd`: runs tests and ends with one line that says how many passed,
 * failed and were skipped, as the test runner itself counted them. Arguments go to `deno test`.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { runProgram } from "../program.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** What the runner printed of its tests. */
export interface TestSummary {
  passed: number;
  failed: number;
  /** The names of those that did not run: a test that needs what a machine may lack says in its name what that is. */
  skipped: readonly string[];
  skippedCount: number;
}

/** Reads what `deno test` printed without colours; null when its last line is missing, so that nothing was counted. */
export function parseSummary(output: string): TestSummary | null {
  const line = /^(?:ok|FAILED) \| (\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \([^)]*\))?(.*)$/gm;
  const last = [...output.matchAll(line)].at(-1);
  if (last === undefined) return null;
  const [, passed, failed, rest] = last;
  const [, ignored] = /\| (\d+) ignored/.exec(rest ?? "") ?? [];
  return {
    passed: Number(passed),
    failed: Number(failed),
    skipped: [...output.matchAll(/^(\S.*) \.\.\. ignored \(.*\)$/gm)].map(([, name]) => name!),
    skippedCount: Number(ignored ?? 0),
  };
}

/** Without a folder of which something within is named: `test:versions` names its own, and one file may be enough. */
export function narrowed(args: readonly string[]): string[] {
  return args.filter((one) => !args.some((other) => other.startsWith(`${one}/`)));
}

async function main(args: string[]): Promise<number> {
  parseArgs({ args, options: testOptions, allowPositionals: true });
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "--allow-all", ...narrowed(args)],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const [output, status] = await Promise.all([passOn(child.stdout), child.status]);
  const summary = parseSummary(output);
  if (summary === null) {
    console.log("No test was counted: the test runner ended without its summary");
    return status.code === 0 ? 1 : status.code;
  }
  for (const name of summary.skipped) console.log(`skipped: ${name}`);
  if (summary.passed + summary.failed + summary.skippedCount === 0) {
    console.log("No test ran");
    return 1;
  }
  console.log(`${summary.passed} passed, ${summary.failed} failed, ${summary.skippedCount} skipped`);
  return status.code;
}

/** Prints a stream as it comes, and returns what it said. */
async function passOn(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let output = "";
  for await (const bytes of stream) {
    for (let written = 0; written < bytes.length;) written += Deno.stdout.writeSync(bytes.subarray(written));
    output += decoder.decode(bytes, { stream: true });
  }
  return output + decoder.decode();
}

/** Of `deno test`, those under which it counts as it is read here. */
const testOptions = {
  filter: { type: "string" },
  ignore: { type: "string" },
  "fail-fast": { type: "boolean" },
  parallel: { type: "boolean" },
  shuffle: { type: "boolean" },
  "trace-leaks": { type: "boolean" },
  "no-check": { type: "boolean" },
} as const;

const help = `Usage: deno task test|test:versions|test:systemd [OPTION...] [PATH...] [-- --update]
  test           all but the two others
  test:versions  every PostgreSQL from 12 to 18; -- --update writes the golden documents anew
  test:systemd   a machine with systemd; needs root
  PATH           only these, as seen from the project's folder
  --filter       only tests with this text, or /pattern/, in their name
  --ignore       files and folders to leave out, separated by commas
  --fail-fast    ends behind the first failure
  --parallel, --shuffle, --trace-leaks, --no-check  as for deno test`;

if (import.meta.main) Deno.exit(await runProgram(Deno.args, help, main));

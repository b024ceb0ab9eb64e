/**
 * `deno task check`: format, lint, types, the documentation of what is exported, and the checks of `files.ts`. Runs all
 * of them even when one fails, prints a line for each, and exits 1 when any failed.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { runProgram } from "../program.ts";
import { documentationProblems } from "./doc_lint.ts";
import { linkProblems, mirrorProblems, readTree, type Tree, unfinishedProblems } from "./files.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** What a check ended with. */
type Outcome = { kind: "ok" } | { kind: "skipped"; reason: string } | { kind: "failed"; output: string };

interface Check {
  name: string;
  run(tree: Tree): Outcome | Promise<Outcome>;
}

const checks: readonly Check[] = [
  { name: "format", run: () => runDeno(["fmt", "--check"]) },
  { name: "lint", run: () => runDeno(["lint"]) },
  { name: "types", run: () => runDeno(["check"]) },
  { name: "documentation of exports", run: checkDocumentation },
  { name: "tests mirror sources", run: (tree) => outcomeOf(mirrorProblems(tree)) },
  { name: "links", run: (tree) => outcomeOf(linkProblems(tree)) },
  { name: "nothing marked unfinished", run: (tree) => outcomeOf(unfinishedProblems(tree)) },
  { name: "shell scripts", run: checkShellScripts },
];

/** The modules that the rest is built on; the exports of tasks/ and tests/ have one reader, next door. */
const documented = /^(?:(?:collectors|transport)\/.*|(?!main\.)[^/]+)\.ts$/;

async function checkDocumentation(tree: Tree): Promise<Outcome> {
  const outcome = await runDeno(["doc", "--lint", ...tree.files.filter((path) => documented.test(path))]);
  if (outcome.kind !== "failed") return outcome;
  const sources = new Map<string, string[]>();
  return outcomeOf(documentationProblems(outcome.output, (file, line) => {
    const lines = sources.get(file) ?? Deno.readTextFileSync(file).split("\n");
    sources.set(file, lines);
    return lines[line - 1] ?? "";
  }));
}

async function checkShellScripts(tree: Tree): Promise<Outcome> {
  const scripts = tree.files.filter((path) => path.endsWith(".sh") || path === ".ci/run");
  if (scripts.length === 0) return { kind: "skipped", reason: "there is none" };
  try {
    return await runCommand("shellcheck", scripts);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { kind: "skipped", reason: "shellcheck is not installed" };
    throw error;
  }
}

function runDeno(args: readonly string[]): Promise<Outcome> {
  return runCommand(Deno.execPath(), args);
}

async function runCommand(command: string, args: readonly string[]): Promise<Outcome> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    cwd: root,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const output = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  return success ? { kind: "ok" } : { kind: "failed", output };
}

function outcomeOf(problems: readonly string[]): Outcome {
  return problems.length === 0 ? { kind: "ok" } : { kind: "failed", output: problems.join("\n") };
}

/** Runs one check and prints how it ended. Returns whether it failed. */
async function report(check: Check, tree: Tree): Promise<boolean> {
  const start = performance.now();
  const outcome = await check.run(tree);
  const name = `${check.name} (${((performance.now() - start) / 1_000).toFixed(1)} s)`;
  if (outcome.kind === "skipped") console.log(`skipped  ${check.name}: ${outcome.reason}`);
  else if (outcome.kind === "ok") console.log(`ok       ${name}`);
  else console.log(`FAIL     ${name}\n${outcome.output.trimEnd().replace(/^(?=.)/gm, "    ")}`);
  return outcome.kind === "failed";
}

async function main(args: string[]): Promise<number> {
  parseArgs({ args });
  const tree = readTree(root);
  let failed = 0;
  for (const check of checks) failed += await report(check, tree) ? 1 : 0;
  if (failed > 0) console.log(`${failed} of ${checks.length} checks failed`);
  return failed > 0 ? 1 : 0;
}

const help = `Usage: deno task check
  Format, lint, types, the documentation of what is exported, links and shell scripts; takes no options`;

if (import.meta.main) Deno.exit(await runProgram(Deno.args, help, main));

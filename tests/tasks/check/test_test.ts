// What is read from the last line of `deno test`, and from its lines of skipped tests; how the developer's tasks are called.
import assert from "node:assert/strict";
import { narrowed, parseSummary } from "../../../tasks/check/test.ts";
import { projectRoot } from "../../support/agent_process.ts";

Deno.test("parseSummary counts passed, failed and skipped tests", () => {
  const output = [
    "running 3 tests from ./tests/a_test.ts",
    "kv_outbox keeps order ... ok (3ms)",
    "unit boots (needs root and systemd) ... ignored (0ms)",
    "steps ...",
    "  step one ... ignored (0ms)",
    "steps ... FAILED (2ms)",
    "",
    "FAILED | 1 passed (2 steps) | 1 failed (1 step) | 1 ignored (1 step) | 4 filtered out (17ms)",
    "",
  ].join("\n");
  assert.deepEqual(parseSummary(output), {
    passed: 1,
    failed: 1,
    skipped: ["unit boots (needs root and systemd)"],
    skippedCount: 1,
  });
});

Deno.test("parseSummary takes the last summary, which is the runner's own", () => {
  const output = "ok | 9 passed | 0 failed (1s)\nok | 2 passed | 0 failed (1m2s)\n";
  assert.deepEqual(parseSummary(output), { passed: 2, failed: 0, skipped: [], skippedCount: 0 });
});

Deno.test("parseSummary finds nothing where the runner did not finish", () => {
  assert.equal(parseSummary("running 3 tests from ./tests/a_test.ts\n"), null);
});

for (const name of ["test", "test:soak", "bench", "check"]) {
  Deno.test(`deno task ${name} tells how it is called, and refuses an option that it does not know`, async () => {
    assert.match(await said(name, "--help", 0), new RegExp(`^Usage: deno task ${name}\\b`));
    assert.match(await said(name, "--wrong", 1), /^Unknown option '--wrong'; --help tells how it is called\n$/);
  });
}

/** Runs a task, and answers with all that it printed. */
async function said(name: string, option: string, code: number): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["task", "--quiet", name, option],
    cwd: projectRoot,
    env: { NO_COLOR: "1" },
    stdin: "null",
  });
  const ended = await command.output();
  const text = [ended.stdout, ended.stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
  assert.equal(ended.code, code, text);
  return text;
}

Deno.test("narrowed leaves out a folder of which something within is named", () => {
  assert.deepEqual(narrowed(["tests/versions", "tests/versions/postgres_18_test.ts", "--no-check"]), [
    "tests/versions/postgres_18_test.ts",
    "--no-check",
  ]);
  const whole = ["--ignore=tests/versions,tests/machine", "tests/versions", "--", "--update"];
  assert.deepEqual(narrowed(whole), whole);
});

// What is read from the last line of `deno test`, and from its lines of skipped tests.
import assert from "node:assert/strict";
import { parseSummary } from "../../../tasks/check/test.ts";

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

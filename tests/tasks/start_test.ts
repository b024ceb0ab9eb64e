/**
 * What the start of the agent waits for.
 *
 * @module
 */

import assert from "node:assert/strict";
import { loadedModules } from "../support/loaded_modules.ts";

Deno.test("start loads what reads odd lines of a configuration only when there are some", async () => {
  const modules = await loadedModules("tasks/start.ts");
  assert.ok(modules.includes("collectors/postgres_pool.ts"));
  assert.deepEqual(modules.filter((name) => /^npm:\/?(ini|fastest-levenshtein)@|^ini$/.test(name)), []);
});

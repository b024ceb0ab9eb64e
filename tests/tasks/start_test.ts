/**
 * What the start of the agent waits for.
 *
 * @module
 */

import assert from "node:assert/strict";
import { loadedModules } from "../support/loaded_modules.ts";

Deno.test("start loads the driver only when the server is asked", async () => {
  const modules = await loadedModules("tasks/start.ts");
  assert.ok(modules.includes("collectors/postgres_pool.ts"));
  assert.deepEqual(
    modules.filter((name) => /^npm:\/?(pg|ini|fastest-levenshtein)@|^(pg|ini)$|node:net/.test(name)),
    [],
  );
});

/**
 * Keys and the projects that they open.
 *
 * @module
 */

import assert from "node:assert/strict";
import { Keys, parseKeys } from "../../../tasks/listener/keys.ts";

Deno.test("Keys opens the projects of a key, and none for another", () => {
  const keys = new Keys([
    { project: "shop", secret: "one" },
    { project: "blog", secret: "two" },
    { project: "wiki", secret: "two" },
  ]);
  assert.deepEqual(keys.projectsOf("one"), ["shop"]);
  assert.deepEqual(keys.projectsOf("two"), ["blog", "wiki"]);
  for (const wrong of ["", "on", "one ", "onE", "oneone"]) assert.deepEqual(keys.projectsOf(wrong), []);
});

Deno.test("parseKeys reads project = key, and names the line that is none, not what it holds", () => {
  const text = "# of production\n\n shop = k1\r\nmy blog=k2=3\n; end\n";
  assert.deepEqual(parseKeys(text), [{ project: "shop", secret: "k1" }, { project: "my blog", secret: "k2=3" }]);
  for (const wrong of ["shop = k1\nsecret-without-project", "= secret", "shop =", "shop = two secrets"]) {
    assert.throws(() => parseKeys(wrong), (error: Error) => !/secret|two/.test(error.message));
  }
  assert.throws(() => parseKeys("shop = k1\nnothing"), /line 2 /);
  assert.throws(() => parseKeys("# none\n"), /has none/);
});

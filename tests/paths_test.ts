/**
 * Paths as texts, held against what `node:path` makes of them.
 *
 * @module
 */

import assert from "node:assert/strict";
import { posix } from "node:path";
import fc from "fast-check";
import { dirname, givenPath, join, normalize, resolve } from "../paths.ts";

const part = fc.constantFrom("", "a", "b c", ".", "..", "...", ".a", "a.", "*", "é");
const path = fc.array(part, { maxLength: 7 }).map((parts) => parts.join("/"));
const absolute = path.map((one) => `/${one}`);

Deno.test("normalize, join, resolve and dirname answer as node:path does", () => {
  fc.assert(
    fc.property(path, path, absolute, (one, other, folder) => {
      assert.equal(normalize(one), posix.normalize(one));
      assert.equal(join(one, other), posix.join(one, other));
      assert.equal(resolve(folder, one), posix.resolve(folder, one));
      const normal = resolve("/", folder);
      assert.equal(dirname(normal), posix.dirname(normal));
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("givenPath means a path from where the caller stands", () => {
  const from = (folder: string) => () => folder;
  assert.equal(givenPath("../a.ini", from("/home/ada/here")), "/home/ada/a.ini");
  assert.equal(givenPath("/etc/a.ini", from("/home/ada/here")), "/etc/a.ini");
  // Without `deno task`, nobody has left that folder.
  for (const environment of [() => undefined, from("")]) {
    assert.equal(givenPath("a.ini", environment), posix.join(Deno.cwd(), "a.ini"));
  }
});

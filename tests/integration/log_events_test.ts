/**
 * The names of the agent's own log events: operators search for them, so docs/operations.md has each that the code logs,
 * and none that it does not.
 *
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { readTree } from "../../tasks/check/files.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const sources = /^(?:config|main|(?:config|collectors|transport|tasks)\/(?!check\/|demo\/|listener\/).*)\.ts$/;

/** A call of a log, up to the end of its first argument: `log.info("x", …)`, `log[level]("x", …)`. */
const logCalls = /\blog\??(?:\.(?:debug|info|warning|error)|\[[^\]]+\])\(([^,;)]+)/g;

async function agentSource(): Promise<string> {
  const paths = readTree(root).files.filter((path) => sources.test(path));
  return (await Promise.all(paths.map((path) => Deno.readTextFile(root + path)))).join("\n");
}

/** The names in the first column of the table. */
async function documentedEvents(): Promise<string[]> {
  const page = await Deno.readTextFile(`${root}docs/operations.md`);
  const [, rows = ""] = /\n## What the log says\n([^]*?)\n## /.exec(page) ?? [];
  return [...rows.matchAll(/^\| (`[^|]*)\|/gm)].flatMap(([, cell]) =>
    [...cell!.matchAll(/`(\w+)`/g)].map(([, name]) => name!)
  );
}

Deno.test("docs/operations.md has every event that the code logs", async () => {
  const calls = [...(await agentSource()).matchAll(logCalls)];
  const logged = new Set(
    calls.flatMap(([, argument]) => [...argument!.matchAll(/"([a-z_]+)"/g)].map(([, name]) => name)),
  );
  assert.ok(logged.size > 40, `${logged.size} found`);
  const documented = await documentedEvents();
  assert.deepEqual([...logged].filter((name) => !documented.includes(name!)), []);
});

Deno.test("docs/operations.md has no event that has gone from the code", async () => {
  const source = await agentSource();
  // `document_${kind}` stands for all that begin so.
  const begun = [...source.matchAll(/`([a-z_]+_)\$\{/g)].map(([, prefix]) => prefix!);
  const documented = await documentedEvents();
  assert.deepEqual(
    documented.filter((name) => !source.includes(`"${name}"`) && !begun.some((prefix) => name.startsWith(prefix))),
    [],
  );
  assert.deepEqual(documented, [...new Set(documented)]);
});

// Each rule of the house: code that breaks it and code that keeps it.
import assert from "node:assert/strict";
import plugin from "../../../tasks/check/house_rules.ts";

/** Sources by the file they stand in: `[fileName, source]`. */
type Code = readonly [fileName: string, source: string];

const opening = "// What this file is for.\n";

function findings(rule: string, [fileName, source]: Code): Deno.lint.Diagnostic[] {
  return Deno.lint.runPlugin(plugin, fileName, opening + source).filter(({ id }) => id === `house/${rule}`);
}

function testRule(rule: string, cases: { breaks: readonly Code[]; keeps: readonly Code[] }) {
  for (const code of cases.breaks) {
    Deno.test(`${rule} refuses, in ${code[0]}: ${title(code)}`, () => assert.equal(findings(rule, code).length, 1));
  }
  for (const code of cases.keeps) {
    Deno.test(`${rule} allows, in ${code[0]}: ${title(code)}`, () => assert.deepEqual(findings(rule, code), []));
  }
}

function title([, source]: Code): string {
  const line = source.trim().split("\n")[0]!;
  return line.length > 60 ? `${line.slice(0, 60)}…` : line;
}

testRule("import-direction", {
  breaks: [
    ["collectors/activity.ts", `import { seal } from "../transport/envelope.ts";`],
    ["collectors/activity.ts", `import type { Draft } from "../transport/envelope.ts";`],
    ["collectors/logs/tail.ts", `import { run } from "../../tasks/cron.ts";`],
    ["collectors/activity.ts", `import { readConfig } from "../config.ts";`],
    ["collectors/activity.ts", `import { type Config, readConfig } from "../config.ts";`],
    ["collectors/activity.ts", `import { systemClock } from "../clock.ts";`],
    ["collectors/activity.ts", `import "../main.ts";`],
    ["transport/sender.ts", `export * from "../collectors/collector.ts";`],
    ["transport/sender.ts", `export { collect } from "../collectors/collector.ts";`],
    ["transport/sender.ts", `const { collect } = await import("../collectors/collector.ts");`],
    ["transport/sender.ts", `let collector: import("../collectors/collector.ts").Collector;`],
    ["tasks/cron.ts", `import { main } from "../main.ts";`],
    ["tasks/cron.ts", `import { ScriptedOutbox } from "../tests/fakes/scripted_outbox.ts";`],
    ["main.ts", `import { ScriptedOutbox } from "./tests/fakes/scripted_outbox.ts";`],
    ["limits.ts", `import { registry } from "./collectors/registry.ts";`],
    ["config.ts", `import type { Delivery } from "./transport/delivery.ts";`],
    ["log.ts", `import "./main.ts";`],
    ["elsewhere/a.ts", `import "../limits.ts";`],
  ],
  keeps: [
    ["collectors/logs/tail.ts", `import { readRow } from "../row.ts";`],
    ["collectors/activity.ts", `import * as limits from "../limits.ts";`],
    ["collectors/activity.ts", `import { type Log } from "../log.ts";`],
    ["collectors/activity.ts", `import type { Config } from "../config.ts";`],
    ["collectors/activity.ts", `import { type Config, type Schedule } from "../config.ts";`],
    ["transport/sender.ts", `import type { Clock } from "../clock.ts";`],
    ["transport/sender.ts", `import { ulid } from "ulid";`],
    ["tasks/once.ts", `import { registry } from "../collectors/registry.ts";`],
    ["tasks/demo/demo.ts", `import { systemClock } from "../../clock.ts";`],
    ["main.ts", `import { startCron } from "./tasks/cron.ts";`],
    ["config.ts", `import { settings } from "./config/settings.ts";`],
    ["tests/tasks/once_test.ts", `import { main } from "../../main.ts";`],
  ],
});

testRule("one-owner", {
  breaks: [
    ["config.ts", `const user = Deno.env.get("USER");`],
    ["config.ts", `const { env } = Deno;`],
    ["config.ts", `const user = globalThis.Deno["env"];`],
    ["config.ts", `import process from "node:process";`],
    ["tasks/cron.ts", `Deno.exit(1);`],
    ["tasks/cron.ts", `Deno.addSignalListener("SIGTERM", stop);`],
    ["main.ts", `Deno.cron("collect", "* * * * *", run);`],
    ["transport/sender.ts", `const answer = await fetch("http://localhost");`],
    ["transport/sender.ts", `const answer = await globalThis.fetch("http://localhost");`],
    ["transport/sender.ts", `function send(get: typeof fetch = fetch) { return get("http://localhost"); }`],
    ["transport/sender.ts", `const sender = { get: fetch };`],
    ["transport/sender.ts", `const outbox = await Deno.openKv("outbox");`],
    ["collectors/activity.ts", `import pg from "pg";`],
    ["collectors/activity.ts", `import pool from "pg/lib/pool";`],
    ["collectors/activity.ts", `import type { Client } from "npm:pg@8";`],
    ["collectors/activity.ts", `const pg = await import("pg");`],
    ["collectors/activity.ts", `console.error("down");`],
    ["collectors/activity.ts", `Deno.stderr.writeSync(bytes);`],
    ["collectors/system.ts", `new Deno.Command("df").outputSync();`],
    ["tasks/doctor.ts", `Deno.serve(() => new Response());`],
    ["collectors/activity.ts", `const now = new Date();`],
    ["collectors/activity.ts", `const now = Date.now();`],
    ["collectors/activity.ts", `const watch = { now: Date.now };`],
    ["transport/backoff.ts", `const start = performance.now();`],
    ["transport/backoff.ts", `const jitter = Math.random();`],
    ["transport/envelope.ts", `crypto.getRandomValues(bytes);`],
  ],
  keeps: [
    ["main.ts", `Deno.exit(await run(Deno.args, Deno.env.toObject()));`],
    ["tasks/launch.ts", `Deno.exit(Deno.args.length);`],
    ["tasks/cron.ts", `Deno.cron("collect", "* * * * *", run);`],
    ["transport/http_delivery.ts", `const answer = await fetch(url, { client: Deno.createHttpClient({}) });`],
    ["transport/sender.ts", `function send(options: { fetch: typeof fetch }) { return options.fetch("x"); }`],
    ["transport/sender.ts", `function send(fetch: Fetch) { return fetch("x"); }`],
    ["transport/kv_store.ts", `const outbox = await Deno.openKv("outbox");`],
    ["collectors/postgres_pool.ts", `import pg from "pg";`],
    ["collectors/activity.ts", `import { parse } from "pg-connection-string";`],
    ["tasks/demo/embedded_postgres.ts", `new Deno.Command("initdb");`],
    ["tasks/listener/listener.ts", `Deno.serve(() => new Response());`],
    ["clock.ts", `const clock = { now: () => new Date(), monotonicMs: () => performance.now() };`],
    ["collectors/activity.ts", `const start = new Date(row.backend_start); const kind: Deno.Kv | Date = start;`],
    ["tests/transport/sender_test.ts", `const now = Date.now(); await fetch("http://localhost");`],
  ],
});

testRule("function-length", {
  breaks: [
    ["main.ts", `function long() {${"\n".repeat(70)}}`],
    ["main.ts", `class A { long() {${"\n".repeat(70)}} }`],
    ["main.ts", `run(() => {${"\n".repeat(70)}});`],
    ["tests/support/wait.ts", `function long() {${"\n".repeat(70)}}`],
    ["transport/sender.ts", `function long() { "é€𝄞";${"\n".repeat(70)}}`],
  ],
  keeps: [
    ["main.ts", `function short() {${"\n".repeat(69)}}`],
    ["tests/main_test.ts", `Deno.test("a", () => {${"\n".repeat(70)}});`],
    ["tests/main_test.ts", `Deno.test({ name: "a", fn() {${"\n".repeat(70)}} });`],
    ["tests/contracts/outbox.ts", `function outboxContract() { Deno.test("a", () => {});${"\n".repeat(70)}}`],
  ],
});

testRule("file-length", {
  breaks: [["main.ts", "\n".repeat(299) + "export {};\n"], ["tests/main_test.ts", "\n".repeat(499) + "export {};\n"]],
  keeps: [["main.ts", "\n".repeat(298) + "export {};\n"], ["tests/main_test.ts", "\n".repeat(498) + "export {};\n"]],
});

testRule("no-top-level-arrow", {
  breaks: [
    ["main.ts", "const run = () => 1;"],
    ["main.ts", "export const run = async () => await 1;"],
    ["main.ts", "export const run = (() => 1) satisfies Run;"],
    ["main.ts", "export default () => 1;"],
  ],
  keeps: [
    ["main.ts", "function run() { const inner = () => 1; return inner; }"],
    ["main.ts", "const clock = { now: () => 1 };"],
    ["main.ts", "const names = settings.map((setting) => setting.name);"],
    ["main.ts", "class A { run = () => 1; }"],
  ],
});

testRule("argument-count", {
  breaks: [
    ["main.ts", "function run(a: A, b: B, c: C, d: D) {}"],
    ["main.ts", "class A { constructor(a: A, b: B, c: C, d: D) {} }"],
    ["main.ts", "interface A { run(a: A, b: B, c: C, d: D): void }"],
  ],
  keeps: [
    ["main.ts", "function run(a: A, b: B, options: Options) {}"],
    ["main.ts", "function run(this: A, a: A, b: B, options: Options) {}"],
    ["main.ts", "reduce((a, b, c, d) => a);"],
  ],
});

function openingFindings(source: string): number {
  return Deno.lint.runPlugin(plugin, "main.ts", source).filter(({ id }) => id === "house/module-comment").length;
}

Deno.test("module-comment refuses a file that does not open with what it is for", () => {
  for (
    const source of [
      "export const a = 1;\n",
      "",
      "// A.\nexport const a = 1;\n",
      "/** What the first declaration is for. */\nexport const a = 1;\n",
      "// deno-lint-ignore-file no-explicit-any\nexport const a = 1;\n",
      'import "./a.ts";\n// What this file is for.\n',
    ]
  ) assert.equal(openingFindings(source), 1, source);
});

Deno.test("module-comment allows a module's documentation and a plain comment", () => {
  for (
    const source of [
      "/**\n * What this file is for.\n *\n * @module\n */\nexport const a = 1;\n",
      "// What this file is for.\nexport const a = 1;\n",
      "#!/usr/bin/env -S deno run\n// deno-lint-ignore-file no-explicit-any\n\n/* What this file is for. */\n",
    ]
  ) assert.equal(openingFindings(source), 0, source);
});

Deno.test("the rules know a file by its absolute name too", () => {
  const fileName = new URL("../../../transport/sender.ts", import.meta.url).pathname;
  const source = `import { collect } from "../collectors/collector.ts";`;
  assert.equal(findings("import-direction", [fileName, source]).length, 1);
  assert.equal(findings("one-owner", [fileName, "Date.now();"]).length, 1);
});

Deno.test("import-direction refuses a file that it cannot place", () => {
  const [finding] = findings("import-direction", ["/elsewhere/a.ts", ""]);
  assert.match(finding!.message, /not below the repository/);
});

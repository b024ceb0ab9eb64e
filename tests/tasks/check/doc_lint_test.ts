// What is kept of the findings of `deno doc --lint`.
import assert from "node:assert/strict";
import { documentationProblems } from "../../../tasks/check/doc_lint.ts";

const source = [
  "export type Bare = number;",
  "",
  "/** The pair. */",
  "export const pauseFirstMs = 1;",
  "export const pauseMaxMs = 2;",
  "/** A thing. */",
  "export interface Thing {",
  "  bytes: number;",
  "}",
];

function finding(line: number, code = "missing-jsdoc"): string {
  return `error[${code}]: not good\n  --> /a/b.ts:${line}:1\n  | \n${line} | text\n  | ^\n\n\n`;
}

function problems(...found: string[]): string[] {
  const total = `error: Found ${found.length} documentation lint error${found.length === 1 ? "" : "s"}.\n`;
  return documentationProblems(found.join("") + total, (_file, line) => source[line - 1] ?? "");
}

Deno.test("documentationProblems keeps an export without a comment", () => {
  assert.deepEqual(problems(finding(1)), ["/a/b.ts:1 not good (missing-jsdoc)\n    export type Bare = number;"]);
});

Deno.test("documentationProblems lets members go, exports directly below another, and private types", () => {
  assert.deepEqual(problems(finding(5), finding(8), finding(1, "private-type-ref")), []);
});

Deno.test("documentationProblems keeps every finding of another kind", () => {
  assert.equal(problems(finding(8, "missing-return-type"), finding(5, "missing-explicit-type")).length, 2);
});

Deno.test("documentationProblems throws on output that it cannot read", () => {
  assert.throws(() => documentationProblems("error: Module not found\n", () => ""), /Cannot read what deno doc/);
  assert.throws(() => documentationProblems(finding(1), () => ""), /Cannot read what deno doc/);
});

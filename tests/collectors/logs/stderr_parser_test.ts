/**
 * Lines of stderr: what belongs together, and names that try to look like something else.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { LogEntry } from "../../../collectors/logs/entry.ts";
import { languages } from "../../../collectors/logs/languages.ts";
import { StderrParser } from "../../../collectors/logs/stderr_parser.ts";

const time = "2026-11-21 06:12:28.226 UTC";

function parse(prefix: string, ...lines: string[]): LogEntry[] {
  const parser = new StderrParser({ prefix, file: "server.log" });
  const bytes = new TextEncoder().encode(lines.map((line) => line + "\n").join(""));
  return [...parser.push(bytes), ...parser.finish()].map(({ entry }) => entry);
}

/** The fields that say something. */
function told(entry: LogEntry | undefined): Partial<LogEntry> {
  const { file: _, timestamp: __, ...rest } = entry!;
  return Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null));
}

Deno.test("StderrParser joins continuation lines, without their TAB and with further ones", () => {
  const [entry] = parse("%m [%p] ", `${time} [7] LOG:  one`, "\ttwo", "\t\tthree", "\t", "\tfive");
  assert.equal(entry?.message, "one\ntwo\n\tthree\n\nfive");
  assert.equal(entry.timestamp, "2026-11-21T06:12:28.226Z");
  assert.equal(entry.file, "server.log");
});

Deno.test("StderrParser gives lines to the entry of their process, and keeps the order of first lines", () => {
  const entries = parse(
    "%m [%p] ",
    `${time} [1] ERROR:  first`,
    `${time} [2] WARNING:  second`,
    `${time} [1] DETAIL:  of first`,
    "\tand more",
    `${time} [2] HINT:  of second`,
    `${time} [1] CONTEXT:  around first`,
    `${time} [1] STATEMENT:  select 1`,
  );
  assert.deepEqual(entries.map(told), [
    {
      pid: 1,
      level: "ERROR",
      message: "first",
      detail: "of first\nand more",
      context: "around first",
      statement: "select 1",
    },
    { pid: 2, level: "WARNING", message: "second", hint: "of second" },
  ]);
});

Deno.test("StderrParser makes lines that belong to no entry ones of their own", () => {
  const entries = parse(
    "%m [%p] ",
    "\ttorn at the beginning",
    `${time} [1] STATEMENT:  of what is gone`,
    `${time} [1] LOG:  first`,
    "cp: cannot stat 'x'",
    `${time} [1] STATEMENT:  its statement`,
    `${time} [1] DETAIL:  too late, details come before statements`,
  );
  assert.deepEqual(entries.map(told), [
    { level: "UNKNOWN", message: "torn at the beginning" },
    { pid: 1, level: "UNKNOWN", message: "STATEMENT:  of what is gone" },
    { pid: 1, level: "LOG", message: "first", statement: "its statement" },
    { level: "UNKNOWN", message: "cp: cannot stat 'x'" },
    { pid: 1, level: "UNKNOWN", message: "DETAIL:  too late, details come before statements" },
  ]);
});

Deno.test("StderrParser takes the SQLSTATE of log_error_verbosity = verbose, and only of that", () => {
  const [verbose, terse] = parse(
    "%m [%p] ",
    `${time} [1] ERROR:  42P01: relation "x" does not exist at character 5`,
    `${time} [1] LOCATION:  parserOpenTable, parse_relation.c:1180`,
    `${time} [1] STATEMENT:  select`,
    `${time} [2] ERROR:  HELLO: said by a function`,
  );
  assert.deepEqual(told(verbose), {
    ...{ pid: 1, level: "ERROR", message: 'relation "x" does not exist at character 5' },
    ...{ sqlstate: "42P01", statement: "select" },
  });
  assert.equal(terse?.message, "HELLO: said by a function");
});

Deno.test("StderrParser: an application's name does not forge an entry", () => {
  const prefix = "%m [%p] %q[user=%u,db=%d,app=%a] ";
  const names = ["x] LOG:  forged", "x] ERROR:  forged] FATAL:  y", "x] STATEMENT:  y", "LOG:  ", "x] ОШИБКА:  y"];
  for (const name of names) {
    const head = `${time} [1] [user=u,db=d,app=${name}] `;
    const [entry, ...further] = parse(prefix, `${head}ERROR:  real`, `${head}STATEMENT:  select 1`);
    assert.deepEqual(told(entry), {
      ...{ pid: 1, level: "ERROR", message: "real", statement: "select 1" },
      ...{ user: "u", database: "d", application_name: name },
    });
    assert.deepEqual(further, []);
  }
});

Deno.test("StderrParser: a message does not forge an entry when its session is known", () => {
  const statement = "select 'x FATAL:  forged'";
  const [known, byStatement] = parse(
    "%m [%p] %u@%d ",
    `${time} [1] u@d LOG:  connection authorized`,
    `${time} [1] u@d LOG:  statement: ${statement}`,
  ).concat(parse("%m [%p] %q%a ", `${time} [1] psql WARNING:  FATAL:  forged`, `${time} [1] psql CONTEXT:  here`))
    .slice(1);
  assert.deepEqual(told(known), { pid: 1, level: "LOG", message: `statement: ${statement}`, user: "u", database: "d" });
  assert.deepEqual(told(byStatement), {
    ...{ pid: 1, level: "WARNING", message: "FATAL:  forged", context: "here", application_name: "psql" },
  });
});

Deno.test("StderrParser understands every language of PostgreSQL", () => {
  const levels = ["DEBUG", "LOG", "INFO", "NOTICE", "WARNING", "ERROR", "FATAL", "PANIC"];
  for (const { name, severities, labels, position } of languages) {
    severities.forEach((word, index) => {
      const severity = word.replaceAll("_", " ");
      const lines = labels.map((label) => `${time} [1] 01000 ${label.split("|")[0]}:  text`);
      const [entry, ...further] = parse(
        "%m [%p] %e ",
        `${time} [1] 01000 ${severity}:  m${position.split("|")[0]!.replace("#", "15")}`,
        ...lines,
      );
      const level = name === "ka" && levels[index] === "NOTICE" ? "WARNING" : levels[index];
      assert.ok(entry);
      assert.equal(entry.level, level, `${name} ${word}`);
      assert.deepEqual(
        [entry.detail, entry.hint, entry.context, entry.statement],
        ["text", "text", "text", "text"],
        name,
      );
      assert.deepEqual(further, []);
      if (name !== "es" && name !== "ja") assert.equal(entry.message, "m at character 15", name);
    });
  }
  const [notice] = parse("%m [%p] %e ", `${time} [1] 00000 გაფრთხილება:  m`);
  assert.equal(notice?.level, "NOTICE");
});

Deno.test("StderrParser: settle gives up waiting, but not on an unfinished line", () => {
  const parser = new StderrParser();
  const encoder = new TextEncoder();
  assert.deepEqual(parser.push(encoder.encode(`${time} [1] LOG:  one\n${time} [1] LOG:  tw`)), []);
  assert.deepEqual(parser.settle().map(({ entry }) => entry.message), ["one"]);
  assert.deepEqual(parser.settle(), []);
  parser.push(encoder.encode("o\n"));
  assert.deepEqual(parser.finish().map(({ entry }) => entry.message), ["two"]);
});

/**
 * Prefixes found out from lines alone. The same on lines of real servers: tests/contracts/logs.ts.
 *
 * @module
 */

import assert from "node:assert/strict";
import { detectFormat, guessPrefix, knownPrefixes } from "../../../collectors/logs/detect.ts";
import type { LogEntry } from "../../../collectors/logs/entry.ts";
import { parseAll } from "../../support/server_logs.ts";

const encoder = new TextEncoder();
const application = "bitville-0b1d3f60-5b7e-4c2f-9a51-6f0a7f3f7a10";

/** What a session's escapes print. */
function session(index: number): Record<string, string> {
  return {
    ...{ a: index % 3 === 0 ? "cron worker: 7" : application, u: "web-user", d: index % 2 === 0 ? "shop_1" : "shop.2" },
    ...{ p: String(70 + index), m: `2026-11-21 06:12:28.22${index} UTC`, t: "2026-11-21 06:12:28 UTC", e: "42P01" },
    ...{ n: "1795241548.226", s: "2026-11-21 06:12:20 UTC", c: `6a0ff0c4.${(70 + index).toString(16)}`, l: "3" },
    ...{ r: `10.0.0.${index}(51234)`, h: index === 1 ? "[local]" : `10.0.0.${index}`, i: "SELECT", v: "3/41", x: "0" },
    ...{ b: "client backend", Q: "-9223372036854775808", P: "", "%": "%", q: "" },
  };
}

/** What those of the checkpointer print: nothing behind `%q`. */
const background: Record<string, string> = {
  ...session(9),
  ...{ a: "", u: "", d: "", r: "", h: "", i: "", e: "00000", b: "checkpointer", Q: "0" },
};

function render(prefix: string, values: Record<string, string>): string {
  const shown = values === background ? prefix.replace(/%q.*/, "") : prefix;
  return shown.replace(/%-?\d*([a-zA-Z%])/g, (_, letter: string) => values[letter] ?? "");
}

/** A log under a prefix. */
function logOf(prefix: string): Uint8Array {
  const lines = [`${render(prefix, background)}LOG:  checkpoint starting: time`];
  for (let index = 0; index < 6; index++) {
    const start = render(prefix, session(index));
    lines.push(`${start}ERROR:  relation "x" does not exist`, `${start}STATEMENT:  select`, "\tfrom x");
  }
  return encoder.encode(lines.map((line) => `${line}\n`).join(""));
}

/** Field by field, what is told is told right. Answers with the fields that are told. */
function assertHonest(prefix: string): Set<string> {
  const bytes = logOf(prefix);
  const guess = guessPrefix(bytes);
  assert.ok(guess !== null, prefix);
  const truth = parseAll(bytes, { format: "stderr", prefix });
  const told = parseAll(bytes, { format: "stderr", prefix: guess });
  assert.equal(told.length, truth.length, `'${prefix}' guessed as '${guess}'`);
  const fields = new Set<string>();
  for (const [index, entry] of told.entries()) {
    for (const [field, value] of Object.entries(entry) as [keyof LogEntry, unknown][]) {
      if (value === null) continue;
      fields.add(field);
      assert.equal(value, truth[index]![field], `${field} of '${prefix}' guessed as '${guess}'`);
    }
  }
  return fields;
}

for (const prefix of knownPrefixes) {
  Deno.test(`guessPrefix finds out '${prefix}', every field of it`, () => {
    const fields = assertHonest(prefix);
    const letters = { a: "application_name", u: "user", d: "database", p: "pid", e: "sqlstate", m: "timestamp" };
    for (const [letter, field] of Object.entries(letters)) {
      if (prefix.includes(`%${letter}`)) assert.ok(fields.has(field), `${field} of '${prefix}'`);
    }
  });
}

for (
  const prefix of [
    "%m [%p] %d/%u/%a ",
    "%m [%p] %u@%d %h ",
    "%m [%p] %u@%d %i ",
    "%m [%p] %u@%d %e ",
    "%m [%p] %q%a ",
    "%m [%p] %q%u ",
    "%m [%p] user=%u,db=%d %e ",
    "%m [%p] app=%a %u ",
    "%t %d %u %h %p ",
    "%m %l %p ",
    "%t %x-%v %p: ",
    "(%a) ",
  ]
) {
  Deno.test(`guessPrefix tells nothing wrong of '${prefix}', which nothing tells from others`, () => {
    const fields = assertHonest(prefix);
    assert.ok(fields.has("statement"));
    assert.ok(!fields.has("application_name"));
  });
}

Deno.test("guessPrefix leaves a line without a level that a name may have forged, and reads it when a detail tells", () => {
  const start = "2026-11-21 06:12:28.226 UTC [7] db/user/x] LOG:  forged/ ";
  const bytes = encoder.encode(`${start}ERROR:  real\n${start.replace("x] LOG:  forged", "psql")}LOG:  other\n`);
  const prefix = guessPrefix(bytes) ?? "";
  const entries = parseAll(bytes, { format: "stderr", prefix });
  assert.deepEqual(entries.map(({ level, message, pid }) => [level, message, pid]), [
    ["UNKNOWN", `${start}ERROR:  real`, 7],
    ["LOG", "other", 7],
  ]);
});

Deno.test("guessPrefix says nothing of lines that are no server's", () => {
  assert.equal(guessPrefix(encoder.encode("a\nb: c\n\tERROR:  d\n")), null);
  assert.equal(guessPrefix(new Uint8Array()), null);
});

Deno.test("detectFormat tells csvlog and jsonlog by a line of theirs, also behind others", () => {
  assert.equal(detectFormat(encoder.encode('torn"\n2026-11-21 06:12:28.226 UTC,"u","d",7,"h"\n')), "csvlog");
  assert.equal(detectFormat(encoder.encode('{"timestamp":"x","error_severity":"LOG"}\n')), "jsonlog");
  assert.equal(detectFormat(logOf("%m [%p] ")), "stderr");
});

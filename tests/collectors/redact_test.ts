// Statements without their literals, held against PostgreSQL's own lexer.
import assert from "node:assert/strict";
import fc from "fast-check";
import { redactSql } from "../../collectors/redact.ts";
import { LiteralScanner } from "../../collectors/redact/literals.ts";
import { cutMark } from "../../collectors/text.ts";
import { takeSeed } from "../support/seeded_random.ts";
import { type Range, readLiterals, replaceRanges, statements } from "../support/sql_oracle.ts";

/** Statements that PostgreSQL's lexer takes: what it refuses of those generated has no reading to compare with. */
const numRuns = 11_000;
const readable = statements.map((text) => ({ text, reading: readLiterals(text)! })).filter(({ reading }) =>
  reading !== null
);
const anyText = fc.oneof(
  statements,
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom(..."'\"$/*-\\;a1.eE \n") }),
);

function seeded(): { seed: number; numRuns: number } {
  const seed = takeSeed() | 0;
  console.log(`seed ${seed}`);
  return { seed, numRuns };
}

Deno.test("redactSql replaces what PostgreSQL's lexer calls a constant or a comment, and nothing else", () => {
  let [compared, literals] = [0, 0];
  fc.assert(
    fc.property(readable, ({ text, reading }) => {
      if (reading.isDoubtful) return;
      assert.equal(redactSql(text), replaceRanges(text, reading.literals));
      compared++;
      literals += reading.literals.length;
    }),
    seeded(),
  );
  console.log(`${compared} statements with ${literals} literals`);
  assert.ok(compared >= 10_000, `${compared} statements`);
});

Deno.test("redactSql leaks no part of a literal, wherever a statement is cut", () => {
  fc.assert(
    fc.property(readable, ({ text, reading }) => {
      for (let end = 0; end <= text.length; end++) assertCovered(text.slice(0, end), reading.literals);
    }),
    seeded(),
  );
});

Deno.test("redactSql does the same to what ends in the mark of a cut", () => {
  const cut = fc.tuple(statements, fc.nat(200)).map(([text, end]) => text.slice(0, end));
  fc.assert(
    fc.property(cut, (text) => assert.equal(redactSql(text + cutMark), redactSql(text) + cutMark)),
    seeded(),
  );
});

Deno.test("redactSql has no effect the second time, on any text", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      const once = redactSql(text);
      assert.equal(redactSql(once), once, JSON.stringify(text));
    }),
    seeded(),
  );
});

/** Asserts that all of the literals is found that the text holds of them, but for letters such as `E` at its end. */
function assertCovered(text: string, literals: readonly Range[]) {
  const scanner = new LiteralScanner(text);
  let found = scanner.next();
  for (const { start, end } of literals) {
    let at = start;
    while (at < end && at < text.length) {
      while (found && scanner.end <= at) found = scanner.next();
      if (found && scanner.start <= at) at = scanner.end;
      // Between a string and the quote that would have continued it.
      else if (text.slice(start, at).includes("'") && /[\s-]/.test(text[at]!)) at++;
      else {
        // No string yet, a comment's stars that may be its end, or a point or sign with digits to come.
        const rest = text.slice(start);
        assert.match(rest, /^(?:[ebxn]|u&?|\$|\*+\/?|[\d._]+e[+-]|\.)$/i, JSON.stringify({ text, rest }));
        break;
      }
    }
  }
}

Deno.test("redactSql cuts at the end of a megabyte of whatever opens, closes or nests", () => {
  const units = [
    "'",
    "''",
    "\\'",
    "E'\\",
    "$",
    "$a",
    "$a$",
    `$${"a".repeat(5_000)}`,
    "/*",
    "*/",
    "/*/",
    "--",
    "-",
    '"',
    "1",
    "1.",
    "1e",
    ".",
  ];
  const more = [
    "'a'\n",
    "'a' --\n",
    "copy a from stdin;\n",
    "\\",
    ";",
    "E",
    "U&'",
    "a",
    " ",
    "'\\\\",
    "escape '\\' ",
    "é",
    cutMark,
  ];
  for (const unit of [...units, ...more]) {
    const text = unit.repeat(Math.ceil(1_000_000 / unit.length));
    for (const start of ["", "'", "$a$", "/*", "E'"]) assert.ok(redactSql(start + text).length <= 2 * text.length);
  }
});

const table: readonly [text: string, redacted: string][] = [
  // What object-relational mappers and drivers send.
  [
    `SELECT "users".* FROM "users" WHERE "users"."email" = 'a@b.c' LIMIT 1 /*application:Shop*/`,
    `SELECT "users".* FROM "users" WHERE "users"."email" = ? LIMIT ? /*?*/`,
  ],
  [
    `SELECT "u"."id" FROM "u" WHERE "u"."name"::text LIKE '%bob%' ESCAPE '\\' AND "u"."age" > 5`,
    `SELECT "u"."id" FROM "u" WHERE "u"."name"::text LIKE ? ESCAPE ? AND "u"."age" > ?`,
  ],
  [
    `select o1_0.id from orders o1_0 where o1_0.total>=12.50 and o1_0.paid=true fetch first 10 rows only`,
    `select o1_0.id from orders o1_0 where o1_0.total>=? and o1_0.paid=true fetch first ? rows only`,
  ],
  ["SELECT * FROM t WHERE id = $1::int AND name = $2", "SELECT * FROM t WHERE id = $1::int AND name = $2"],
  [
    "INSERT INTO t (a, b) VALUES ('O''Brien', -1.5e3), (E'tab\\there', NULL)",
    "INSERT INTO t (a, b) VALUES (?, -?), (?, NULL)",
  ],
  ["SELECT 1 /*traceparent='00-5bd66ef5-01',controller='users'*/", "SELECT ? /*?*/"],
  ["/* bitville:pg_locks */ select 1", "/*?*/ select ?"],
  ["DEALLOCATE pdo_stmt_0000000a", "DEALLOCATE pdo_stmt_0000000a"],
  ["SELECT set_config('app.user', '42', false)", "SELECT set_config(?, ?, false)"],
  ["ALTER ROLE app PASSWORD 'SCRAM-SHA-256$4096:abc'", "ALTER ROLE app PASSWORD ?"],
  // Bodies.
  ["DO $$ BEGIN PERFORM f('x'); END $$", "DO ?"],
  [
    "CREATE FUNCTION f(integer) RETURNS text LANGUAGE plpgsql AS $body$ BEGIN RETURN $$a$$ || 'b'; END $body$ COST 100",
    "CREATE FUNCTION f(integer) RETURNS text LANGUAGE plpgsql AS ? COST ?",
  ],
  [
    "CREATE TABLE t (a varchar(10), b numeric(10,2) DEFAULT 0)",
    "CREATE TABLE t (a varchar(?), b numeric(?,?) DEFAULT ?)",
  ],
  // Operators, arrays, casts, types.
  [
    `SELECT j ? 'k', j ?| array['a','b'], j ?& $1, j @> '{"a": 1}', j->'a'->>0, j #>> '{a,b}'`,
    "SELECT j ? ?, j ?| array[?,?], j ?& $1, j @> ?, j->?->>?, j #>> ?",
  ],
  [
    "SELECT '{1,2}'::int[], a[1:2], interval '1 day' * 3, date '2024-01-31', true, null",
    "SELECT ?::int[], a[?:?], interval ? * ?, date ?, true, null",
  ],
  [
    "SELECT now() - interval '5' minute, -5, +.5, 1..10, 0xFF, 1_000, 1.e5",
    "SELECT now() - interval ? minute, -?, +?, ?..?, ?, ?, ?",
  ],
  [
    `SELECT U&'d!0061ta' UESCAPE '!', U&"d!0061ta" UESCAPE '!', N'x', B'01', X'1f'`,
    `SELECT ? UESCAPE ?, U&"d!0061ta" UESCAPE ?, ?, ?, ?`,
  ],
  ["SELECT 'a'\n'b', 'a' -- it's\n 'b', 'a' 'b', E'a'\n'\\'b'", "SELECT ?, ?, ? ?, ?"],
  ["SELECT /* a /* b */ c */ 1 -- d\n, a--e", "SELECT /*?*/ ? --?\n, a--?"],
  ['SELECT a5, "5", "it\'s 5", été5, a$1 FROM t2', 'SELECT a5, "5", "it\'s 5", été5, a$1 FROM t2'],
  ["SELECT 9f86d081, 1a'x'", "SELECT ?, ??"],
  // Data behind a statement.
  [
    "COPY t (a, b) FROM stdin WITH (FORMAT text);\n1\tbob's\n2\teve\n\\.\nSELECT 5",
    "COPY t (a, b) FROM stdin WITH (FORMAT text);\n?\n\\.\nSELECT ?",
  ],
  ["COPY t FROM STDIN;\n1\tbob", "COPY t FROM STDIN;\n?"],
  ["COPY t FROM STDIN;\n\\.\nSELECT a", "COPY t FROM STDIN;\n\\.\nSELECT a"],
  ["COPY t FROM '/tmp/x.csv';\nSELECT a", "COPY t FROM ?;\nSELECT a"],
  ["COPY t TO STDOUT;\nSELECT a", "COPY t TO STDOUT;\nSELECT a"],
  // Without an end, or in doubt.
  ["SELECT a WHERE b = 'sec", "SELECT a WHERE b = ?"],
  ["SELECT a WHERE b = 'sec" + cutMark, "SELECT a WHERE b = ?" + cutMark],
  ["SELECT a WHERE b = 123" + cutMark, "SELECT a WHERE b = ?" + cutMark],
  ["SELECT $tag$ sec $tag", "SELECT ?"],
  ["SELECT a, $ta", "SELECT a, ?"],
  ["SELECT a /* sec", "SELECT a /*?"],
  ['SELECT a AS "sec', "SELECT a AS ?"],
  ["SELECT 'C:\\', secret, 'x'", "SELECT ?"],
  ["SELECT 'it\\'s secret', a", "SELECT ?"],
  ["SELECT E'it\\'s secret', 'C:\\\\', a", "SELECT ?, ?, a"],
  ["SELECT a LIKE 'x' ESCAPE '\\'' secret'", "SELECT a LIKE ? ESCAPE ?"],
  ["", ""],
];

Deno.test("redactSql knows what is sent in practice", () => {
  for (const [text, redacted] of table) {
    assert.equal(redactSql(text), redacted);
    assert.equal(redactSql(redacted), redacted);
  }
});

Deno.test("redactSql leaks no part of what the table calls secret, wherever it is cut", () => {
  for (const [text] of table) {
    for (let end = 0; end <= text.length; end++) {
      assert.doesNotMatch(redactSql(text.slice(0, end)), /sec|bob|eve|Brien|a@b/);
    }
  }
});

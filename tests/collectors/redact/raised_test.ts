/**
 * Messages of functions' authors, told by SQLSTATE or context.
 *
 * @module
 */

import assert from "node:assert/strict";
import { emptyEntry, presentEntry } from "../../../collectors/logs/entry.ts";
import { isRaised } from "../../../collectors/redact.ts";

const raised: [sqlstate: string | null, context: string | null][] = [
  ["P0001", null],
  ["P0004", null],
  ["BV001", null],
  [null, "PL/pgSQL function shop.f2(integer,text) line 3 at RAISE"],
  [null, 'PL/pgSQL function f() line 3 at RAISE\nSQL statement "SELECT f()"'],
  [null, "PL/pgSQL-Funktion inline_code_block Zeile 1 bei RAISE"],
  [null, "PL/pgSQL関数inline_code_blockの1行目 - RAISE"],
  ["22012", "PL/pgSQL function f() line 3 at ASSERT"],
  ["XX000", 'PL/Perl function "f"'],
  [null, 'Traceback (most recent call last):\n  PL/Python function "f", line 2, in <module>\nPL/Python function "f"'],
];

for (const [sqlstate, context] of raised) {
  Deno.test(`isRaised knows ${sqlstate ?? JSON.stringify(context)}`, () => {
    assert.ok(isRaised({ sqlstate, context }));
  });
}

Deno.test("isRaised leaves the server's own messages alone, also inside of functions", () => {
  assert.ok(!isRaised({ sqlstate: null, context: null }));
  for (const sqlstate of ["42P01", "23505", "0A000", "XX000", "HV00D", "57014", "F0001", "00000", "01000"]) {
    assert.ok(!isRaised({ sqlstate, context: "PL/pgSQL function f() line 3 at SQL statement" }), sqlstate);
  }
  assert.ok(
    !isRaised({ sqlstate: "22012", context: 'SQL statement "select 1"\nPL/pgSQL function f() line 3 at RAISE' }),
  );
});

Deno.test("presentEntry hides what a function raised, and only that", () => {
  const entry = {
    ...emptyEntry("ERROR", "no access for Bob", null),
    detail: "Bob",
    hint: "ask Alice",
    sqlstate: "P0001",
  };
  const told = { ...entry, context: "PL/pgSQL function f() line 3 at RAISE", statement: "select f('Bob')" };
  for (const mode of ["redacted", "none"] as const) {
    const shown = presentEntry(told, mode);
    assert.deepEqual([shown.message, shown.detail, shown.hint, shown.context], ["?", "?", "?", told.context]);
    assert.ok(!JSON.stringify(shown).includes("Bob"));
  }
  assert.equal(presentEntry(told, "full").message, "no access for Bob");
  const plain = presentEntry({ ...told, sqlstate: "42P01", context: null, hint: null }, "redacted");
  assert.deepEqual([plain.message, plain.hint], ["no access for Bob", null]);
});

// What leaves of statements and messages under each mode.
import assert from "node:assert/strict";
import { presentMessage, presentQuery } from "../../collectors/query_text.ts";

const charsMax = 40;

Deno.test("presentQuery sends the text, the text without literals, or nothing", () => {
  const query = "SELECT a FROM t WHERE b = 'sec'";
  assert.equal(presentQuery(query, { mode: "full", charsMax }), query);
  assert.equal(presentQuery(query, { mode: "redacted", charsMax }), "SELECT a FROM t WHERE b = ?");
  assert.equal(presentQuery(query, { mode: "none", charsMax }), null);
  assert.equal(presentQuery(null, { mode: "full", charsMax }), null);
});

Deno.test("presentQuery cuts what is left after the literals are gone", () => {
  const query = `SELECT a WHERE b = '${"sec".repeat(100)}' AND c = 5`;
  assert.equal(presentQuery(query, { mode: "redacted", charsMax }), "SELECT a WHERE b = ? AND c = ?");
  assert.equal(presentQuery(query, { mode: "full", charsMax })?.length, charsMax);
  assert.equal(presentQuery("SELECT " + "a, ".repeat(50), { mode: "redacted", charsMax })?.length, charsMax);
});

Deno.test("presentMessage keeps a message without its values, and under none without its statement too", () => {
  const message = "duration: 1.2 ms  statement: SELECT 5";
  assert.equal(presentMessage(message, { mode: "full", charsMax }), message);
  assert.equal(presentMessage(message, { mode: "redacted", charsMax }), "duration: 1.2 ms  statement: SELECT ?");
  assert.equal(presentMessage(message, { mode: "none", charsMax }), "duration: 1.2 ms  statement: ?");
  assert.equal(presentMessage("a".repeat(50), { mode: "none", charsMax }).length, charsMax);
});

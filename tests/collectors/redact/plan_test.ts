// Plans of auto_explain without the literals in them.
import assert from "node:assert/strict";
import { redactPlan } from "../../../collectors/redact/plan.ts";

Deno.test("redactPlan keeps the shape and figures of a plan as text", () => {
  const plan = [
    "Query Text: SELECT * FROM t WHERE a = 'sec' AND b > 5",
    "  AND f(cost=>7)",
    "Query Parameters: $1 = 'sec'",
    "Limit  (cost=0.00..1.05 rows=10 width=36) (actual time=0.010..0.011 rows=1 loops=1)",
    '  ->  Seq Scan on public."it\'s" t2  (cost=0.00..1.05 rows=1 width=36) (actual rows=1.00 loops=1)',
    "        Filter: ((a = 'sec'::text) AND (b > 5))",
    "        Rows Removed by Filter: 12",
    "        Buffers: shared hit=1 read=2",
    "        Sort Method: quicksort  Memory: 25kB",
  ].join("\n");
  const redacted = plan.replaceAll("'sec'", "?").replaceAll("> 5", "> ?").replace("=>7", "=>?");
  assert.equal(redactPlan(plan), redacted);
  assert.equal(redactPlan(redacted), redacted);
});

Deno.test("redactPlan redacts each string of a plan as JSON or YAML", () => {
  const plan =
    '{\n  "Query Text": "SELECT \\"x\\" WHERE a = \'se\\nc\'",\n  "Plan": {"Node Type": "Seq Scan", "Relation Name": "it\'s", "Total Cost": 1.05,\n' +
    '  "Filter": "(a = \'sec\'::text)"}, "Query Identifier": 1234567890123456789}';
  const redacted =
    '{\n  "Query Text": "SELECT \\"x\\" WHERE a = ?",\n  "Plan": {"Node Type": "Seq Scan", "Relation Name": "it?", "Total Cost": 1.05,\n' +
    '  "Filter": "(a = ?::text)"}, "Query Identifier": 1234567890123456789}';
  assert.equal(redactPlan(plan), redacted);
  for (let end = plan.indexOf("'se") + 3; end < plan.length; end++) {
    assert.doesNotMatch(redactPlan(plan.slice(0, end)), /\bsec?\b/);
  }
  assert.equal(
    redactPlan('Query Text: "SELECT \'sec\'"\nPlan: \n  Node Type: "Result"\n  Total Cost: 0.01'),
    'Query Text: "SELECT ?"\nPlan: \n  Node Type: "Result"\n  Total Cost: 0.01',
  );
});

Deno.test("redactPlan redacts each element of a plan as XML", () => {
  const plan = (text: string, filter: string) =>
    `<explain xmlns="http://www.postgresql.org/2009/explain">\n  <Query-Text>${text}</Query-Text>\n  <Alias>t</Alias>\n` +
    `  <Plan-Rows>5</Plan-Rows>\n  <Filter>${filter}</Filter>\n</explain>`;
  assert.equal(
    redactPlan(plan("SELECT 'sec' WHERE a &lt; 5", "(a = 'sec'::text)")),
    plan("SELECT ? WHERE a &lt; ?", "(a = ?::text)"),
  );
});

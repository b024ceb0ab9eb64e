/**
 * Plans that auto_explain logs, in its four formats, without the literals of their query and conditions. The planner's
 * figures stay where the format tells them from numbers of the query.
 *
 * @module
 */

import { placeholder, redactSql, replaceLiterals } from "./sql.ts";

/** What is logged behind `plan:`. */
export function redactPlan(plan: string): string {
  if (/^\s*\{/.test(plan) || /^\s*Query Text: "/.test(plan)) return redactQuoted(plan);
  return /^\s*<explain/.test(plan) ? redactXml(plan) : redactText(plan);
}

/** JSON and YAML: what the query may have given is in double quotes, figures are not. */
function redactQuoted(plan: string): string {
  const redacted = plan.replace(/"[^"\\]*(?:\\[^][^"\\]*)*("|\\?$)/g, (string, end: string) => {
    if (end !== '"') return `"${placeholder}`;
    try {
      return JSON.stringify(redactSql(JSON.parse(string)));
    } catch {
      return `"${placeholder}"`;
    }
  });
  return redacted;
}

/** The content of each element; one that is a number is a figure. */
function redactXml(plan: string): string {
  return plan.replace(/(<[^<>]*>)|[^<>]+/g, (part, tag: string | undefined) => {
    return tag !== undefined || /^\s*[\d.]+\s*$/.test(part) ? part : redactSql(part);
  });
}

/** Figures of the text format: `(cost=… width=…)`, `(actual …)`, and lines that hold nothing but figures. */
const figures = new RegExp(
  [
    String.raw`\(cost=\d+\.\d+\.\.\d+\.\d+ rows=\d+ width=\d+\)`,
    String.raw`\(actual (?:time=\d+\.\d+\.\.\d+\.\d+ )?rows=[\d.]+ loops=\d+\)`,
    "^ *(?:Rows Removed by [A-Za-z ]+|Workers (?:Planned|Launched)|Heap Fetches|Index Searches|(?:Planning|Execution) " +
    "Time|Buffers|I/O Timings|Heap Blocks|Sort Method|Buckets|Memory Usage|Peak Memory Usage|WAL): [A-Za-z0-9 .,:=/()-]+$",
  ].join("|"),
  "gm",
);

function redactText(plan: string): string {
  const spans = plan.matchAll(figures);
  let span = spans.next().value;
  return replaceLiterals(plan, {
    keeps: (start) => {
      while (span !== undefined && span.index + span[0].length <= start) span = spans.next().value;
      return span !== undefined && span.index <= start;
    },
  });
}

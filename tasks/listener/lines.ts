/**
 * What `deno task listener` prints.
 *
 * @module
 */

import type { WireDocument } from "./schemas.ts";

/** How many correlation ids one line shows. */
const shownIdsMax = 3;

/** Where it listens, and how an agent is told. */
export function welcome(at: { url: string; pageUrl: string; key: string; data: string }): string {
  return `Open ${at.pageUrl} to see what has arrived. Point an agent here by these lines of its configuration:

[listener]
url = ${at.url}
api_key = ${at.key}
project_id = demo

What arrives is kept in ${at.data}.

`;
}

/** One readable line a document. */
export function describeDocument(document: WireDocument): string {
  const { timestamp, host, project, type, sequence, data } = document;
  const parts = [timestamp, `${host}/${project}`, type, `#${sequence}`];
  if (typeof data.count === "number") parts.push(`count ${data.count}`);
  if (typeof data.with_correlation === "number") parts.push(`with_correlation ${data.with_correlation}`);
  const ids = correlationIds(data);
  const more = ids.length > shownIdsMax ? ", …" : "";
  if (ids.length > 0) parts.push(`correlation_id ${ids.slice(0, shownIdsMax).join(", ")}${more}`);
  // What comes over the network must not steer the terminal.
  return parts.join("  ").replaceAll(/\p{Cc}/gu, " ") + "\n";
}

/** Those of all the lists in a document, each once. */
function correlationIds(data: Record<string, unknown>): string[] {
  const items = Object.values(data).flatMap((value) => Array.isArray(value) ? value : []);
  const ids = items.flatMap((item) => [item?.correlation_id, item?.blocked_correlation_id]);
  return [...new Set(ids.filter((id) => typeof id === "string"))];
}

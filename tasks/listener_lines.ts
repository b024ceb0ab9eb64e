/**
 * Of `deno task listener`: its arguments, and what it prints.
 *
 * @module
 */

import type { WireDocument } from "./listener_schemas.ts";

export const listenerUsage =
  "Usage: deno task listener [--host 127.0.0.1] [--port 8080] [--api-key demo-key] [--json]\n";

/** How many correlation ids one line shows. */
const shownIdsMax = 3;

export interface ListenerArguments {
  host: string;
  port: number;
  apiKey: string;
  /** Whether to print whole documents, one a line. */
  json: boolean;
}

/** Null when they make no sense. */
export function readListenerArguments(args: readonly string[]): ListenerArguments | null {
  const read: ListenerArguments = { host: "127.0.0.1", port: 8080, apiKey: "demo-key", json: false };
  const rest = args.flatMap((arg) =>
    /^--[a-z-]+=/.test(arg) ? [arg.split("=")[0]!, arg.replace(/^[^=]*=/, "")] : [arg]
  );
  while (rest.length > 0) {
    const option = rest.shift();
    if (option === "--json") {
      read.json = true;
      continue;
    }
    const value = rest.shift();
    if (value === undefined || value === "") return null;
    if (option === "--host") read.host = value;
    else if (option === "--api-key") read.apiKey = value;
    else if (option === "--port" && /^\d{1,5}$/.test(value) && Number(value) < 65_536) read.port = Number(value);
    else return null;
  }
  return read;
}

/** Where it listens, and how an agent is told. */
export function welcome(url: string, apiKey: string): string {
  return `Listening at ${url}. Point an agent here by these lines of its configuration:

[listener]
url = ${url}
api_key = ${apiKey}
project_id = demo

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

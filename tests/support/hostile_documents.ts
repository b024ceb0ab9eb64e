/**
 * Documents whose every text wants to become markup or script on the listener's page. They are valid: names, statements
 * and log lines are whatever somebody types.
 *
 * @module
 */

import type { WireDocument } from "../../tasks/listener/schemas.ts";
import { GeneratedAgent } from "./generated_documents.ts";
import { seededRandom } from "./seeded_random.ts";

const script = "<script>globalThis.hacked=1</script>";
const image = `"'><img src=x onerror="globalThis.hacked=1">`;

/** What is looked for on the page, as it is. */
export const hostileTexts = {
  host: `db${image}`,
  query: `SELECT 1 ${script}${image} javascript:alert(1)`,
  message: `relation "${script}${image}" does not exist`,
  error: `failed ${script}${image}`,
  correlationId: "0b1d3f60-5b7e-4c2f-9a51-6f0a7f3f7a10",
};

/** A cycle of an agent in which every free text is hostile. */
export function hostileDocuments(nowMs: number): WireDocument[] {
  const { host, query, message, error, correlationId } = hostileTexts;
  const agent = new GeneratedAgent({
    host,
    project: `p${script}`,
    random: seededRandom(11),
    sessions: 3,
    statements: 3,
  });
  const names = { datname: script, usename: image, application_name: `bitville-${correlationId}` };
  return [...agent.cycle(nowMs - 60_000), ...agent.cycle(nowMs)].map((document) => {
    const data = structuredClone(document.data) as Record<string, Record<string, unknown>[]>;
    const spoil = (list: string, texts: Record<string, unknown>) => {
      for (const item of data[list] ?? []) Object.assign(item, texts);
    };
    const waits = { wait_event_type: script.slice(0, 20), wait_event: image, correlation_id: correlationId };
    if (document.type === "pg_stat_activity") spoil("sessions", { query, ...names, ...waits });
    if (document.type === "pg_stat_statements") spoil("statements", { query, datname: script, usename: image });
    if (document.type === "pg_log") {
      const log = {
        message,
        detail: query,
        hint: script,
        context: image,
        statement: query,
        user: image,
        database: script,
      };
      spoil("entries", { ...log, application_name: script, correlation_id: correlationId, file: image });
    }
    if (document.type === "agent_status") {
      spoil("collectors", { ok: false, error });
      data.logs = [{ file: image, format: "stderr", offset: 1, size: 1 }];
    }
    if (document.type === "pg_locks") {
      const ends = { blocked_statement: query, blocking_statement: query, relation: script, blocked_user: image };
      spoil("locks", { ...ends, blocked_correlation_id: correlationId, locktype: image, mode: script });
      spoil("roots", { statement: query, user: image, state: script });
    }
    return { ...document, data };
  });
}

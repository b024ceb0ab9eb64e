/**
 * Documents as they were sent, out of the database.
 *
 * @module
 */

import { gunzipSync } from "node:zlib";
import type { Database } from "../database.ts";
import type { WireDocument } from "../schemas.ts";

/** The newest document of a type up to a time, or null. */
export function latestDocument(
  database: Database,
  { agentId, type }: { agentId: number; type: string },
  toMs: number,
): WireDocument | null {
  const row = database.get(
    "SELECT body FROM document WHERE agent_id = ? AND type = ? AND at <= ? ORDER BY at DESC LIMIT 1",
    ...[agentId, type, toMs],
  );
  return row === null ? null : unpacked(row.body);
}

/** The document of this id, or null. */
export function documentOfId(database: Database, id: string): WireDocument | null {
  const row = database.get("SELECT body FROM document WHERE id = ?", id);
  return row === null ? null : unpacked(row.body);
}

/** The document in this row, with its agent; null when retention has taken it. */
export function documentOfRow(
  database: Database,
  n: number,
): { agentId: number; atMs: number; document: WireDocument } | null {
  const row = database.get("SELECT agent_id, at, body FROM document WHERE n = ?", n);
  return row === null ? null : { agentId: Number(row.agent_id), atMs: Number(row.at), document: unpacked(row.body) };
}

function unpacked(body: unknown): WireDocument {
  return JSON.parse(new TextDecoder().decode(gunzipSync(body as Uint8Array)));
}

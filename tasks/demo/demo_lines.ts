/**
 * Of the demo: documents as a person reads them.
 *
 * @module
 */

import { describeDocument } from "../listener_lines.ts";
import type { WireDocument } from "../listener_schemas.ts";

/** Sessions in one block; the document has them all. */
const shownSessionsMax = 8;

/** What of a session is shown, by the names of docs/documents.md. */
interface ShownSession {
  pid: number;
  state: string | null;
  wait_event_type: string | null;
  wait_event: string | null;
  query_ms: number | null;
  xact_ms: number | null;
  correlation_id: string | null;
  query: string | null;
}

interface Activity {
  sessions: ShownSession[];
  total_backends: number;
  by_state: Record<string, number>;
}

/** A document in one line, or in a block where there is a form for its type. Ends in a line feed. */
export function presentDocument(document: WireDocument): string {
  if (document.type !== "pg_stat_activity") return describeDocument(document);
  // The listener has checked it against its schema.
  return presentActivity(document, document.data as unknown as Activity);
}

function presentActivity(document: WireDocument, activity: Activity): string {
  const { sessions, total_backends: total, by_state: byState } = activity;
  const states = Object.entries(byState).sort(([, a], [, b]) => b - a).map(([state, count]) => `${count} ${state}`);
  const heading = `${document.timestamp}  pg_stat_activity  #${document.sequence}  ${total} backends: ${
    states.join(", ")
  }`;
  const rows = sessions.slice(0, shownSessionsMax).map(rowOf);
  const hidden = sessions.length - rows.length;
  const lines = [
    heading,
    ...rows.length === 0 ? [] : [line(columnTitles)],
    ...rows.map(line),
    ...hidden === 0 ? [] : [`  … and ${hidden} more`],
  ];
  return lines.map((text) => text.trimEnd() + "\n").join("") + "\n";
}

const columnTitles = ["pid", "state", "waits for", "query ms", "xact ms", "correlation_id", "query"];
const columnWidths = [7, 19, 20, 8, 8, 36, 40];
const numberColumns: ReadonlySet<number> = new Set([0, 3, 4]);

function rowOf(session: ShownSession): string[] {
  const { wait_event_type: type, wait_event: event } = session;
  return [
    String(session.pid),
    session.state ?? "",
    type === null ? "" : `${type}/${event ?? ""}`,
    milliseconds(session.query_ms),
    milliseconds(session.xact_ms),
    session.correlation_id ?? "",
    session.query ?? "",
  ];
}

function milliseconds(value: number | null): string {
  return value === null ? "" : String(Math.round(value));
}

function line(cells: readonly string[]): string {
  return "  " + cells.map((cell, index) => {
    const width = columnWidths[index]!;
    // A query is other people's text: it must neither break the table nor steer the terminal.
    const text = excerpt(cell.replaceAll(/[\p{Cc}\s]+/gu, " ").trim(), width);
    return numberColumns.has(index) ? text.padStart(width) : text.padEnd(width);
  }).join("  ");
}

function excerpt(text: string, charsMax: number): string {
  const chars = [...text];
  return chars.length <= charsMax ? text : chars.slice(0, charsMax - 1).join("") + "…";
}

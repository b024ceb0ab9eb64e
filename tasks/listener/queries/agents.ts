/**
 * The agents: how each is, what is missing of it.
 *
 * @module
 */

import type { Database } from "../database.ts";
import { type Hole, holesOf } from "../sequences.ts";

/** Two cycles of a minute have brought nothing. */
const lateMs = 150_000;
/** More agents than a page can show. */
const agentsMax = 2_000;
/** Of one agent, the newest. */
const holesMax = 50;

/** Of what is shown of an agent's own status, by the names of docs/documents/agent_status.md. */
export interface AgentStatus {
  uptime_s: number;
  buffer: { records: number; bytes: number; max_bytes: number; oldest_at: string | null };
  loss: Record<string, unknown>;
  circuit: { state: string; consecutive_failures: number };
  collectors: {
    name: string;
    ok: boolean;
    duration_ms: number | null;
    rows: number | null;
    skipped: string | null;
    error: string | null;
    every?: number;
  }[];
  database: { reachable: boolean; server_version: string | null; connections: number; time_ms: number };
  logs: { file: string; format: string; offset: number; size: number }[];
  process: { rss_bytes: number; cpu_s: number };
  governor?: {
    step: string;
    reason: string | null;
    since: string;
    server_ms: number | null;
    budget_ms: number;
  } | null;
}

/** One agent. */
export interface AgentSummary {
  id: number;
  project: string;
  host: string;
  version: string;
  firstMs: number;
  /** When its newest document was collected. */
  lastMs: number;
  /** When its last document arrived. */
  receivedMs: number;
  lastSequence: number;
  /** How often its numbering has begun. */
  life: number;
  status: AgentStatus | null;
  statusMs: number;
  holes: Hole[];
  /** Numbers that have not come: those that it says are lost, and those that are late. */
  missing: number;
  lost: number;
  health: { state: "ok" | "warning" | "silent"; reasons: string[] };
}

/** A server, as one chooses it: the agent on it. */
export interface Server {
  id: number;
  project: string;
  host: string;
}

/** The servers of all agents, by project and host. */
export function servers(database: Database): Server[] {
  return database.all("SELECT agent_id, project, host FROM agent ORDER BY project, host LIMIT ?", agentsMax).map((
    row,
  ) => (
    { id: Number(row.agent_id), project: String(row.project), host: String(row.host) }
  ));
}

/** All agents, by project and host. */
export function agents(database: Database, nowMs: number): AgentSummary[] {
  return database.all("SELECT * FROM agent ORDER BY project, host LIMIT ?", agentsMax).map((row) => {
    const id = Number(row.agent_id);
    const holes = holesOf(database, id, { fromMs: 0, toMs: nowMs });
    const summary = {
      ...{ id, project: String(row.project), host: String(row.host), version: String(row.version) },
      ...{ firstMs: Number(row.first_at), lastMs: Number(row.last_at), receivedMs: Number(row.received_at) },
      ...{ lastSequence: Number(row.last_sequence), life: Number(row.life), statusMs: Number(row.status_at) },
      status: row.status === null ? null : JSON.parse(String(row.status)) as AgentStatus,
      holes: holes.slice(0, holesMax),
      missing: holes.reduce((sum, { from, to }) => sum + to - from + 1, 0),
      lost: holes.reduce((sum, hole) => sum + hole.lost, 0),
    };
    return { ...summary, health: healthOf(summary, nowMs) };
  });
}

function healthOf(agent: Omit<AgentSummary, "health">, nowMs: number): AgentSummary["health"] {
  const { status, receivedMs, missing, lost } = agent;
  const silentMs = nowMs - receivedMs;
  const reasons = [
    ...lost > 0 ? [`${lost} documents are lost`] : [],
    ...missing > lost ? [`${missing - lost} documents have not come yet`] : [],
    ...status === null ? [] : statusReasons(status),
  ];
  if (silentMs > lateMs) {
    return { state: "silent", reasons: [`nothing has arrived for ${Math.round(silentMs / 60_000)} min`, ...reasons] };
  }
  return { state: reasons.length > 0 ? "warning" : "ok", reasons };
}

function statusReasons({ database, circuit, buffer, collectors }: AgentStatus): string[] {
  const failed = collectors.filter(({ ok }) => !ok).map(({ name }) => name);
  const rare = collectors.filter(({ every = 1 }) => every > 1).map(({ name }) => name);
  return [
    ...database.reachable ? [] : ["its database did not answer"],
    ...circuit.state === "closed" ? [] : [`its circuit is ${circuit.state.replace("_", " ")}`],
    ...buffer.bytes > buffer.max_bytes / 2 ? ["its buffer is more than half full"] : [],
    ...failed.length === 0 ? [] : [`failed: ${failed.join(", ")}`],
    ...rare.length === 0 ? [] : [`slowed down to spare the server: ${rare.join(", ")}`],
  ];
}

/**
 * A recording of twenty seconds in which one request holds up others, by the shape of docs/documents/pg_burst.md.
 *
 * @module
 */

import type { WireDocument } from "../../tasks/listener/schemas.ts";
import type { GeneratedAgent } from "./generated_documents.ts";

/** Who takes part. */
export const burstFacts = {
  holder: "0b1d3f60-5b7e-4c2f-9a51-6f0a7f3f7a10",
  waiter: "1c2e4a71-6c8f-4d3a-8b62-7a1b8a4a8b21",
  holderPid: 901,
  waiterPid: 902,
  /** All that wait; the sample lists nine of them. */
  waiting: 24,
  /** Seconds of the storm, and of the calm after it. */
  stormS: 20,
  calmS: 10,
  /** Counts before it, five seconds apart: two wait for a lock, two for IO, one runs. */
  beforeCount: 2,
};

/** The document: the lock is taken two seconds before it begins. `others` are further sessions that hold up somebody. */
export function burstDocument(agent: GeneratedAgent, startMs: number, others = 0): WireDocument {
  const { stormS, calmS, beforeCount, waiting } = burstFacts;
  const iso = (ms: number) => new Date(ms).toISOString();
  const seconds = Array.from({ length: stormS + calmS }, (_, index) => index);
  const samples = seconds.map((second) => ({
    at: iso(startMs + second * 1_000),
    ...second < stormS ? storm(second, others) : calm(),
  }));
  return agent.document("pg_burst", startMs, {
    trigger: { kind: "lock_queue", value: waiting, threshold: 10 },
    started_at: iso(startMs),
    ended_at: samples.at(-1)!.at,
    before: Array.from({ length: beforeCount }, (_, index) => {
      const at = iso(startMs - (beforeCount - index) * 5_000);
      return { at, active: 3, lock_waiters: 2, waits: { none: 1, IO: 2, Lock: 2 } };
    }),
    ...{ samples, count: samples.length, truncated: false, server_ms: 71.5 },
  });
}

function calm() {
  return { active: 1, lock_waiters: 0, by_state: { active: 1, idle: 30, none: 6 }, sessions: [], roots: [] };
}

function storm(second: number, others: number) {
  const { holder, waiter, holderPid, waiterPid, waiting } = burstFacts;
  const ms = (2 + second) * 1_000;
  const session = { datname: "shop", usename: "shop", query_id: "7" };
  const waits = { state: "active", wait_event_type: "Lock", wait_event: "transactionid" };
  const statement = "UPDATE site_order SET status = 'paid' WHERE id = 7";
  const root = {
    ...{ pid: holderPid, user: "shop", app: `bitville-${holder}`, correlation_id: holder, blocked_count: waiting },
    ...{ state: "idle in transaction", statement, xact_ms: ms + 3_000 },
  };
  const more = Array.from({ length: others }, (_, index) => ({
    ...{ ...root, pid: 800 + index, app: "batch", correlation_id: null, blocked_count: 1 },
  }));
  return {
    active: 2,
    lock_waiters: waiting,
    by_state: { "active": waiting + 2, "idle in transaction": 1, "idle": 5, "none": 6 },
    sessions: [
      {
        ...{ ...session, pid: holderPid, application_name: root.app, correlation_id: holder, state: root.state },
        ...{
          wait_event_type: "Client",
          wait_event: "ClientRead",
          query_ms: 3,
          xact_ms: root.xact_ms,
          query: statement,
        },
      },
      ...Array.from({ length: 9 }, (_, index) => {
        const id = index === 0 ? waiter : null;
        const name = id === null ? "web" : `bitville-${id}`;
        const who = { pid: waiterPid + index, application_name: name, correlation_id: id };
        return { ...session, ...who, ...waits, query_ms: ms - index, xact_ms: ms, query: statement };
      }),
    ],
    roots: [root, ...more],
  };
}

/// <reference lib="dom" />
/**
 * A request's story in words: one sentence for what it came to, and what happened, in order.
 *
 * @module
 */

/** @import { Story, StoryLog, StoryProcess } from "../queries/story.ts" */
/** @import { Wait } from "../queries/waits.ts" */

import { duration } from "./format.js";

/** Errors that a reader of such stories meets, in plain words. @type {Record<string, string>} */
const errors = {
  "40P01": "a deadlock: the server ended it so that the others could go on",
  "40001": "a conflict with another transaction: it may be tried again",
  "55P03": "it did not get a lock in time (lock_timeout)",
  "57014": "it was cancelled, or ran longer than statement_timeout",
  "57P01": "an administrator ended its connection",
  "23505": "a value that must be unique was there already",
  "23503": "a row that others refer to, or that it refers to, is not there",
  "42P01": "it asked for a table that does not exist",
  "42703": "it asked for a column that does not exist",
  "53300": "the server had no connection left",
};

/** @param {string | null} sqlstate */
export function errorWords(sqlstate) {
  return sqlstate === null ? null : errors[sqlstate] ?? null;
}

/** Errors that the log has of it. @param {Story} story */
export function errorsOf({ log }) {
  return log.filter(({ entry }) => ["ERROR", "FATAL", "PANIC"].includes(entry.level));
}

/**
 * Another request, or a process without one, and all waits between it and this one.
 *
 * @typedef {{ key: string, correlationId: string | null, pid: number, waits: Wait[], ms: number, role: Wait["role"] }} Neighbour
 */

/**
 * @param {Story} story
 * @param {Wait["role"]} role
 * @returns {Neighbour[]} the longest wait first
 */
export function neighbours({ waits }, role) {
  const groups = Map.groupBy(
    waits.filter((wait) => wait.role === role),
    ({ other, agentId }) => other.correlationId ?? `${agentId}/${other.pid}`,
  );
  return [...groups].map(([key, own]) => ({
    ...{ key, waits: own, role },
    correlationId: own[0]?.other.correlationId ?? null,
    pid: own[0]?.other.pid ?? 0,
    ms: own.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0),
  })).sort((a, b) => b.ms - a.ms);
}

/** How long it waited in all; waits for several at once count once. @param {Story} story */
export function waitedMs({ waits }) {
  const own = waits.filter(({ role }) => role === "waited").toSorted((a, b) => a.startMs - b.startMs);
  let [sum, endMs] = [0, -Infinity];
  for (const wait of own) {
    sum += Math.max(0, wait.endMs - Math.max(wait.startMs, endMs));
    endMs = Math.max(endMs, wait.endMs);
  }
  return sum;
}

/**
 * @typedef {object} StoryEvent
 * @property {number} atMs
 * @property {string} kind of its mark: seen, start, wait, held, log, end
 * @property {string} words
 * @property {string | null} [correlationId] of the other request
 * @property {number} [otherPid] where the other is known by its number alone
 * @property {string | null} [statement]
 * @property {number | null} [statementId]
 * @property {StoryLog} [line]
 */

/** What happened, in order. @param {Story} story @returns {StoryEvent[]} */
export function eventsOf(story) {
  return [
    ...story.processes.flatMap(processEvents),
    ...story.waits.flatMap(waitEvents),
    ...story.log.filter(({ tellsOfWait, entry }) => !tellsOfWait || entry.level !== "LOG").map(logEvent),
  ].sort((a, b) => a.atMs - b.atMs);
}

/** @param {StoryProcess} process @returns {StoryEvent[]} */
function processEvents({ pid, sightings, backendStartMs, usename, datname, leaderPid }) {
  /** @type {StoryEvent[]} */
  const events = [];
  const who = leaderPid === null ? `process ${pid}` : `parallel worker ${pid}`;
  if (backendStartMs !== null && (sightings[0]?.atMs ?? 0) - backendStartMs < 600_000) {
    events.push({
      atMs: backendStartMs,
      kind: "start",
      words: `Connected as ${usename ?? "?"} to ${datname ?? "?"}, served by ${who}.`,
    });
  }
  const known = new Set();
  const once = (/** @type {string} */ key) => !known.has(key) && known.add(key);
  for (
    const { atMs, state, wait, query, queryStartMs, queryMs, xactStartMs, stateChangeMs, statementId } of sightings
  ) {
    if (xactStartMs !== null && once(`x${xactStartMs}`)) {
      events.push({
        atMs: xactStartMs,
        kind: "start",
        words: "Began a transaction.",
      });
    }
    if (queryStartMs !== null && once(`q${queryStartMs}`)) {
      const lasted = state === "active" || queryMs === null ? "" : ` It took ${duration(queryMs)}.`;
      events.push({
        atMs: queryStartMs,
        kind: "start",
        words: `Began a statement.${lasted}`,
        statement: query,
        statementId,
      });
    }
    if (state.startsWith("idle in transaction") && stateChangeMs !== null && once(`i${stateChangeMs}`)) {
      events.push({ atMs: stateChangeMs, kind: "idle", words: "Did nothing from here on, with its transaction open." });
    }
    const doing = state === "active"
      ? (wait === null
        ? "running"
        : wait.startsWith("Lock")
        ? "waiting for a lock"
        : `waiting (${wait.replace(":", " · ")})`)
      : state;
    events.push({ atMs, kind: "seen", words: `The agent saw it ${doing}.` });
  }
  return events;
}

/** @param {Wait} wait @returns {StoryEvent[]} */
function waitEvents({ role, pid, other, startMs, endMs, ended, lock }) {
  const about = { correlationId: other.correlationId, otherPid: other.pid };
  const lasted = duration(endMs - startMs);
  if (role === "held") {
    const end = ended === "deadlock"
      ? "in a ring with this one"
      : ended === "acquired"
      ? `for ${lasted}`
      : `for ${endMs > startMs ? `at least ${lasted}` : "a moment"}`;
    return [{
      atMs: startMs,
      kind: "held",
      words: `began to wait for this one, ${end}${lock === null ? "" : ` (${lock})`}.`,
      ...about,
      statement: other.statement,
    }];
  }
  const ends = {
    acquired: `Got the lock after ${lasted}.`,
    deadlock: endMs > startMs ? `Was in a deadlock after waiting ${lasted}.` : "Was in a deadlock.",
  };
  const begin = {
    atMs: startMs,
    kind: "wait",
    words: `Process ${pid} began to wait${lock === null ? "" : ` (${lock})`} for`,
    ...about,
  };
  return ended === null
    ? [begin]
    : [begin, { atMs: endMs, kind: ended === "deadlock" ? "bad" : "end", words: ends[ended] }];
}

/** @param {StoryLog} line @returns {StoryEvent} */
function logEvent(line) {
  const { level, sqlstate, message } = line.entry;
  const kind = ["ERROR", "FATAL", "PANIC"].includes(level) ? "bad" : level === "WARNING" ? "warn" : "log";
  return { atMs: line.atMs, kind, words: [level, sqlstate, message].filter(Boolean).join(" "), line };
}

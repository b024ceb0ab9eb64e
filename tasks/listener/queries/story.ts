/**
 * One web request's story, out of all documents that have seen it: its sessions, whom it waited for and who waited for
 * it, and what the log says of it.
 *
 * @module
 */

import type { Database } from "../database.ts";
import type { LogEntry } from "../extract_log.ts";
import { type BurstData, type BurstMoment, burstMoments } from "../extract_burst.ts";
import * as limits from "../limits.ts";
import { documentOfRow } from "./documents.ts";
import { statementOfQueryId } from "./statements.ts";
import { lockEvidence, logEvidence, type Wait, WaitBook } from "./waits.ts";

/** A process that served the request, and each time it was seen. */
export interface StoryProcess {
  agentId: number;
  pid: number;
  datname: string | null;
  usename: string | null;
  applicationName: string;
  /** A pooler may have left the name behind. */
  doubtful: boolean;
  leaderPid: number | null;
  backendStartMs: number | null;
  sightings: StorySighting[];
}

/** A session at one moment. */
export interface StorySighting {
  atMs: number;
  state: string;
  wait: string | null;
  query: string | null;
  queryId: string | null;
  /** The statement on the page of statements; null when it is not there. */
  statementId: number | null;
  queryStartMs: number | null;
  queryMs: number | null;
  xactStartMs: number | null;
  stateChangeMs: number | null;
}

/** A log entry, and where it is. */
export interface StoryLog {
  agentId: number;
  atMs: number;
  n: number;
  i: number;
  entry: LogEntry;
  /** Whether it only says what a wait of the story says as well. */
  tellsOfWait: boolean;
}

/** What {@link story} answers with. */
export interface Story {
  correlationId: string;
  firstMs: number;
  lastMs: number;
  /** The servers that it was seen on. */
  servers: { agentId: number; host: string; project: string }[];
  processes: StoryProcess[];
  waits: Wait[];
  log: StoryLog[];
  /** The longest that it was seen waiting for a lock, whoever held it; null when it never was. */
  seenWaitingMs: number | null;
  /** Whether it was seen to hold up others, whoever they were. */
  heldUp: boolean;
  documents: number;
  /** Whether there are more documents than were opened. */
  truncated: boolean;
}

interface Session {
  pid: number;
  datname: string | null;
  usename: string | null;
  application_name: string | null;
  backend_start: string | null;
  xact_start: string | null;
  query_start: string | null;
  state_change: string | null;
  state: string;
  wait_event_type: string | null;
  wait_event: string | null;
  leader_pid: number | null;
  query_id: string | null;
  query: string | null;
  query_ms: number | null;
  correlation_id: string | null;
  correlation_state: string | null;
}

/** Tells the story of a request; null when it has never been seen. */
export function story(database: Database, correlationId: string): Story | null {
  const request = database.get(
    "SELECT first_at, last_at, waited_ms, held_up FROM request WHERE correlation_id = ?",
    correlationId,
  );
  if (request === null) return null;
  const rows = database.all(
    "SELECT n FROM request_document WHERE correlation_id = ? ORDER BY at LIMIT ?",
    ...[correlationId, limits.storyDocumentsMax + 1],
  ).map(({ n }) => Number(n));
  const teller = new Teller(database, correlationId);
  for (const n of rows.slice(0, limits.storyDocumentsMax)) teller.addDocument(n);
  teller.addRecorded();
  teller.addMentions();
  return {
    correlationId,
    ...teller.tell({ firstMs: Number(request.first_at), lastMs: Number(request.last_at) }),
    seenWaitingMs: request.waited_ms === null ? null : Number(request.waited_ms),
    heldUp: Number(request.held_up) > 0,
    documents: rows.length,
    truncated: rows.length > limits.storyDocumentsMax,
  };
}

type Place = { agentId: number; atMs: number };

/** A beginning that is reckoned back from a sample's durations is this far from the server's own word for it at most. */
const sameStartMs = 1_500;

class Teller {
  readonly #database: Database;
  readonly #id: string;
  readonly #processes = new Map<string, StoryProcess>();
  readonly #log = new Map<string, StoryLog>();
  readonly #waits: WaitBook;
  readonly #recorded: { session: Session; place: Place }[] = [];
  readonly #mentioned = new Set<string>();
  readonly #entries = new Map<number, LogEntry[]>();

  constructor(database: Database, id: string) {
    this.#database = database;
    this.#id = id;
    this.#waits = new WaitBook(database, id);
  }

  addDocument(n: number): void {
    const found = documentOfRow(this.#database, n);
    if (found === null) return;
    const { agentId, document } = found;
    const { type, data } = document;
    const atMs = Date.parse(document.timestamp);
    if (type === "pg_stat_activity") {
      for (const session of data.sessions as Session[]) this.#addSession(session, { agentId, atMs });
    } else if (type === "pg_locks") {
      for (const lock of lockEvidence(data as never, { agentId, atMs })) this.#waits.add(lock);
    } else if (type === "pg_burst") {
      for (const moment of burstMoments(data as unknown as BurstData, found.atMs)) this.#addMoment(moment, agentId);
    } else if (type === "pg_log") {
      for (const [i, entry] of (data.entries as LogEntry[]).entries()) {
        if (entry.correlation_id !== this.#id) continue;
        this.#addEntry({ agentId, n, i, atMs: timeOf(entry.timestamp) ?? atMs, entry, tellsOfWait: false });
      }
    }
  }

  #addMoment({ atMs, activity, locks }: BurstMoment, agentId: number): void {
    const place = { agentId, atMs };
    for (const session of activity.sessions as Session[]) {
      if (session.correlation_id === this.#id) this.#recorded.push({ session, place });
    }
    // How long it had waited is known from the beginning of the recording on only.
    for (const lock of lockEvidence(locks, place)) this.#waits.add({ ...lock, waitedMs: null });
  }

  /** Once the cycles have told which process it was, and when exactly it began what. */
  addRecorded(): void {
    for (const { session, place: { agentId, atMs } } of this.#recorded) {
      const known = [...this.#processes.values()].find((one) => one.agentId === agentId && one.pid === session.pid);
      const { sightings } = known ?? this.#processOf(session, agentId);
      const { xactStartMs, queryStartMs, ...rest } = this.#sightingOf(session, { agentId, atMs });
      const near = (name: "xactStartMs" | "queryStartMs", ms: number | null, isSame = (_: StorySighting) => true) =>
        ms === null
          ? null
          : sightings.find((one) => isSame(one) && Math.abs((one[name] ?? NaN) - ms) < sameStartMs)?.[name] ?? ms;
      sightings.push({
        ...rest,
        xactStartMs: near("xactStartMs", xactStartMs),
        queryStartMs: near("queryStartMs", queryStartMs, ({ queryId }) => queryId === rest.queryId),
      });
    }
    for (const { sightings } of this.#processes.values()) sightings.sort((a, b) => a.atMs - b.atMs);
  }

  /** What the log says of the waits of the processes that served the request, and of those that waited for it. */
  addMentions(): void {
    const backends = this.#database.all(
      "SELECT agent_id, pid, first_at, last_at FROM backend WHERE correlation_id = ? LIMIT 50",
      this.#id,
    );
    for (const { agent_id: agentId, pid, first_at: firstAt, last_at: lastAt } of backends) {
      const [fromMs, toMs] = [Number(firstAt) - limits.storyMarginMs, Number(lastAt) + limits.storyMarginMs];
      this.#addMentionsOf({ agentId: Number(agentId), pid: Number(pid), fromMs, toMs });
    }
    // Who waited for it says itself how its wait ended.
    const held = this.#waits.waits().filter(({ role }) => role === "held").slice(0, limits.storyWaitersMax);
    for (const { agentId, other, startMs, endMs } of held) {
      this.#addMentionsOf({ agentId, pid: other.pid, fromMs: startMs, toMs: endMs + limits.storyMarginMs });
    }
  }

  #addMentionsOf({ agentId, pid, fromMs, toMs }: { agentId: number; pid: number; fromMs: number; toMs: number }): void {
    const mentions = this.#database.all(
      "SELECT n, i, at FROM lock_mention WHERE agent_id = ? AND pid = ? AND at BETWEEN ? AND ? LIMIT ?",
      ...[agentId, pid, fromMs, toMs, limits.storyMentionsMax],
    );
    for (const { n, i, at } of mentions) {
      const key = `${n}/${i}`;
      if (this.#mentioned.has(key)) continue;
      this.#mentioned.add(key);
      const entry = this.#entriesOf(Number(n))[Number(i)];
      if (entry === undefined) continue;
      for (const one of logEvidence(entry, { agentId, atMs: Number(at) })) this.#waits.add(one);
    }
  }

  /** A document is opened once, however many of its lines are asked for. */
  #entriesOf(n: number): LogEntry[] {
    const known = this.#entries.get(n);
    if (known !== undefined) return known;
    const data = documentOfRow(this.#database, n)?.document.data;
    const entries = (data?.entries ?? []) as LogEntry[];
    this.#entries.set(n, entries);
    return entries;
  }

  #addEntry(line: StoryLog): void {
    const key = `${line.n}/${line.i}`;
    this.#mentioned.add(key);
    const evidence = logEvidence(line.entry, line);
    this.#log.set(key, { ...line, tellsOfWait: evidence.length > 0 });
    for (const one of evidence) this.#waits.add(one);
  }

  #addSession(session: Session, { agentId, atMs }: { agentId: number; atMs: number }): void {
    if (session.correlation_id !== this.#id) return;
    const process = this.#processOf(session, agentId);
    process.doubtful ||= session.correlation_state === "doubtful";
    process.sightings.push(this.#sightingOf(session, { agentId, atMs }));
  }

  #processOf(session: Session, agentId: number): StoryProcess {
    const { pid, datname, usename, application_name: name, leader_pid: leaderPid, backend_start: start } = session;
    const key = `${agentId}/${pid}/${start}`;
    const process = this.#processes.get(key) ?? {
      ...{ agentId, pid, datname, usename, leaderPid, applicationName: name ?? "", doubtful: false },
      backendStartMs: timeOf(start),
      sightings: [],
    };
    this.#processes.set(key, process);
    return process;
  }

  #sightingOf(session: Session, { agentId, atMs }: { agentId: number; atMs: number }): StorySighting {
    const { state, wait_event_type: type, wait_event: event, query, query_id: queryId, query_ms: queryMs } = session;
    return {
      ...{ atMs, state, query, queryId, queryMs },
      wait: type === null ? null : `${type}:${event ?? ""}`,
      statementId: queryId === null ? null : statementOfQueryId(this.#database, agentId, queryId),
      queryStartMs: timeOf(session.query_start),
      xactStartMs: timeOf(session.xact_start),
      stateChangeMs: timeOf(session.state_change),
    };
  }

  tell({ firstMs, lastMs }: { firstMs: number; lastMs: number }) {
    const processes = [...this.#processes.values()].sort((a, b) => a.sightings[0]!.atMs - b.sightings[0]!.atMs);
    const log = [...this.#log.values()].sort((a, b) => a.atMs - b.atMs);
    const waits = this.#waits.waits();
    const begun = processes.flatMap(({ sightings }) => sightings.map((one) => one.xactStartMs ?? one.queryStartMs));
    const starts = [firstMs, ...begun, ...waits.filter(({ role }) => role === "waited").map(({ startMs }) => startMs)];
    const agentIds = new Set([...processes, ...waits, ...log].map(({ agentId }) => agentId));
    return {
      firstMs: Math.min(...starts.filter((time) => time !== null)),
      lastMs,
      servers: [...agentIds].map((agentId) => this.#serverOf(agentId)),
      ...{ processes, waits, log },
    };
  }

  #serverOf(agentId: number): Story["servers"][number] {
    const row = this.#database.get("SELECT host, project FROM agent WHERE agent_id = ?", agentId);
    return { agentId, host: String(row?.host ?? ""), project: String(row?.project ?? "") };
  }
}

function timeOf(timestamp: string | null): number | null {
  return timestamp === null ? null : Date.parse(timestamp);
}

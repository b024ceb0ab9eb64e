/**
 * The database seam in memory: answers by script, fails by script.
 *
 * @module
 */

import {
  type Database,
  DatabaseError,
  type DatabaseStatus,
  type Query,
  type Row,
  type Server,
} from "../../collectors/database.ts";

/** What a statement is answered with: rows, a failure, or a function that decides each time and may wait. */
export type Answer =
  | readonly Row[]
  | DatabaseError
  | ((query: Query, signal: AbortSignal | undefined) => readonly Row[] | Promise<readonly Row[]>);

/** As on a server of today, with a role that may see everything. */
const defaultServer: Server = {
  version: "18.4",
  user: "bitville_monitor",
  readsAllStats: true,
  pooled: false,
  connectionsMax: 97,
};

/** What stands after `bitville-monitor:` in the comment that opens a statement. */
const namePattern = /^\s*\/\*\s*bitville-monitor:\s*(.*?)\s*\*\//;

/**
 * Answers each statement by the name in its comment: first what is queued for it ({@link answerOnce}), then what stands
 * ({@link answer}). A statement without an answer is refused, as a server would.
 */
export class MemoryDatabase implements Database {
  /** The names of the statements that were asked, in order. */
  readonly asked: string[] = [];
  /** The statements that were asked, in order. */
  readonly queries: Query[] = [];
  /** What its status says it has spent, beside a millisecond for each statement. */
  costMs = 0;
  readonly #standing = new Map<string, Answer>();
  readonly #once = new Map<string, Answer[]>();
  #server: Server;
  #outage: DatabaseError | null = null;
  #reachable = false;
  #closed = false;

  constructor(server: Partial<Server> = {}) {
    this.#server = { ...defaultServer, ...server };
  }

  /** Sets what a statement is answered with from now on. */
  answer(name: string, answer: Answer): this {
    this.#standing.set(name, answer);
    return this;
  }

  /** Queues an answer for one question; several are given in order. */
  answerOnce(name: string, answer: Answer): this {
    this.#once.set(name, [...(this.#once.get(name) ?? []), answer]);
    return this;
  }

  /** Fails every question until {@link comeBack}. */
  goAway(error: DatabaseError = new DatabaseError("Connection refused", { kind: "unreachable" })): void {
    this.#outage = error;
    this.#reachable = false;
  }

  /** Ends an outage; like a server after a restart, it answers as a new object, which may be another version. */
  comeBack(server: Partial<Server> = {}): void {
    this.#outage = null;
    this.#server = { ...this.#server, ...server };
  }

  server(): Promise<Server> {
    if (this.#closed) return Promise.reject(new DatabaseError("The database is closed", { kind: "cancelled" }));
    if (this.#outage !== null) return Promise.reject(this.#outage);
    this.#reachable = true;
    return Promise.resolve(this.#server);
  }

  async query(query: Query, signal?: AbortSignal): Promise<readonly Row[]> {
    if (signal?.aborted) throw cancelled(signal);
    await this.server();
    const name = namePattern.exec(query.text)?.[1] ?? "";
    this.asked.push(name);
    this.queries.push(query);
    const answer = this.#once.get(name)?.shift() ?? this.#standing.get(name);
    if (answer === undefined) {
      throw new DatabaseError(`No answer is scripted for "${name}"`, { kind: "statement", sqlstate: "42601" });
    }
    if (answer instanceof DatabaseError) throw answer;
    if (typeof answer !== "function") return answer;
    return await unlessAborted(Promise.resolve(answer(query, signal)), signal);
  }

  status(): DatabaseStatus {
    const reachable = this.#reachable && !this.#closed;
    return {
      reachable,
      serverVersion: reachable ? this.#server.version : null,
      connections: reachable ? 1 : 0,
      timeMs: this.queries.length + this.costMs,
    };
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }
}

function cancelled(signal: AbortSignal): DatabaseError {
  return new DatabaseError("The caller gave up", { kind: "cancelled", cause: signal.reason });
}

async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise;
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(cancelled(signal));
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

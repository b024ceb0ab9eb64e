/**
 * The database seam on a real PostgreSQL.
 *
 * Invariants:
 *
 * - every statement runs read only, under a statement timeout and a lock timeout: by startup parameters, or behind a
 *   pooler in a transaction of its own that sets them;
 * - a server that goes away is said once, and once when it is back, whoever finds out first: what fails late on a
 *   connection to the server that was left is no news;
 * - a question that is cut off ends for the caller at once; its connection stays in use until the server has ended what
 *   it did, so that the bound on connections (`postgres_connections.ts`) holds on the server too.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import type { Log } from "../log.ts";
import { type Database, DatabaseError, type DatabaseStatus, type Query, type Row, type Server } from "./database.ts";
import { PostgresConnections } from "./postgres_connections.ts";
import * as errors from "./postgres_errors.ts";
import { announcedPid, destroySocket, type PoolClient, type PostgresOptions, requestCancel } from "./postgres_pool.ts";
import { readBoolean, readCount, readText } from "./row.ts";

const verifySql = `/* bitville-monitor: connection */
select split_part(current_setting('server_version'), ' ', 1) as version, current_user::text as user,
  pg_catalog.pg_backend_pid() as pid, pg_catalog.pg_has_role('pg_read_all_stats', 'usage') as reads_all_stats,
  current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
    as connections_max`;

/** Opens a database; connects at the first question. Close it. */
export function openPostgresDatabase(
  options: PostgresOptions,
  { log, clock }: { log: Log; clock: Pick<Clock, "monotonicMs"> },
): Database {
  return new PostgresDatabase(options, log, clock);
}

class PostgresDatabase implements Database {
  readonly #options: PostgresOptions;
  readonly #log: Log;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #connections: PostgresConnections;
  #server: Server | null = null;
  #verifying: Promise<Server> | null = null;
  /** What was last said about the database, so that nothing is said twice. */
  #said: string | null = null;
  #timeMs = 0;
  #closed = false;

  constructor(options: PostgresOptions, log: Log, clock: Pick<Clock, "monotonicMs">) {
    this.#options = options;
    this.#log = log;
    this.#clock = clock;
    this.#connections = new PostgresConnections(options, clock, {
      gained: () => this.#gainConnection(),
      lost: (failure) => this.#lose(failure),
    });
  }

  server(): Promise<Server> {
    if (this.#server !== null) return Promise.resolve(this.#server);
    this.#verifying ??= this.#verify().finally(() => this.#verifying = null);
    return this.#verifying;
  }

  async query(query: Query, signal?: AbortSignal): Promise<readonly Row[]> {
    if (signal === undefined) return await this.#query(query, signal);
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(cancelled(signal.reason));
    if (signal.aborted) throw cancelled(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return await Promise.race([this.#query(query, signal), aborted.promise]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  status(): DatabaseStatus {
    return {
      reachable: this.#server !== null,
      serverVersion: this.#server?.version ?? null,
      connections: this.#connections.count,
      timeMs: this.#timeMs,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#server = null;
    await this.#connections.close();
  }

  async #query(query: Query, signal: AbortSignal | undefined): Promise<readonly Row[]> {
    const server = await this.server();
    const client = await this.#connections.acquire(signal);
    if (signal?.aborted) {
      this.#connections.release(client, { usable: true });
      throw cancelled(signal.reason);
    }
    return await this.#ask(client, query, { signal, server });
  }

  /** Connects, learns who answers and says so. */
  async #verify(): Promise<Server> {
    const client = await this.#connections.acquire(undefined);
    const pid = announcedPid(client);
    const [row] = await this.#ask(client, { text: verifySql }, { signal: undefined, server: null });
    if (row === undefined) throw new DatabaseError("The server answered no row", { kind: "statement" });
    const server: Server = {
      version: readText(row, "version") ?? "",
      user: readText(row, "user") ?? "",
      readsAllStats: readBoolean(row, "reads_all_stats"),
      connectionsMax: readCount(row, "connections_max"),
      // A pooler makes up the process id that it announces.
      pooled: !this.#connections.hasStartupLimits || readCount(row, "pid") !== pid,
    };
    this.#server = server;
    this.#said = null;
    const { version: server_version, user, pooled } = server;
    this.#log.info("connection_pool_verified", { server_version, user, tls: this.#connections.usesTls, pooled });
    if (pooled) this.#log.warning("pooler_detected", { hint: poolerHint });
    return server;
  }

  async #ask(
    client: PoolClient,
    { text, values }: Query,
    { signal, server }: { signal: AbortSignal | undefined; server: Server | null },
  ): Promise<readonly Row[]> {
    const wrapped = server?.pooled ?? !this.#connections.hasStartupLimits;
    const startedMs = this.#clock.monotonicMs();
    let grace: ReturnType<typeof setTimeout> | undefined;
    let cancelRequest: Promise<void> | null = null;
    const abort = () => {
      cancelRequest = requestCancel(client, this.#options);
      grace = setTimeout(() => destroySocket(client), limits.closeGraceMs);
    };
    signal?.addEventListener("abort", abort, { once: true });
    let failure: DatabaseError | null = null;
    try {
      if (wrapped) await client.query(beginSql(this.#options));
      signal?.throwIfAborted();
      const result = await client.query({ text: tagged(text), ...(values && { values: [...values] }) });
      if (wrapped) await client.query("commit");
      return result.rows;
    } catch (error) {
      failure = errors.toDatabaseError(error, {
        phase: "query",
        cancelled: this.#closed || (signal?.aborted ?? false),
      });
      throw failure;
    } finally {
      clearTimeout(grace);
      // A request that comes late must not meet the connection's next question.
      await cancelRequest;
      signal?.removeEventListener("abort", abort);
      this.#timeMs += this.#clock.monotonicMs() - startedMs;
      // Nobody can tell what is left in a session that the failure may have ended, or in a transaction of ours.
      const usable = failure === null || (errors.leavesSession(failure) && !wrapped);
      if (!usable) destroySocket(client);
      this.#connections.release(client, { usable });
      // Of a server that has been left since, it is no news.
      if (failure?.kind === "unreachable" && server === this.#server) this.#lose(failure);
    }
  }

  /** Forgets who answered, and says once why nobody does. */
  #lose(failure: DatabaseError): void {
    // A full server is as it was.
    if (failure.kind !== "full") {
      this.#server = null;
      this.#connections.forget();
    }
    if (this.#closed || this.#said === failure.kind) return;
    this.#said = failure.kind;
    const { kind: reason, sqlstate, message: error } = failure;
    const { host, port, name: database } = this.#options;
    const hint = errors.hintOf(failure);
    this.#log.warning("database_unavailable", { reason, host, port, database, sqlstate, error, hint });
  }

  #gainConnection(): void {
    if (this.#said !== "full") return;
    this.#said = null;
    this.#log.info("connection_slots_available");
  }
}

const poolerHint = "A pooler such as PgBouncer is in between: connect the agent to PostgreSQL itself, or it sees the " +
  "names that earlier clients left behind and has no session of its own";

/** With the comment that opens a statement again after its first word: pg_stat_statements of 18 drops leading ones. */
function tagged(text: string): string {
  return text.replace(/^(\/\*.*?\*\/)\s*(\w+)/, "$1 $2 $1");
}

function cancelled(reason: unknown): DatabaseError {
  return new DatabaseError("The question was cut off", { kind: "cancelled", cause: reason });
}

/** The limits for one transaction: behind a pooler a session's settings would stay for whoever comes next. */
function beginSql({ statementTimeoutMs }: PostgresOptions): string {
  return `begin read only; set local statement_timeout = ${statementTimeoutMs}; ` +
    `set local lock_timeout = ${limits.lockTimeoutMs}; ` +
    `set local idle_in_transaction_session_timeout = ${limits.idleInTransactionTimeoutMs}; ` +
    "set local search_path = pg_catalog";
}

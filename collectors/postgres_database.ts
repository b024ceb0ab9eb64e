/**
 * The database seam on a real PostgreSQL.
 *
 * Invariants:
 *
 * - never more connections than configured, never more than five;
 * - every statement runs read only, under a statement timeout and a lock timeout: by startup parameters, or behind a
 *   pooler that refuses those, in a transaction of its own that sets them;
 * - a server that goes away is said once, and once when it is back, whoever finds out first;
 * - after a failure to connect, nobody knocks again before the pause is over.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import type { Log } from "../log.ts";
import { type Database, DatabaseError, type DatabaseStatus, type Query, type Row, type Server } from "./database.ts";
import * as errors from "./postgres_errors.ts";
import { announcedPid, createPool, destroySocket, type Pool, type PoolClient } from "./postgres_pool.ts";
import type { PostgresOptions } from "./postgres_pool.ts";
import { tlsOptions } from "./postgres_tls.ts";
import { readBoolean, readCount, readText } from "./row.ts";

const verifySql = `/* bitville-monitor: connection */
select split_part(current_setting('server_version'), ' ', 1) as version, current_user::text as user,
  pg_catalog.pg_backend_pid() as pid, pg_catalog.pg_has_role('pg_read_all_stats', 'usage') as reads_all_stats`;

/** Opens a database; connects at the first question. Close it. */
export function openPostgresDatabase(
  options: PostgresOptions,
  { log, clock }: { log: Log; clock: Pick<Clock, "monotonicMs"> },
): Database {
  return new PostgresDatabase(options, log, clock);
}

/** How connections are made: begins with the best, and steps down when the other side cannot. */
interface Link {
  tls: boolean;
  startup: boolean;
}

class PostgresDatabase implements Database {
  readonly #options: PostgresOptions;
  readonly #log: Log;
  readonly #clock: Pick<Clock, "monotonicMs">;
  #link: Link = { tls: true, startup: true };
  #pool: Pool | null = null;
  #server: Server | null = null;
  #verifying: Promise<Server> | null = null;
  /** The last failure to connect, while the pause after it lasts. */
  #refusal: { error: DatabaseError; untilMs: number } | null = null;
  #pauseMs = limits.reconnectFirstMs;
  /** What was last said about the database, so that nothing is said twice. */
  #said: string | null = null;
  #timeMs = 0;
  #closed = false;

  constructor(options: PostgresOptions, log: Log, clock: Pick<Clock, "monotonicMs">) {
    this.#options = options;
    this.#log = log;
    this.#clock = clock;
  }

  server(): Promise<Server> {
    if (this.#server !== null) return Promise.resolve(this.#server);
    this.#verifying ??= this.#verify().finally(() => this.#verifying = null);
    return this.#verifying;
  }

  async query(query: Query, signal?: AbortSignal): Promise<readonly Row[]> {
    const server = await this.server();
    const client = await this.#connect();
    return await this.#ask(client, query, { signal, wrapped: server.pooled });
  }

  status(): DatabaseStatus {
    return {
      reachable: this.#server !== null,
      serverVersion: this.#server?.version ?? null,
      connections: this.#pool?.totalCount ?? 0,
      timeMs: this.#timeMs,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#pool?.end();
    this.#pool = null;
  }

  /** Connects, learns who answers and says so. */
  async #verify(): Promise<Server> {
    const client = await this.#connect();
    const pid = announcedPid(client);
    const [row] = await this.#ask(client, { text: verifySql }, { signal: undefined, wrapped: !this.#link.startup });
    if (row === undefined) throw new DatabaseError("The server answered no row", { kind: "statement" });
    const server: Server = {
      version: readText(row, "version") ?? "",
      user: readText(row, "user") ?? "",
      readsAllStats: readBoolean(row, "reads_all_stats"),
      // A pooler makes up the process id that it announces.
      pooled: !this.#link.startup || readCount(row, "pid") !== pid,
    };
    this.#server = server;
    this.#said = null;
    const { version: server_version, user, pooled } = server;
    this.#log.info("connection_pool_verified", { server_version, user, tls: this.#usesTls(), pooled });
    if (pooled) this.#log.warning("pooler_detected", { hint: poolerHint });
    return server;
  }

  async #ask(
    client: PoolClient,
    { text, values }: Query,
    { signal, wrapped }: { signal: AbortSignal | undefined; wrapped: boolean },
  ): Promise<readonly Row[]> {
    const startedMs = this.#clock.monotonicMs();
    const abort = () => destroySocket(client);
    signal?.addEventListener("abort", abort, { once: true });
    let failure: DatabaseError | null = null;
    try {
      signal?.throwIfAborted();
      if (wrapped) await client.query(beginSql(this.#options));
      const result = await client.query(values === undefined ? { text } : { text, values: [...values] });
      if (wrapped) await client.query("commit");
      return result.rows;
    } catch (error) {
      failure = errors.toDatabaseError(error, { phase: "query", cancelled: signal?.aborted ?? false });
      throw failure;
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#timeMs += this.#clock.monotonicMs() - startedMs;
      this.#release(client, failure, wrapped);
    }
  }

  /** Gives a connection back, or drops it when nobody can tell what it still has in it. */
  #release(client: PoolClient, failure: DatabaseError | null, wrapped: boolean): void {
    const usable = failure === null || (failure.sqlstate !== null && failure.kind !== "unreachable" && !wrapped);
    if (!usable) destroySocket(client);
    client.release(!usable);
    if (failure?.kind === "unreachable") this.#lose(failure);
  }

  async #connect(): Promise<PoolClient> {
    if (this.#refusal !== null && this.#clock.monotonicMs() < this.#refusal.untilMs) throw this.#refusal.error;
    for (;;) {
      try {
        this.#pool ??= await this.#openPool();
        const client = await this.#pool.connect();
        this.#refusal = null;
        this.#pauseMs = limits.reconnectFirstMs;
        return client;
      } catch (error) {
        if (await this.#stepDown(error)) continue;
        const failure = errors.toDatabaseError(error, { phase: "connect", cancelled: false });
        this.#refuse(failure);
        throw failure;
      }
    }
  }

  async #openPool(): Promise<Pool> {
    if (this.#closed) throw new DatabaseError("The database is closed", { kind: "cancelled" });
    const { sslmode, sslrootcert } = this.#options;
    const certificates = sslrootcert === "" || sslmode === "disable" ? null : await Deno.readTextFile(sslrootcert);
    const tls = this.#usesTls() && tlsOptions(sslmode, certificates);
    const pool = createPool(this.#options, { tls, startup: this.#link.startup });
    pool.on("connect", () => this.#gainConnection());
    // An idle connection that the server ends; without a listener it would end the agent.
    pool.on("error", (error) => this.#lose(errors.toDatabaseError(error, { phase: "query", cancelled: false })));
    return pool;
  }

  /** Whether there is a humbler way to try at once: without TLS where that is allowed, without startup parameters. */
  async #stepDown(error: unknown): Promise<boolean> {
    const refusedTls = errors.isTlsUnsupported(error) || errors.isHostEntryMissing(error);
    if (this.#options.sslmode === "prefer" && this.#usesTls() && refusedTls) {
      this.#link = { ...this.#link, tls: false };
    } else if (this.#link.startup && errors.isStartupParameterRefused(error)) {
      this.#link = { ...this.#link, startup: false };
    } else {
      return false;
    }
    await this.#dropPool();
    return true;
  }

  #refuse(failure: DatabaseError): void {
    this.#refusal = { error: failure, untilMs: this.#clock.monotonicMs() + this.#pauseMs };
    this.#pauseMs = Math.min(this.#pauseMs * 2, limits.reconnectMaxMs);
    this.#lose(failure);
  }

  /** Forgets who answered, and says once why nobody does. */
  #lose(failure: DatabaseError): void {
    // A full server is as it was; one that is back may be another, with TLS or without a pooler.
    if (failure.kind !== "full") this.#server = null;
    if (failure.kind !== "full" && (!this.#link.tls || !this.#link.startup)) {
      this.#link = { tls: true, startup: true };
      void this.#dropPool();
    }
    if (this.#closed || this.#said === failure.kind) return;
    this.#said = failure.kind;
    const { kind: reason, sqlstate, message: error } = failure;
    this.#log.warning("database_unavailable", { reason, sqlstate, error, hint: hints[failure.kind] ?? null });
  }

  #gainConnection(): void {
    if (this.#said !== "full") return;
    this.#said = null;
    this.#log.info("connection_slots_available");
  }

  async #dropPool(): Promise<void> {
    const pool = this.#pool;
    this.#pool = null;
    await pool?.end();
  }

  #usesTls(): boolean {
    return this.#link.tls && this.#options.sslmode !== "disable" && !this.#options.host.startsWith("/");
  }
}

const poolerHint = "A pooler such as PgBouncer is in between: connect the agent to PostgreSQL itself, or it sees the " +
  "names that earlier clients left behind and has no session of its own";

const hints: Partial<Record<DatabaseError["kind"], string>> = {
  unreachable: "Check that PostgreSQL runs and that database.host and database.port are right",
  refused: "Check database.user, database.password, database.sslmode and pg_hba.conf",
  full: "Raise max_connections, or reserve connections for the agent's role (reserved_connections)",
};

/** The limits for one transaction: behind a pooler a session's settings would stay for whoever comes next. */
function beginSql({ statementTimeoutMs }: PostgresOptions): string {
  return `begin read only; set local statement_timeout = ${statementTimeoutMs}; ` +
    `set local lock_timeout = ${limits.lockTimeoutMs}; ` +
    `set local idle_in_transaction_session_timeout = ${limits.idleInTransactionTimeoutMs}`;
}

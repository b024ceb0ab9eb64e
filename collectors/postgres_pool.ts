/**
 * The pool of the driver, set up so that it cannot hurt the server. The only import of the driver.
 *
 * @module
 */

// @ts-types="@types/pg"
import pg from "pg";
import * as limits from "../limits.ts";
import type { SslMode, TlsOptions } from "./postgres_tls.ts";

/** The name of the agent's sessions. */
export const applicationName = "bitville-monitor";

/** Where the server is and how to get in. */
export interface PostgresOptions {
  /** A host name, or a folder with the server's socket. */
  host: string;
  port: number;
  name: string;
  user: string;
  /** Asked at each connection, so that it is held in one place. */
  password: () => string;
  sslmode: SslMode;
  /** A file of PEM certificates; empty for none. */
  sslrootcert: string;
  statementTimeoutMs: number;
  poolMaxSize: number;
}

export type PoolClient = pg.PoolClient;
export type Pool = pg.Pool;

/**
 * Makes a pool; connections are made when asked for. `startup` is whether the limits go along as startup parameters,
 * where they hold from the first statement on; a pooler may refuse those.
 */
export function createPool(options: PostgresOptions, link: { tls: TlsOptions; startup: boolean }): Pool {
  const startup = link.startup
    ? {
      statement_timeout: options.statementTimeoutMs,
      lock_timeout: limits.lockTimeoutMs,
      idle_in_transaction_session_timeout: limits.idleInTransactionTimeoutMs,
      options: "-c default_transaction_read_only=on",
    }
    // The driver would take these from PGOPTIONS.
    : { options: "" };
  return new pg.Pool({
    host: options.host,
    port: options.port,
    database: options.name,
    user: options.user,
    password: options.password,
    ssl: link.tls,
    application_name: applicationName,
    ...startup,
    query_timeout: options.statementTimeoutMs + limits.answerGraceMs,
    connectionTimeoutMillis: limits.connectTimeoutMs,
    keepAlive: true,
    max: Math.min(options.poolMaxSize, limits.connectionsMax),
    // One stays, so that a cycle does not begin with a new server process.
    min: 1,
    idleTimeoutMillis: limits.connectionIdleMs,
  });
}

/** The process id that the other side told at the start: the server's own, or a pooler's invention. */
export function announcedPid(client: PoolClient): number | null {
  return (client as unknown as { processID: number | null }).processID;
}

/** Closes the socket at once: what `end` would wait for may never come. */
export function destroySocket(client: PoolClient): void {
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}

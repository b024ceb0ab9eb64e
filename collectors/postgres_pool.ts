/**
 * The pool of the driver, set up so that it cannot hurt the server. The only import of the driver.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { createConnection, Socket } from "node:net";
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
  /** From the first packet to a session that answers. */
  connectTimeoutMs?: number;
}

/** A connection, and what keeps them: the driver's. */
export type PoolClient = pg.PoolClient;
export type Pool = pg.Pool;

/** What the driver's types do not tell of a connection. */
interface Internals {
  processID: number | null;
  secretKey: number | null;
  connection: {
    stream: { destroy(): void };
    on(event: "parameterStatus", listener: (message: { parameterName: string; parameterValue: string }) => void): void;
  };
}

/**
 * A socket that reads into one block of its own and hands on copies of what has come. For each read of any other one Deno
 * 2.9.6 takes 64 KB and cuts them to what came, which leaves the process' heap in pieces that no collection of garbage
 * gives back: 17 MB after some large answers. Only the bench's memory can tell; V8 does not count these blocks.
 */
function openSocket(): Socket {
  const buffer = new Uint8Array(limits.socketReadBytes);
  const callback = (length: number) => {
    socket.emit("data", Buffer.from(buffer.subarray(0, length)));
    return true;
  };
  const socket: Socket = new Socket({ onread: { buffer, callback } });
  return socket;
}

/**
 * Makes a pool; connections are made when asked for. `startup` is whether the limits go along as startup parameters,
 * where they hold from the first statement on; a pooler may refuse those.
 */
export function createPool(
  options: PostgresOptions,
  link: { tls: TlsOptions; startup: boolean },
): Pool {
  return new pg.Pool({
    host: options.host,
    port: options.port,
    database: options.name,
    user: options.user,
    password: options.password,
    ssl: link.tls,
    // Under TLS Deno reads into blocks of its own, whatever it is told.
    ...(link.tls === false ? { stream: openSocket } : {}),
    // The driver would take it from PGSSLNEGOTIATION.
    sslnegotiation: "postgres",
    query_timeout: options.statementTimeoutMs + limits.answerGraceMs,
    connectionTimeoutMillis: options.connectTimeoutMs ?? limits.connectTimeoutMs,
    keepAlive: true,
    max: connectionsMax(options),
    // One stays, so that a cycle does not begin with a new server process.
    min: 1,
    idleTimeoutMillis: limits.connectionIdleMs,
    onConnect: readAsItIs,
    Client: clientWith(startupParameters(options, link.startup)),
  } as unknown as pg.PoolConfig);
}

/** How many connections there may be. */
export function connectionsMax(options: PostgresOptions): number {
  return Math.min(options.poolMaxSize, limits.connectionsMax);
}

/**
 * What a session begins with, whatever is set for the role or the database. Timestamps come in the one style that the
 * driver reads; functions and operators are PostgreSQL's own, not another role's of the same name.
 */
function startupParameters(options: PostgresOptions, withLimits: boolean): Record<string, string> {
  const { user, name: database, statementTimeoutMs } = options;
  const always = { user, database, application_name: applicationName, datestyle: "ISO" };
  if (!withLimits) return always;
  return {
    ...always,
    statement_timeout: String(statementTimeoutMs),
    lock_timeout: String(limits.lockTimeoutMs),
    idle_in_transaction_session_timeout: String(limits.idleInTransactionTimeoutMs),
    // Compiling costs the server more than our statements do.
    options: "-c default_transaction_read_only=on -c search_path=pg_catalog -c jit=off",
  };
}

/** A client that sends these parameters alone: the driver would add what PGOPTIONS and PGREPLICATION say. */
function clientWith(parameters: Record<string, string>) {
  return class extends pg.Client {
    /** As the server has told at the start. */
    serverEncoding = "";

    constructor(config: pg.ClientConfig) {
      super(config);
      internalsOf(this).connection.on("parameterStatus", ({ parameterName, parameterValue }) => {
        if (parameterName === "server_encoding") this.serverEncoding = parameterValue;
      });
    }

    getStartupConf(): Record<string, string> {
      return parameters;
    }
  };
}

/**
 * A database without an encoding (SQL_ASCII) cannot promise UTF-8: the server would refuse to send the whole view for
 * one query text in another encoding, or one cut inside a character.
 */
async function readAsItIs(client: pg.ClientBase): Promise<void> {
  if ((client as unknown as { serverEncoding: string }).serverEncoding !== "SQL_ASCII") return;
  await client.query("/* bitville-monitor: encoding */ set client_encoding = 'SQL_ASCII'");
}

/** The process id that the other side told at the start: the server's own, or a pooler's invention. */
export function announcedPid(client: PoolClient): number | null {
  return internalsOf(client).processID;
}

/** Closes the socket at once: what `end` would wait for may never come. */
export function destroySocket(client: pg.ClientBase): void {
  internalsOf(client).connection.stream.destroy();
}

/** Ends a pool: what is idle says goodbye, what is busy or still connecting is cut off. */
export async function endPool(pool: Pool): Promise<void> {
  const ended = pool.end();
  for (const client of (pool as unknown as { _clients: pg.ClientBase[] })._clients) destroySocket(client);
  await ended;
}

/**
 * Asks the server to give up what it does for this connection. As in libpq before 17 the request is not encrypted;
 * whoever reads it could do no more than that. If it does not arrive, the statement timeout does the same later.
 * Resolves when it has been passed on or is given up.
 */
export async function requestCancel(client: PoolClient, { host, port }: PostgresOptions): Promise<void> {
  const { processID, secretKey } = internalsOf(client);
  if (processID === null || secretKey === null) return;
  const message = new DataView(new ArrayBuffer(16));
  [16, cancelRequestCode, processID, secretKey].forEach((value, index) => message.setInt32(index * 4, value));
  const socket = host.startsWith("/") ? createConnection(`${host}/.s.PGSQL.${port}`) : createConnection(port, host);
  const { promise, resolve } = Promise.withResolvers<void>();
  const grace = setTimeout(() => {
    socket.destroy();
    resolve();
  }, limits.closeGraceMs);
  socket.on("error", () => {});
  socket.on("data", () => {});
  // The server closes when it has passed the request on.
  socket.on("close", () => resolve());
  socket.end(new Uint8Array(message.buffer));
  await promise;
  clearTimeout(grace);
}

/** https://www.postgresql.org/docs/current/protocol-message-formats.html */
const cancelRequestCode = 80_877_102;

function internalsOf(client: pg.ClientBase): Internals {
  return client as unknown as Internals;
}

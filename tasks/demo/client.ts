/**
 * Plain connections for what is no agent: the demo's site, and superusers who prepare a server.
 *
 * @module
 */

import { setTimeout as pause } from "node:timers/promises";
import { Client } from "pg";

const connectMs = 5_000;
/** A connection that is not closed by then is left to the end of the process. */
const endMs = 1_000;

/** Whom to connect as, and where. */
export interface Connection {
  host: string;
  port: number;
  user: string;
  database: string;
  applicationName?: string;
  /** How long a statement may wait for a lock. Default: for ever. */
  lockTimeoutMs?: number;
  /** Cuts the connection, whatever it is doing. */
  signal?: AbortSignal;
}

export type ClientRow = Record<string, unknown>;

/** Sends statements as they are; several separated by `;` give the rows of the last one that has any. */
export type Ask = (text: string, values?: unknown[]) => Promise<ClientRow[]>;

/**
 * Connects, hands the connection on, and closes it whatever happens. Ends at the signal even when the driver does not: it
 * forgets to answer a `connect` that is cut by `end`.
 */
export async function withClient<T>(connection: Connection, use: (ask: Ask) => Promise<T>): Promise<T> {
  const client = createClient(connection);
  const { signal } = connection;
  const cut = Promise.withResolvers<never>();
  const onAbort = () => cut.reject(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    signal?.throwIfAborted();
    return await Promise.race([connectAndUse(client, use), cut.promise]);
  } finally {
    signal?.removeEventListener("abort", onAbort);
    const bound = new AbortController();
    const patience = pause(endMs, undefined, { signal: bound.signal }).catch(() => {});
    await Promise.race([client.end().catch(() => {}), patience]);
    bound.abort();
  }
}

async function connectAndUse<T>(client: Client, use: (ask: Ask) => Promise<T>): Promise<T> {
  await client.connect();
  return await use(async (text, values) => {
    const result = await client.query(text, values);
    // Several statements give several results, whatever the types say.
    return [result].flat().findLast((one) => one.fields.length > 0)?.rows ?? [];
  });
}

function createClient(connection: Connection): Client {
  const { host, port, user, database, applicationName, lockTimeoutMs } = connection;
  const client = new Client({
    ...{ host, port, user, database },
    ...(applicationName === undefined ? {} : { application_name: applicationName }),
    ...(lockTimeoutMs === undefined ? {} : { lock_timeout: lockTimeoutMs }),
    ssl: false,
    connectionTimeoutMillis: connectMs,
  });
  // Without this, a connection that the server ends would end the process; the query that runs reports it.
  client.on("error", () => {});
  return client;
}

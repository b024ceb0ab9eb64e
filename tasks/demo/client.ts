/**
 * Plain connections for what is no agent: the demo's site, and superusers who prepare a server.
 *
 * @module
 */

import { Client } from "pg";

const connectMs = 5_000;

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

/** Connects, hands the connection on, and closes it whatever happens. */
export async function withClient<T>(connection: Connection, use: (ask: Ask) => Promise<T>): Promise<T> {
  const client = createClient(connection);
  const { signal } = connection;
  const cut = () => void client.end().catch(() => {});
  signal?.addEventListener("abort", cut, { once: true });
  try {
    signal?.throwIfAborted();
    await client.connect();
    return await use(async (text, values) => {
      const result = await client.query(text, values);
      // Several statements give several results, whatever the types say.
      return [result].flat().findLast((one) => one.fields.length > 0)?.rows ?? [];
    });
  } finally {
    signal?.removeEventListener("abort", cut);
    await client.end().catch(() => {});
  }
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

/**
 * The PostgreSQL that is measured on: an embedded one, or one that is there already.
 *
 * @module
 */

import { Client } from "pg";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../tasks/demo/embedded_postgres.ts";

/** How to reach it. The roles that the bench makes have the password of {@link rolesPassword}. */
export interface BenchServer extends AsyncDisposable {
  host: string;
  port: number;
  database: string;
  /** A superuser. */
  user: string;
  password: string;
  /** Runs statements as superuser, on one connection. Rows of the last one. */
  query(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** A connection of its own. */
  connect(options: { name: string }): Promise<Client>;
}

/** Of the roles that the bench makes; nothing is behind it. */
export const rolesPassword = "bench-roles-only";

/** Planning counts, as the server spends it; sessions beyond the usual hundred find room. */
const embeddedSettings = {
  max_connections: "900",
  "pg_stat_statements.max": "10000",
  "pg_stat_statements.track_planning": "on",
};

/** Starts a server of its own, or takes the one of a URL such as `postgres://user:password@host/database`. */
export async function openServer(url: string | undefined): Promise<BenchServer> {
  if (url !== undefined) return await connectServer(readUrl(url), null);
  const embedded = await startEmbeddedPostgres({ version: 18, settings: embeddedSettings });
  const { host, port, user } = embedded;
  return await connectServer({ host, port, user, password: "", database: "postgres" }, embedded);
}

function readUrl(text: string): Address {
  const { hostname, port, username, password, pathname } = new URL(text);
  return {
    host: hostname,
    port: Number(port || 5432),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: pathname.slice(1) || "postgres",
  };
}

type Address = Pick<BenchServer, "host" | "port" | "user" | "password" | "database">;

async function connectServer(address: Address, embedded: EmbeddedPostgres | null): Promise<BenchServer> {
  const connect = async ({ name }: { name: string }) => {
    const client = new Client({ ...address, application_name: name, ssl: false });
    client.on("error", () => {});
    await client.connect();
    return client;
  };
  const client = await connect({ name: "bench" });
  return {
    ...address,
    connect,
    async query(text, values) {
      const result = await client.query(text, values);
      return [result].flat().at(-1)?.rows ?? [];
    },
    async [Symbol.asyncDispose]() {
      await client.end().catch(() => {});
      await embedded?.[Symbol.asyncDispose]();
    },
  };
}

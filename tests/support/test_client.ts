/**
 * An application's session, for a test to steer.
 *
 * @module
 */

import { Client } from "pg";
import { waitFor } from "./wait_for.ts";

/** A session, until it is disposed of: whatever it does then is cut off, and it is gone from the server. */
export interface TestClient extends AsyncDisposable {
  readonly pid: number;
  /** Runs statements and waits for their end. */
  run(text: string): Promise<Record<string, unknown>[]>;
  /** Begins a statement that goes on until the session ends. */
  begin(text: string): void;
}

/** Connects to `server` as superuser, without TLS; `changes` say otherwise. */
export async function connectClient(
  server: { host: string; port: number },
  changes: { host?: string; port?: number; user?: string; database?: string; application_name?: string } = {},
): Promise<TestClient> {
  const { host, port } = server;
  const client = new Client({ host, port, user: "postgres", database: "postgres", ssl: false, ...changes });
  client.on("error", () => {});
  await client.connect();
  const run = async (text: string) => {
    const results = [await client.query(text)].flat();
    return results.findLast((result) => result.fields.length > 0)?.rows ?? [];
  };
  const [row] = await run("select pg_backend_pid() as pid");
  return {
    pid: Number(row?.pid),
    run,
    begin: (text) => void run(text).catch(() => {}),
    [Symbol.asyncDispose]: async () => {
      await client.end();
      await endBackend(server, Number(row?.pid));
    },
  };
}

/** A statement that runs does not notice that its client is gone. */
async function endBackend({ host, port }: { host: string; port: number }, pid: number): Promise<void> {
  const client = new Client({ host, port, user: "postgres", database: "postgres", ssl: false });
  await client.connect();
  try {
    await waitFor(`the end of backend ${pid}`, async () => {
      await client.query("select pg_terminate_backend($1)", [pid]);
      return (await client.query("select from pg_stat_activity where pid = $1", [pid])).rowCount === 0;
    });
  } finally {
    await client.end();
  }
}

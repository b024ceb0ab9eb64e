/**
 * Sessions of an application, as the agent is to see them.
 *
 * @module
 */

import { Client } from "pg";
import type { EmbeddedPostgres } from "../../tasks/demo/embedded_postgres.ts";

/** A session that stays in a transaction under a name of its own, until it is disposed of. */
export async function openSession(postgres: EmbeddedPostgres, applicationName: string): Promise<AsyncDisposable> {
  const { host, port, user } = postgres;
  const client = new Client({ host, port, user, database: "postgres", application_name: applicationName });
  client.on("error", () => {});
  await client.connect();
  await client.query("begin");
  return { [Symbol.asyncDispose]: () => client.end() };
}

/** The agent's own sessions on a server. */
export async function agentSessions(postgres: EmbeddedPostgres): Promise<Record<string, unknown>[]> {
  return await postgres.query(
    "select pid, usename, application_name, state, query from pg_stat_activity where application_name = $1",
    { values: ["bitville-monitor"] },
  );
}

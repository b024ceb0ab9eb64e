/**
 * The real database seam on a server of a test.
 *
 * @module
 */

import type { Clock } from "../../clock.ts";
import { systemClock } from "../../clock.ts";
import type { Database } from "../../collectors/database.ts";
import { openPostgresDatabase } from "../../collectors/postgres_database.ts";
import type { PostgresOptions } from "../../collectors/postgres_pool.ts";
import { MemoryLog } from "./memory_log.ts";

/** A password that must turn up nowhere. */
export const secretPassword = "s3cret-that-nobody-may-see";

/** An open database, its log, and how to close it. */
export interface OpenDatabase extends AsyncDisposable {
  database: Database;
  log: MemoryLog;
}

/** Opens a database as superuser on `server`, without TLS; `changes` say otherwise. */
export function openDatabase(
  server: { host: string; port: number },
  changes: Partial<PostgresOptions> & { clock?: Pick<Clock, "monotonicMs"> } = {},
): OpenDatabase {
  const { clock = systemClock, ...options } = changes;
  const log = new MemoryLog();
  const database = openPostgresDatabase({
    host: server.host,
    port: server.port,
    name: "postgres",
    user: "postgres",
    password: () => secretPassword,
    sslmode: "disable",
    sslrootcert: "",
    statementTimeoutMs: 5_000,
    poolMaxSize: 3,
    ...options,
  }, { log, clock });
  return { database, log, [Symbol.asyncDispose]: () => database.close() };
}

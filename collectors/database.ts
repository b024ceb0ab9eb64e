/**
 * The seam to PostgreSQL: ask one statement, get rows, learn who answers. The adapter is `postgres_database.ts`.
 *
 * @module
 */

/** A statement. Its text begins with a comment that names the collector, so that a DBA finds it on the server. */
export interface Query {
  text: string;
  values?: readonly unknown[];
}

/** A row as the driver returns it: unchecked, read with the functions of `row.ts`. */
export type Row = Record<string, unknown>;

/**
 * Who answers. A new object is made at each first connection after an outage: whatever a collector found out about
 * the server (its columns, its extensions) is kept under this object, and so is never carried over to another server.
 */
export interface Server {
  /** As `SHOW server_version`, such as `18.4`. */
  version: string;
  /** The role that the agent is logged in as. */
  user: string;
  /** Whether that role may see everybody's statistics (pg_read_all_stats or superuser). */
  readsAllStats: boolean;
  /** Whether a pooler such as PgBouncer stands between the agent and the server. */
  pooled: boolean;
  /** How many connections the server takes from ordinary roles; null where it did not say. */
  connectionsMax: number | null;
}

/** Of the agent's use of the database, for `agent_status`. */
export interface DatabaseStatus {
  reachable: boolean;
  serverVersion: string | null;
  /** Connections open now. */
  connections: number;
  /** Time spent waiting for answers since the start, in milliseconds. */
  timeMs: number;
}

/** One PostgreSQL server, over a bounded number of connections. */
export interface Database {
  /** Connects if need be and tells who answers. Throws {@link DatabaseError}. */
  server(): Promise<Server>;
  /** Runs one statement in autocommit, read only. Throws {@link DatabaseError}. */
  query(query: Query, signal?: AbortSignal): Promise<readonly Row[]>;
  status(): DatabaseStatus;
  /** Ends all connections; does not wait for running statements. */
  close(): Promise<void>;
}

/**
 * Why there is no answer: `unreachable` (down, starting, no route), `refused` (password, pg_hba.conf, no such
 * database or role, certificate), `full` (no connection slot), `timeout` (statement or lock timeout, no answer in
 * time), `cancelled` (the caller's signal), `statement` (the server refused this statement).
 */
export type DatabaseErrorKind = "unreachable" | "refused" | "full" | "timeout" | "cancelled" | "statement";

/** A question that the database did not answer. The message never holds a password or a statement's text. */
export class DatabaseError extends Error {
  readonly kind: DatabaseErrorKind;
  /** The server's five characters, where it gave them. */
  readonly sqlstate: string | null;

  constructor(message: string, options: { kind: DatabaseErrorKind; sqlstate?: string | null; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = "DatabaseError";
    this.kind = options.kind;
    this.sqlstate = options.sqlstate ?? null;
  }
}

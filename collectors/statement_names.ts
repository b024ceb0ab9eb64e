/**
 * Names of the databases and roles that statements belong to. They are looked up when an unknown one shows up and every
 * few minutes, because names change; only those that were asked for last are kept.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import type { Database } from "./database.ts";
import { readText } from "./row.ts";

const namesSql = `/* bitville-monitor: pg_stat_statements names */
select 'd' || oid as key, datname::text as name from pg_catalog.pg_database
where oid = any($1::oid[])
union all
select 'r' || oid, rolname::text from pg_catalog.pg_roles where oid = any($2::oid[])`;

/** Whose names: oids. */
export interface Oids {
  databases: readonly unknown[];
  roles: readonly unknown[];
}

/** Names by oid, of one server. */
export class StatementNames {
  readonly #database: Database;
  readonly #clock: Pick<Clock, "monotonicMs">;
  /** Null for what has been dropped. */
  #names = new Map<string, string | null>();
  #freshUntilMs = Number.NEGATIVE_INFINITY;

  constructor(database: Database, clock: Pick<Clock, "monotonicMs">) {
    this.#database = database;
    this.#clock = clock;
  }

  /** The name of a database, or null when it has been dropped. */
  database(oid: unknown): string | null {
    return this.#names.get(`d${oid}`) ?? null;
  }

  /** The name of a role, or null when it has been dropped. */
  role(oid: unknown): string | null {
    return this.#names.get(`r${oid}`) ?? null;
  }

  /** Looks names up where they are not known. */
  async know({ databases, roles }: Oids, signal: AbortSignal): Promise<void> {
    const [ofDatabases, ofRoles] = [[...new Set(databases)], [...new Set(roles)]];
    const keys = [...ofDatabases.map((oid) => `d${oid}`), ...ofRoles.map((oid) => `r${oid}`)];
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#freshUntilMs && keys.every((key) => this.#names.has(key))) return;
    const rows = await this.#database.query({ text: namesSql, values: [ofDatabases, ofRoles] }, signal);
    this.#names = new Map(keys.map((key) => [key, null]));
    for (const row of rows) this.#names.set(readText(row, "key") ?? "", readText(row, "name"));
    this.#freshUntilMs = nowMs + limits.extensionCheckMs;
  }
}

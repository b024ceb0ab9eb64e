/**
 * The listener's SQLite file: opens it, and keeps prepared statements. The listener's only import of
 * `node:sqlite`.
 *
 * @module
 */

import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { errorMessage } from "../../log.ts";
import { schemaVersion, tables } from "./store_schema.ts";

/** What a column can hold here. */
export type Value = SQLInputValue;
/** A row by the names of its columns. */
export type Row = Record<string, number | string | Uint8Array | null>;

/** A SQLite database with the listener's tables. */
export class Database {
  readonly #sqlite: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /** Opens a file, or makes it; `:memory:` is a database that ends with the process. Throws, naming the path. */
  constructor(path: string) {
    try {
      this.#sqlite = new DatabaseSync(path);
      this.#prepare(path);
    } catch (cause) {
      throw new Error(`Cannot open the listener's database ${path}: ${errorMessage(cause)}`, { cause });
    }
  }

  #prepare(path: string): void {
    // FULL: what has been answered with 202 survives a power failure, too. One wait for the disk a batch.
    this.#sqlite.exec(`PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
      PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536`);
    const version = Number(this.#sqlite.prepare("PRAGMA user_version").get()?.user_version);
    if (version === 0) {
      this.#sqlite.exec(`BEGIN; ${tables}; PRAGMA user_version = ${schemaVersion}; COMMIT`);
    } else if (version !== schemaVersion) {
      throw new Error(
        `it has version ${version} where ${schemaVersion} is needed: remove ${path} or take another folder`,
      );
    }
  }

  /** All rows. */
  all(sql: string, ...values: Value[]): Row[] {
    return this.#statement(sql).all(...values) as Row[];
  }

  /** The first row, or null. */
  get(sql: string, ...values: Value[]): Row | null {
    return (this.#statement(sql).get(...values) as Row | undefined) ?? null;
  }

  /** Runs a change; answers with how many rows it changed. */
  run(sql: string, ...values: Value[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  /** Runs an INSERT; answers with the number of the new row. */
  insert(sql: string, ...values: Value[]): number {
    return Number(this.#statement(sql).run(...values).lastInsertRowid);
  }

  /** All changes of `work`, or, when it throws, none. */
  transaction<T>(work: () => T): T {
    this.#sqlite.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#sqlite.exec("COMMIT");
      return result;
    } catch (error) {
      // After a full disk SQLite may have rolled back by itself.
      if (this.#sqlite.isTransaction) this.#sqlite.exec("ROLLBACK");
      throw error;
    }
  }

  /** How many bytes hold data; the file may be larger. */
  usedBytes(): number {
    const pragma = (name: string) => Number(this.#sqlite.prepare(`PRAGMA ${name}`).get()?.[name]);
    return (pragma("page_count") - pragma("freelist_count")) * pragma("page_size");
  }

  /** Gives freed room back to the file system, some of it at a time. */
  shrink(): void {
    this.#sqlite.exec("PRAGMA incremental_vacuum(2000)");
  }

  close(): void {
    this.#statements.clear();
    this.#sqlite.close();
  }

  /** The texts are constants of the source, so their number is bounded. */
  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#sqlite.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

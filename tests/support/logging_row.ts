/**
 * What a server says of its logs, for the database in memory.
 *
 * @module
 */

import type { Row } from "../../collectors/database.ts";

/** A row of `pg_log settings`: that of PostgreSQL's defaults, to a role that may see everything but the current file. */
export function loggingRow(row: Row = {}): Row {
  return {
    destinations: "stderr",
    collects: false,
    prefix: "%m [%p] ",
    zone: "UTC",
    language: "C",
    log_directory: "log",
    data_directory: "/srv/data",
    may_ask_file: false,
    ...row,
  };
}

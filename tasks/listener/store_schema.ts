/**
 * The tables of the listener's database.
 *
 * - Every table is read by an index from which an answer takes a bounded number of rows.
 * - Every table of rows in time can be cut at a time, agent by agent: retention needs no table to be read whole.
 *
 * @module
 */

/** Raised when tables change: a database of another number is refused, because nothing is worth a migration here. */
export const schemaVersion = 1;

/** Times are milliseconds since 1970, `at` the agent's and never later than the listener's own by more than a moment. */
export const tables = `
CREATE TABLE agent (
  agent_id INTEGER PRIMARY KEY, project TEXT NOT NULL, host TEXT NOT NULL, version TEXT NOT NULL,
  first_at INTEGER NOT NULL, last_at INTEGER NOT NULL, received_at INTEGER NOT NULL,
  life INTEGER NOT NULL, last_sequence INTEGER NOT NULL, last_id TEXT NOT NULL,
  status TEXT, status_at INTEGER NOT NULL, UNIQUE (project, host));

CREATE TABLE document (
  n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, agent_id INTEGER NOT NULL, type TEXT NOT NULL,
  sequence INTEGER NOT NULL, at INTEGER NOT NULL, bytes INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX document_of ON document (agent_id, type, at);
CREATE INDEX document_at ON document (at);

CREATE TABLE sequence_range (
  agent_id INTEGER NOT NULL, life INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  first_at INTEGER NOT NULL, last_at INTEGER NOT NULL, PRIMARY KEY (agent_id, life, first)) WITHOUT ROWID;

CREATE TABLE loss_range (
  agent_id INTEGER NOT NULL, life INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  reason TEXT NOT NULL, records INTEGER NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (agent_id, life, first, reason)) WITHOUT ROWID;

CREATE TABLE figure (
  agent_id INTEGER NOT NULL, type TEXT NOT NULL, at INTEGER NOT NULL, n INTEGER NOT NULL, figures TEXT NOT NULL,
  PRIMARY KEY (agent_id, type, at, n)) WITHOUT ROWID;

CREATE TABLE statement (
  statement_id INTEGER PRIMARY KEY, agent_id INTEGER NOT NULL, key TEXT NOT NULL, queryid TEXT NOT NULL,
  datname TEXT, usename TEXT, query TEXT, at INTEGER NOT NULL, UNIQUE (agent_id, key));
CREATE INDEX statement_queryid ON statement (agent_id, queryid);

CREATE TABLE statement_delta (
  agent_id INTEGER NOT NULL, at INTEGER NOT NULL, statement_id INTEGER NOT NULL,
  calls INTEGER NOT NULL, timeMs REAL NOT NULL, rows INTEGER NOT NULL, blocks INTEGER NOT NULL,
  reads INTEGER NOT NULL, temp INTEGER NOT NULL, wal REAL NOT NULL,
  PRIMARY KEY (agent_id, at, statement_id)) WITHOUT ROWID;

CREATE TABLE log_entry (
  agent_id INTEGER NOT NULL, at INTEGER NOT NULL, n INTEGER NOT NULL, i INTEGER NOT NULL, severity INTEGER NOT NULL,
  sqlstate TEXT, pid INTEGER, correlation_id TEXT, message TEXT NOT NULL,
  PRIMARY KEY (agent_id, at, n, i)) WITHOUT ROWID;
CREATE INDEX log_entry_severity ON log_entry (agent_id, at, severity);

CREATE TABLE lock_mention (
  agent_id INTEGER NOT NULL, pid INTEGER NOT NULL, at INTEGER NOT NULL, n INTEGER NOT NULL, i INTEGER NOT NULL,
  PRIMARY KEY (agent_id, pid, at, n, i)) WITHOUT ROWID;

CREATE TABLE backend (
  correlation_id TEXT NOT NULL, agent_id INTEGER NOT NULL, pid INTEGER NOT NULL,
  first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
  PRIMARY KEY (correlation_id, agent_id, pid)) WITHOUT ROWID;
CREATE INDEX backend_pid ON backend (agent_id, pid, last_at);
CREATE INDEX backend_last ON backend (last_at);

CREATE TABLE request (
  correlation_id TEXT PRIMARY KEY, agent_id INTEGER NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
  waited_ms REAL, held_up INTEGER NOT NULL, errors INTEGER NOT NULL, error TEXT) WITHOUT ROWID;
CREATE INDEX request_last ON request (last_at);
CREATE INDEX request_notable ON request (last_at) WHERE waited_ms IS NOT NULL OR held_up > 0 OR errors > 0;

CREATE TABLE request_document (
  correlation_id TEXT NOT NULL, at INTEGER NOT NULL, n INTEGER NOT NULL,
  PRIMARY KEY (correlation_id, at, n)) WITHOUT ROWID;
CREATE INDEX request_document_at ON request_document (at);
`;

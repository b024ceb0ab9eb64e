/**
 * Writes documents, each once, and what was taken out of them. Invariants:
 *
 * - A document, its rows and its number are one commit.
 * - An id that is there is never written again.
 *
 * @module
 */

import type { Database, Value } from "./database.ts";
import type { Extract, Figures, LogRow, LossRange, Sighting, StatementDelta } from "./extract_shapes.ts";
import type { WireDocument } from "./schemas.ts";
import { addSequence, lifeOf } from "./sequences.ts";

/** A document that is ready to be written. */
export interface Prepared {
  document: WireDocument;
  /** The JSON, compressed. */
  body: Uint8Array;
  /** Of the JSON. */
  bytes: number;
  /** When it was collected, by the agent's clock. */
  atMs: number;
  receivedMs: number;
  extract: Extract;
}

/** Where a document's rows hang. */
interface Place {
  agentId: number;
  life: number;
  n: number;
  atMs: number;
}

/** Tables of documents. */
export class Store {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Whether a document of this id is stored. */
  has(id: string): boolean {
    return this.#database.get("SELECT 1 AS found FROM document WHERE id = ?", id) !== null;
  }

  /** Writes all of them in one commit, or throws and writes none. Answers with the agents' numbers. */
  write(batch: readonly Prepared[]): number[] {
    return this.#database.transaction(() => batch.map((one) => this.#writeOne(one)));
  }

  #writeOne(prepared: Prepared): number {
    const { document, body, bytes, atMs, extract } = prepared;
    const { agentId, life } = this.#agentOf(prepared);
    const n = this.#database.insert(
      "INSERT INTO document (id, agent_id, type, sequence, at, bytes, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
      ...[document.id, agentId, document.type, document.sequence, atMs, bytes, body],
    );
    addSequence(this.#database, { agentId, life, sequence: document.sequence, atMs });
    const place = { agentId, life, n, atMs };
    const own: Figures[] = extract.figures === null ? [] : [{ atMs, figures: extract.figures }];
    for (const { atMs: at, figures, type = document.type } of [...own, ...extract.moments]) {
      this.#database.run(
        // A recording over which the agent's clock was set back has one time twice.
        "INSERT OR IGNORE INTO figure (agent_id, type, at, n, figures) VALUES (?, ?, ?, ?, ?)",
        ...[agentId, type, at, n, JSON.stringify(figures)],
      );
    }
    for (const delta of extract.statements) this.#writeStatement(place, delta);
    for (const row of extract.log) this.#writeLogRow(place, row);
    for (const loss of extract.losses) this.#writeLoss(place, loss);
    this.#writeSightings(place, extract.sightings);
    return agentId;
  }

  #agentOf({ document, atMs, receivedMs }: Prepared): { agentId: number; life: number } {
    const { id, project, host, sequence, type, agent, data } = document;
    const found = this.#database.get(
      "SELECT agent_id, life, last_sequence, last_id, status_at FROM agent WHERE project = ? AND host = ?",
      ...[project, host],
    );
    const status = type === "agent_status" ? JSON.stringify(data) : null;
    if (found === null) {
      const agentId = this.#database.insert(
        `INSERT INTO agent (project, host, version, first_at, last_at, received_at, life, last_sequence, last_id, status,
          status_at) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?)`,
        ...[project, host, agent.version, atMs, atMs, receivedMs, sequence, id, status, status === null ? 0 : atMs],
      );
      return { agentId, life: 1 };
    }
    const position = {
      life: Number(found.life),
      lastSequence: Number(found.last_sequence),
      lastId: `${found.last_id}`,
    };
    const life = lifeOf(position, { id, sequence });
    const agentId = Number(found.agent_id);
    const newer = life > position.life || sequence > position.lastSequence;
    this.#database.run(
      `UPDATE agent SET received_at = ?1, last_at = max(last_at, ?2), version = iif(?3, ?4, version), life = ?5,
        last_sequence = iif(?3, ?6, last_sequence), last_id = iif(?3, ?7, last_id) WHERE agent_id = ?8`,
      ...[receivedMs, atMs, newer ? 1 : 0, agent.version, life, sequence, id, agentId],
    );
    if (status !== null && Number(found.status_at) <= atMs) {
      this.#database.run("UPDATE agent SET status = ?, status_at = ? WHERE agent_id = ?", status, atMs, agentId);
    }
    return { agentId, life };
  }

  #writeStatement({ agentId, atMs }: Place, delta: StatementDelta): void {
    const { key, queryid, datname, usename, query, calls, timeMs, rows, blocks, reads, temp, wal } = delta;
    const statement = this.#database.get(
      `INSERT INTO statement (agent_id, key, queryid, datname, usename, query, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
        ON CONFLICT (agent_id, key) DO UPDATE SET query = coalesce(excluded.query, query), at = max(at, excluded.at)
        RETURNING statement_id`,
      ...[agentId, key, queryid, datname, usename, query, atMs],
    );
    this.#database.run(
      `INSERT OR REPLACE INTO statement_delta (agent_id, at, statement_id, calls, timeMs, rows, blocks, reads, temp, wal)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[agentId, atMs, statement!.statement_id as number, calls, timeMs, rows, blocks, reads, temp, wal],
    );
  }

  #writeLogRow({ agentId, n, atMs }: Place, row: LogRow): void {
    const at = row.atMs ?? atMs;
    this.#database.run(
      `INSERT INTO log_entry (agent_id, at, n, i, severity, sqlstate, pid, correlation_id, message)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ...[agentId, at, n, row.index, row.severity, row.sqlstate, row.pid, row.correlationId, row.message],
    );
    for (const pid of row.mentions) {
      this.#database.run(
        "INSERT OR IGNORE INTO lock_mention (agent_id, pid, at, n, i) VALUES (?, ?, ?, ?, ?)",
        ...[agentId, pid, at, n, row.index],
      );
    }
  }

  #writeLoss({ agentId, life, atMs }: Place, { from, to, reason, records }: LossRange): void {
    // Losses that lay beside each other may have become one.
    this.#database.run(
      "DELETE FROM loss_range WHERE agent_id = ? AND life = ? AND reason = ? AND first >= ? AND last <= ?",
      ...[agentId, life, reason, from, to],
    );
    this.#database.run(
      `INSERT OR REPLACE INTO loss_range (agent_id, life, first, last, reason, records, at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
      ...[agentId, life, from, to, reason, records, atMs],
    );
  }

  #writeSightings(place: Place, sightings: readonly Sighting[]): void {
    for (const [correlationId, seen] of Map.groupBy(sightings, (one) => one.correlationId)) {
      this.#writeRequest(place, correlationId, seen);
    }
  }

  #writeRequest({ agentId, n, atMs }: Place, correlationId: string, seen: readonly Sighting[]): void {
    const times = seen.map((one) => one.atMs);
    const [firstAt, lastAt] = [Math.min(...times), Math.max(...times)];
    const waits = seen.flatMap((one) => one.waitedMs ?? []);
    const errors = seen.flatMap((one) => one.error ?? []);
    const heldUp = seen.some((one) => one.heldUp) ? 1 : 0;
    const values: Value[] = [correlationId, agentId, firstAt, lastAt];
    this.#database.run(
      `INSERT INTO request (correlation_id, agent_id, first_at, last_at, waited_ms, held_up, errors, error)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (correlation_id) DO UPDATE SET
        first_at = min(first_at, ?3), last_at = max(last_at, ?4), held_up = max(held_up, ?6), errors = errors + ?7,
        waited_ms = iif(waited_ms IS NULL OR ?5 > waited_ms, coalesce(?5, waited_ms), waited_ms),
        error = coalesce(?8, error)`,
      ...[...values, waits.length === 0 ? null : Math.max(...waits), heldUp, errors.length, errors.at(-1) ?? null],
    );
    this.#database.run(
      "INSERT INTO request_document (correlation_id, at, n) VALUES (?, ?, ?)",
      ...[correlationId, atMs, n],
    );
    for (const pid of new Set(seen.flatMap((one) => one.pid ?? []))) {
      this.#database.run(
        `INSERT INTO backend (correlation_id, agent_id, pid, first_at, last_at) VALUES (?1, ?2, ?3, ?4, ?5)
          ON CONFLICT DO UPDATE SET first_at = min(first_at, ?4), last_at = max(last_at, ?5)`,
        ...[correlationId, agentId, pid, firstAt, lastAt],
      );
    }
  }
}

/**
 * Which statements cost the server its time: `pg_stat_statements`.
 *
 * - The counters are read once a cycle, without texts and, as a rule, only of entries that have changed; a failure to get
 *   texts or names never costs them.
 * - What deltas are measured against advances only when a document is stored, so that no interval is lost.
 * - What was found out about a server, its entries included, is never held against another one.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import { errorMessage, type Log } from "../log.ts";
import type { CollectContext, Collection, Collector } from "./collector.ts";
import { type Database, DatabaseError, type Server } from "./database.ts";
import type { QueryText } from "./query_text.ts";
import { type Restraint, unrestrained } from "./restraint.ts";
import { countersSql, countersValues, type MarkMasks, markMasks, readCounters } from "./statement_counters.ts";
import { Interval } from "./statement_deltas.ts";
import {
  type Extension,
  extensionSql,
  type Finding,
  type Missing,
  notLoaded,
  readFinding,
} from "./statement_extension.ts";
import type { MarkTable } from "./statement_marks.ts";
import { readEntries, type Remembered } from "./statement_memory.ts";
import { StatementNames } from "./statement_names.ts";
import { readValues, textKeyOf, type Values } from "./statement_records.ts";
import { StatementTexts } from "./statement_texts.ts";

/** Reads in one run: a second one after the server or the extension has changed under the first. */
const readsMax = 2;
/** What the server says of an extension whose library is not loaded. */
const objectNotInPrerequisiteState = "55000";
const changed = { kind: "statement" } as const;

/** What {@link StatementsCollector} is made of; tests shrink the limits. */
export interface StatementsOptions {
  database: Database;
  log: Log;
  clock: Pick<Clock, "monotonicMs">;
  /** `collection.query_text`. */
  queryText: QueryText;
  restraint?: Restraint;
  statementsMax?: number;
  textsMax?: number;
  markMasks?: MarkMasks;
}

/** What is known of one server. */
interface Known {
  server: Server;
  names: StatementNames;
  finding: Finding | null;
  /** When the extension was looked for, on the monotonic clock. */
  foundMs: number;
  /** What the last stored document was made of. */
  previous: Remembered | null;
  /** Whether the last read failed. */
  failed: boolean;
  /** What the agent's role had cost the server at the last read. */
  roleMs: number | null;
}

/** The entries of one read, and what they are measured against. */
interface Reading {
  known: Known;
  extension: Extension;
  snapshot: Remembered;
  interval: Interval;
}

/** Reads the statements with the most execution time, with exact deltas. */
export class StatementsCollector implements Collector {
  readonly name = "pg_stat_statements";
  readonly #database: Database;
  readonly #log: Log;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #statementsMax: number;
  readonly #restraint: Restraint;
  readonly #markMasks: MarkMasks;
  readonly #texts: StatementTexts;
  #known: Known | null = null;
  /** What was last said, so that nothing is said twice. */
  #said = "";
  #privilegeHinted = false;

  constructor(options: StatementsOptions) {
    this.#database = options.database;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#restraint = options.restraint ?? unrestrained;
    this.#statementsMax = options.statementsMax ?? limits.statementsMax;
    this.#markMasks = options.markMasks ?? markMasks;
    this.#texts = new StatementTexts({ ...options, textsMax: options.textsMax ?? limits.statementTextsMax });
  }

  async collect({ signal }: CollectContext): Promise<Collection> {
    const reading = await this.#read(signal);
    if ("reason" in reading) return { kind: "skipped", reason: reading.reason };
    const { known, snapshot, interval, extension } = reading;
    this.#hintAtPrivilege(known.server, snapshot.hidden);
    const statements = await this.#report(reading, signal);
    const data = {
      statements,
      count: statements.length,
      interval_s: interval.seconds,
      stats_reset: extension.hasInfo ? snapshot.statsReset : null,
      dealloc: snapshot.dealloc,
    };
    return { kind: "samples", data, rows: statements.length, stored: () => void (known.previous = snapshot) };
  }

  /**
   * Reads all entries. A server that has become another meanwhile, or an extension that has been changed, is looked at
   * anew and read once more.
   */
  async #read(signal: AbortSignal): Promise<Reading | Missing> {
    for (let attempt = 1;; attempt++) {
      const known = await this.#know();
      const finding = await this.#find(known, signal);
      if (finding.kind === "missing") return finding.missing;
      try {
        return await this.#readCounters(known, finding.extension, signal);
      } catch (error) {
        known.failed = true;
        if (!(error instanceof DatabaseError) || error.kind !== "statement") throw error;
        if (error.sqlstate === objectNotInPrerequisiteState) {
          known.finding = { kind: "missing", missing: notLoaded };
          this.#say(known.finding);
          return notLoaded;
        }
        if (attempt === readsMax) throw error;
        known.foundMs = Number.NEGATIVE_INFINITY;
      }
    }
  }

  async #readCounters(known: Known, extension: Extension, signal: AbortSignal): Promise<Reading> {
    const ask = async (table: MarkTable) => {
      const query = { text: countersSql(extension, this.#markMasks), values: countersValues(table) };
      const [row] = await this.#database.query(query, signal);
      if (await this.#database.server() !== known.server) throw new DatabaseError("Another server answers", changed);
      const counters = readCounters(row, extension);
      this.#seeCost(known, counters.roleMs);
      return counters;
    };
    const snapshot = await readEntries({
      ask,
      nowMs: () => this.#clock.monotonicMs(),
      extension,
      previous: known.failed ? null : known.previous,
      wanted: this.#wanted(extension),
    });
    known.failed = false;
    this.#say({ kind: "found", extension });
    return { known, extension, snapshot, interval: new Interval(known.previous, snapshot, extension.layout) };
  }

  /** A figure that has fallen was reset, or entries of it were dropped: then there is nothing to tell. */
  #seeCost(known: Known, roleMs: number | null): void {
    if (roleMs !== null && known.roleMs !== null && roleMs >= known.roleMs) {
      this.#restraint.seeCost(roleMs - known.roleMs);
    }
    known.roleMs = roleMs;
  }

  /** How many statements are ranked: some that turn out to be the agent's own are replaced. */
  #wanted({ superuser }: Extension): number {
    return this.#statementsMax + (superuser ? limits.ownStatementsMax + this.#texts.ownCount : 0);
  }

  async #know(): Promise<Known> {
    const server = await this.#database.server();
    if (this.#known?.server !== server) {
      this.#texts.forget();
      const names = new StatementNames(this.#database, this.#clock);
      this.#known = {
        server,
        names,
        finding: null,
        foundMs: Number.NEGATIVE_INFINITY,
        previous: null,
        failed: false,
        roleMs: null,
      };
    }
    return this.#known;
  }

  /** Looks for the extension, at first and every few minutes. */
  async #find(known: Known, signal: AbortSignal): Promise<Finding> {
    const nowMs = this.#clock.monotonicMs();
    if (known.finding !== null && nowMs < known.foundMs + limits.extensionCheckMs) return known.finding;
    const [row] = await this.#database.query({ text: extensionSql }, signal);
    const finding = readFinding(row);
    // Records of another layout, or of other entries, are not to be compared.
    if (JSON.stringify(finding) !== JSON.stringify(known.finding)) known.previous = null;
    known.finding = finding;
    known.foundMs = nowMs;
    // Whether one that is there is loaded is known when it answers.
    if (finding.kind === "missing") this.#say(finding);
    return finding;
  }

  /** The entries that are reported, with all their columns. */
  async #report(
    { known, extension, snapshot, interval }: Reading,
    signal: AbortSignal,
  ): Promise<Record<string, unknown>[]> {
    const ranked = interval.rank(this.#wanted(extension));
    if (this.#restraint.texts) await this.#texts.read(ranked.map(({ key }) => textKeyOf(key)), extension, signal);
    // Others take the places of the agent's own.
    const chosen = ranked.filter(({ key }) => !this.#texts.isOwn(textKeyOf(key))).slice(0, this.#statementsMax);
    const entries = chosen.map(({ key }) => ({
      key,
      values: readValues(snapshot.records.get(key)!, extension.layout),
    }));
    await this.#nameOwners(known, entries.map(({ values }) => values), signal);
    return entries.map(({ key, values }) =>
      Object.assign(values, {
        datname: known.names.database(values.dbid),
        usename: known.names.role(values.userid),
        query: this.#texts.get(textKeyOf(key)),
        delta: interval.delta(key, values),
      })
    );
  }

  async #nameOwners({ names }: Known, values: readonly Values[], signal: AbortSignal): Promise<void> {
    const oids = { databases: values.map(({ dbid }) => dbid), roles: values.map(({ userid }) => userid) };
    try {
      await names.know(oids, signal);
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      this.#log.warning("pg_stat_statements_names_failed", { reason: error.kind, error: errorMessage(error) });
    }
  }

  /** Says what was found, when it is something else than before. */
  #say(finding: Finding): void {
    const said = finding.kind === "missing"
      ? finding.missing.reason
      : `${finding.extension.schema} ${finding.extension.version} ${finding.extension.availableVersion}`;
    if (this.#said === said) return;
    this.#said = said;
    if (finding.kind === "missing") {
      this.#log.warning("pg_stat_statements_check", { found: false, ...finding.missing });
      return;
    }
    const { schema, version, availableVersion, layout } = finding.extension;
    this.#log.info("pg_stat_statements_check", { found: true, schema, version, columns: layout.columns.length });
    if (availableVersion === null) return;
    this.#log.warning("pg_stat_statements_check", {
      found: true,
      reason: `The extension is of version ${version}; the server has ${availableVersion}`,
      hint: "ALTER EXTENSION pg_stat_statements UPDATE;",
    });
  }

  #hintAtPrivilege(server: Server, hidden: number): void {
    if (hidden === 0) {
      this.#privilegeHinted = false;
      return;
    }
    if (this.#privilegeHinted) return;
    this.#privilegeHinted = true;
    this.#log.warning("insufficient_privilege", {
      hidden_statements: hidden,
      hint: `GRANT pg_read_all_stats TO "${server.user.replaceAll('"', '""')}";`,
    });
  }
}

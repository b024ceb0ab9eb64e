/**
 * Texts of statements, read rarely: for a single one the server reads the file of all texts into its memory.
 *
 * - At most one read a cycle, and none before the last one's cost has been paid off {@link limits.textPauseFactor} times.
 * - A read that fails costs the texts and nothing else; the next one waits twice as long.
 * - The cache is bounded and belongs to one server. It holds what may be sent: under `redacted` no literals.
 * - Where no text may be sent, none is read.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import { errorMessage, type Log } from "../log.ts";
import { type Database, DatabaseError } from "./database.ts";
import { presentQuery, type QueryText } from "./query_text.ts";
import { readText } from "./row.ts";
import type { Extension } from "./statement_extension.ts";

/** What the texts of the agent's statements have near their beginning, before or after their first word. */
const ownMark = "/* bitville-monitor:";
const ownMarkWithin = 100;

/**
 * How much of a text is asked for: in a database without an encoding the server counts bytes, of which a character has
 * up to four.
 */
const askedCharsMax = limits.statementQueryCharsMax * 4 + 1;

/** What {@link StatementTexts} is made of. */
export interface StatementTextsOptions {
  database: Database;
  log: Log;
  clock: Pick<Clock, "monotonicMs">;
  queryText: QueryText;
  textsMax: number;
}

/** Reads and keeps texts by `userid,dbid,queryid`. */
export class StatementTexts {
  readonly #database: Database;
  readonly #log: Log;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #queryText: QueryText;
  readonly #textsMax: number;
  /** The most recently used last. */
  readonly #texts = new Map<string, string>();
  /** Statements of the agent under a role that others use, too; the oldest first. */
  readonly #own = new Set<string>();
  #pauseMs = 0;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: StatementTextsOptions) {
    this.#database = options.database;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#queryText = options.queryText;
    this.#textsMax = options.textsMax;
  }

  /** How many are kept. */
  get size(): number {
    return this.#texts.size;
  }

  /** Drops all, for another server. What the last read cost still counts. */
  forget(): void {
    this.#texts.clear();
    this.#own.clear();
  }

  /** A text, or null while it is not known. */
  get(key: string): string | null {
    const text = this.#texts.get(key);
    if (text === undefined) return null;
    this.#texts.delete(key);
    this.#texts.set(key, text);
    return text;
  }

  /** How many are known to be statements of the agent. */
  get ownCount(): number {
    return this.#own.size;
  }

  /** Whether this is known to be a statement of the agent. */
  isOwn(key: string): boolean {
    return this.#own.has(key);
  }

  /** Reads the texts of those among `keys` that are not known, if it is time. Never throws for want of an answer. */
  async read(keys: readonly string[], extension: Extension, signal: AbortSignal): Promise<void> {
    if (this.#queryText === "none") return;
    const wanted = [...new Set(keys)].filter((key) => !this.#texts.has(key) && !this.#own.has(key));
    const startMs = this.#clock.monotonicMs();
    if (wanted.length === 0 || startMs < this.#pausedUntilMs) return;
    try {
      const rows = await this.#database.query(questionOf(wanted, extension), signal);
      for (const row of rows) this.#keep(readText(row, "key") ?? "", readText(row, "query") ?? "", extension);
      this.#pause({ costMs: this.#clock.monotonicMs() - startMs, leastMs: 0 });
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      const leastMs = Math.max(limits.textPauseFirstMs, this.#pauseMs * 2);
      this.#pause({ costMs: this.#clock.monotonicMs() - startMs, leastMs });
      this.#log.warning("pg_stat_statements_texts_failed", {
        ...{ texts: wanted.length, reason: error.kind, sqlstate: error.sqlstate, error: errorMessage(error) },
        ...{ next_attempt_s: Math.round(this.#pauseMs / 1_000), hint: hints[error.sqlstate ?? ""] ?? null },
      });
    }
  }

  #pause({ costMs, leastMs }: { costMs: number; leastMs: number }): void {
    this.#pauseMs = Math.min(Math.max(costMs * limits.textPauseFactor, leastMs), limits.textPauseMaxMs);
    this.#pausedUntilMs = this.#clock.monotonicMs() + this.#pauseMs;
  }

  /** Normalised by the server but for utility statements, whose literals stay. */
  #present(text: string): string {
    return presentQuery(text, { mode: this.#queryText, charsMax: limits.statementQueryCharsMax }) ?? "";
  }

  #keep(key: string, text: string, { role, superuser }: Extension): void {
    const isOwn = superuser && key.startsWith(`${role},`) && text.slice(0, ownMarkWithin).includes(ownMark);
    if (isOwn) this.#own.add(key);
    else this.#texts.set(key, this.#present(text));
    for (const cache of [this.#texts, this.#own]) {
      for (const oldest of cache.keys()) {
        if (cache.size <= this.#textsMax) break;
        cache.delete(oldest);
      }
    }
  }
}

/** What an administrator can do about a failure, by SQLSTATE. */
const hints: Record<string, string> = {
  "22021": otherEncoding(),
  "22P05": otherEncoding(),
  "57014": "The texts on the server are large: lower pg_stat_statements.max, or call pg_stat_statements_reset()",
};

function otherEncoding(): string {
  return "A statement's text cannot be had in the encoding of the agent's database: connect the agent to a database " +
    "in the same encoding as the applications'";
}

function questionOf(keys: readonly string[], { textsSql }: Extension): { text: string; values: unknown[] } {
  const parts = keys.map((key) => key.split(","));
  return { text: textsSql, values: [...[0, 1, 2].map((index) => parts.map((part) => part[index])), askedCharsMax] };
}

/**
 * Documents as the agent makes them, of about any size, no two alike: sessions and statements with the fields that a
 * PostgreSQL 18 has given (tests/fixtures/golden), and entries of a log. Texts are statements of an application of some
 * size, with literals and ids that do not repeat; figures have the digits that a server gives.
 *
 * @module
 */

import type { Draft } from "../../transport/envelope.ts";
import { seededRandom } from "../support/seeded_random.ts";

type Template = Record<string, unknown>;

const golden = new URL("../fixtures/golden/18/", import.meta.url);
const nouns = "account address audit basket batch carrier category channel claim contract country coupon currency " +
  "customer delivery device discount document event feature feed gateway image inventory invoice item job journal " +
  "label ledger location mail merchant message note offer order parcel partner payment permission picture plan price " +
  "product profile quota rating receipt region rental report request return review role route sale session shipment " +
  "stock store subscription supplier tariff tax ticket token transfer user vehicle visit voucher warehouse";
const words = nouns.split(" ");
/** Columns that are zero for nearly every statement of a real server. */
const mostlyZero = /^(local|temp|jit|parallel|plans)|plan_time|blk_|_written|dirtied|buffers_full/;

/** A source of documents; the same for the same seed. */
export class AgentDocuments {
  readonly #random: () => number;
  readonly #session: Template;
  readonly #statement: Template;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#session = templateOf("pg_stat_activity.json", "sessions");
    this.#statement = templateOf("pg_stat_statements.json", "statements");
  }

  /** The `index`-th of a run: sessions, statements and log entries in turn, as many as make so many bytes of JSON. */
  draft(index: number, bytes: number): Draft {
    const kinds = [
      { type: "pg_stat_activity", name: "sessions", make: () => this.#makeSession() },
      { type: "pg_stat_statements", name: "statements", make: () => this.#makeStatement() },
      { type: "pg_log", name: "entries", make: () => this.#makeEntry() },
    ];
    const { type, name, make } = kinds[index % kinds.length]!;
    const rows: unknown[] = [];
    for (let left = bytes; left > 0;) {
      const row = make();
      rows.push(row);
      left -= JSON.stringify(row).length;
    }
    return { type, timestamp: new Date(), data: { [name]: rows, count: rows.length } };
  }

  #makeSession(): Template {
    const id = this.#uuid();
    const application = { application_name: `bitville-${id}`, correlation_id: id, query: this.#sql(true) };
    return { ...this.#fill(this.#session), ...application };
  }

  #makeStatement(): Template {
    const filled: Template = { ...this.#fill(this.#statement), query: this.#sql(false) };
    const zeros = Object.keys(filled).filter((column) => mostlyZero.test(column) && this.#random() < 0.9);
    for (const column of zeros) if (typeof filled[column] === "number") filled[column] = 0;
    return filled;
  }

  #makeEntry(): Template {
    const id = this.#uuid();
    return {
      ...{ timestamp: this.#time(), pid: this.#integer(4_000_000), level: "LOG" },
      message: `duration: ${this.#number().toFixed(3)} ms  statement: ${this.#sql(true)}`,
      ...{ sqlstate: "00000", detail: null, hint: null, context: null, statement: null, user: "shop" },
      ...{ database: "shop", application_name: `bitville-${id}`, correlation_id: id },
      session_id: `${this.#integer(2 ** 31).toString(16)}.${this.#integer(2 ** 22).toString(16)}`,
      ...{ session_line: this.#integer(1_000), query_id: this.#integer64(), backend_type: "client backend" },
      file: "/var/log/postgresql/postgresql-18-main.log",
    };
  }

  /** Puts something into each place that the golden document has left open. */
  #fill(template: Template): Template {
    return Object.fromEntries(Object.entries(template).map(([name, value]) => [name, this.#valueOf(value)]));
  }

  #valueOf(value: unknown): unknown {
    if (typeof value === "object" && value !== null) return this.#fill(value as Template);
    if (value === "<number>") return this.#number();
    if (value === "<64-bit integer>") return this.#integer64();
    if (value === "<timestamp>") return this.#time();
    return typeof value === "number" || /^<(integer|pid)/.test(String(value)) ? this.#integer(10_000_000) : value;
  }

  #sql(hasLiterals: boolean): string {
    const place = (index: number) => hasLiterals ? String(this.#integer(100_000_000)) : `$${index}`;
    const [one, other] = [this.#word(), this.#word()];
    const columns = Array.from({ length: 2 + this.#integer(8) }, () => `${one}.${this.#word()}_${this.#word()}`);
    const text = hasLiterals ? `'${this.#uuid()}'` : "$2";
    return `SELECT ${columns.join(", ")} FROM ${one} JOIN ${other} ON ${other}.${one}_id = ${one}.id WHERE ` +
      `${other}.${this.#word()}_id = ${place(1)} AND ${one}.${this.#word()} = ${text} ORDER BY ${one}.created_at ` +
      `LIMIT ${place(3)}`;
  }

  #word(): string {
    return words[this.#integer(words.length)]!;
  }

  #integer(below: number): number {
    return Math.floor(this.#random() ** 2 * below);
  }

  /** Milliseconds as the server has them: a double of many digits. */
  #number(): number {
    return Math.round(this.#random() ** 4 * 1e12) / 1e6;
  }

  #integer64(): string {
    return String(BigInt(Math.floor(this.#random() * 2 ** 53)) * 1_024n + BigInt(this.#integer(1_024)));
  }

  #time(): string {
    return new Date(1_795_000_000_000 + this.#integer(10_000_000_000)).toISOString();
  }

  #uuid(): string {
    const digits = Array.from({ length: 32 }, () => Math.floor(this.#random() * 16).toString(16)).join("");
    return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }
}

function templateOf(file: string, rows: string): Template {
  return JSON.parse(Deno.readTextFileSync(new URL(file, golden)))[rows][0];
}

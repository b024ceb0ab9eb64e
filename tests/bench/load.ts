/**
 * What the server has to show: sessions, statements and, in the largest size, a queue of waiters.
 *
 * @module
 */

import type { Client } from "pg";
import { distinctStatement } from "../support/statements.ts";
import { waitFor } from "../support/wait_for.ts";
import { type BenchServer, rolesPassword } from "./server.ts";

/** How much of it. */
export interface Size {
  name: string;
  sessions: number;
  statements: number;
  waiters: number;
}

export const sizes: readonly Size[] = [
  { name: "small", sessions: 10, statements: 100, waiters: 0 },
  { name: "middle", sessions: 200, statements: 1_000, waiters: 0 },
  { name: "large", sessions: 500, statements: 5_000, waiters: 300 },
];

/** The roles that are compared. */
export const agentRole = "bitville_bench_agent";
export const bareRole = "bitville_bench_bare";
/** Of the statements, the share that runs in each cycle. */
const movingShare = 0.1;
/** Of the one that runs most. */
const mostCalls = 100;
const sessionName = "bitville-5eb3f3a0-0000-4000-8000-000000000000";

/** Grows a server's load from one size to the next. Disposing of it ends the sessions and removes what it made. */
export class Load implements AsyncDisposable {
  readonly #server: BenchServer;
  readonly #comment: string;
  readonly #sessions: Client[] = [];
  #waiters = 0;
  #statements = 0;

  private constructor(server: BenchServer, textChars: number) {
    this.#server = server;
    this.#comment = `/* ${"what a framework says of itself, ".repeat(Math.ceil(textChars / 33))} */`;
  }

  /** `textChars`: about how long the text of a statement is. */
  static async create(server: BenchServer, { textChars = 660 } = {}): Promise<Load> {
    const load = new Load(server, textChars);
    await load.#removeObjects();
    await server.query("create extension if not exists pg_stat_statements");
    await server.query("select pg_stat_statements_reset()");
    for (const role of [agentRole, bareRole]) {
      await server.query(`create role ${role} login password '${rolesPassword}' in role pg_monitor`);
    }
    await server.query("create table bitville_bench_account as select 1 as id, 0 as balance");
    return load;
  }

  /** Makes what is missing to this size; sizes only grow. */
  async grow({ sessions, statements, waiters }: Size): Promise<void> {
    for (; this.#statements < statements; this.#statements++) await this.#call(this.#statements);
    if (waiters > this.#waiters) await this.#openHolder();
    for (; this.#waiters < waiters; this.#waiters++) {
      (await this.#open()).query(`update bitville_bench_account set balance = balance + 1 where id = 1 ${comment}`)
        .catch(() => {});
    }
    while (this.#sessions.length < sessions) {
      const client = await this.#open();
      if (this.#sessions.length % 2 === 0) client.query(`select pg_sleep(3600) ${comment}`).catch(() => {});
      else await client.query(`begin ${comment}`);
    }
    await waitFor("the load", async () => {
      const [row] = await this.#server.query(`select count(*) filter (where state <> 'idle')::int as sessions,
        count(*) filter (where wait_event_type = 'Lock')::int as waiters
        from pg_stat_activity where application_name = '${sessionName}'`);
      return Number(row?.sessions) >= sessions && row?.waiters === waiters;
    });
  }

  /** What an application does in a minute, as far as it shows: some of the statements run again, few of them often. */
  async move(): Promise<void> {
    for (let number = 0; number < this.#statements * movingShare; number++) {
      for (let call = 0; call < Math.max(1, mostCalls / (number + 1)); call++) await this.#call(number);
    }
  }

  /** Runs other statements in each round, so that their texts are not known. */
  async moveOn(round: number, count: number): Promise<void> {
    for (let number = 0; number < count; number++) await this.#call((round * count + number) % this.#statements);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#removeObjects();
    await Promise.all(this.#sessions.map((client) => client.end().catch(() => {})));
  }

  async #openHolder(): Promise<void> {
    const holder = await this.#open();
    await holder.query(`begin; update bitville_bench_account set balance = balance + 1 where id = 1 ${comment}`);
  }

  async #open(): Promise<Client> {
    const client = await this.#server.connect({ name: sessionName });
    this.#sessions.push(client);
    return client;
  }

  #call(number: number): Promise<unknown> {
    return this.#server.query(`${distinctStatement(number)}, 1 as "${"a long name ".repeat(5)}" ${this.#comment}`);
  }

  async #removeObjects(): Promise<void> {
    await this.#server.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = '${sessionName}'
       or usename in ('${agentRole}', '${bareRole}')`,
    );
    await waitFor("the end of the sessions", async () => {
      const [row] = await this.#server.query(
        `select count(*)::int as left from pg_stat_activity where application_name = '${sessionName}'`,
      );
      return row?.left === 0;
    });
    await this.#server.query("drop table if exists bitville_bench_account");
    for (const role of [agentRole, bareRole]) await this.#server.query(`drop role if exists ${role}`);
  }
}

/** Frameworks say much of themselves. */
const comment = `/* ${"what a framework says of itself, ".repeat(20)} */`;

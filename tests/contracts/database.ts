/**
 * What every {@link Database} promises, whatever is behind it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Database, DatabaseError } from "../../collectors/database.ts";

/** A statement whose comment is `contract rows`: two rows, `{number: 1}` and `{number: 2}`. */
export const rowsQuery = {
  text: "/* bitville-monitor: contract rows */ select number from generate_series(1, 2) as number",
};
/** `contract values`: one row with the value that was given. */
const valuesQuery = {
  text: "/* bitville-monitor: contract values */ select $1::text as value",
  values: ["a'b"],
};
/** `contract slow`: goes on until it is cut off. */
export const slowQuery = { text: "/* bitville-monitor: contract slow */ select pg_sleep(600)" };
/** `contract wrong`: refused by the server. */
const wrongQuery = { text: "/* bitville-monitor: contract wrong */ select 1/0" };

/** Registers the suite. `open` makes a database that answers the four queries; `close` is called by the suite. */
export function testDatabase(name: string, open: () => Database): void {
  const test = (sentence: string, check: (database: Database) => Promise<void>) =>
    Deno.test(`${name} ${sentence}`, async () => {
      const database = open();
      try {
        await check(database);
      } finally {
        await database.close();
      }
    });

  test("answers rows, and values as they were given", async (database) => {
    assert.deepEqual(await database.query(rowsQuery), [{ number: 1 }, { number: 2 }]);
    assert.deepEqual(await database.query(valuesQuery), [{ value: "a'b" }]);
  });

  test("tells who answers, as the same object until an outage", async (database) => {
    const server = await database.server();
    assert.match(server.version, /^\d+\.\d+$/);
    assert.equal(server.readsAllStats, true);
    assert.equal(server.pooled, false);
    await database.query(rowsQuery);
    assert.equal(await database.server(), server);
    assert.equal(database.status().serverVersion, server.version);
  });

  test("is reachable after the first answer and not after it was closed", async (database) => {
    assert.equal(database.status().reachable, false);
    await database.query(rowsQuery);
    assert.equal(database.status().reachable, true);
    assert.equal(database.status().connections, 1);
    await database.close();
    assert.equal(database.status().reachable, false);
    assert.equal(database.status().connections, 0);
    await rejects(database.query(rowsQuery), "cancelled");
    await rejects(database.server(), "cancelled");
  });

  test("throws what the server refuses and answers the next question", async (database) => {
    await rejects(database.query(wrongQuery), "statement");
    assert.equal((await database.query(rowsQuery)).length, 2);
  });

  test("ends a question whose signal is aborted, before, during or never again", async (database) => {
    await rejects(database.query(rowsQuery, AbortSignal.abort()), "cancelled");
    const controller = new AbortController();
    const slow = database.query(slowQuery, controller.signal);
    await database.query(rowsQuery);
    controller.abort();
    await rejects(slow, "cancelled");
    assert.equal((await database.query(rowsQuery, new AbortController().signal)).length, 2);
  });
}

/** Asserts that a question fails with this kind, and returns the failure. */
export async function rejects(question: Promise<unknown>, kind: DatabaseError["kind"]): Promise<DatabaseError> {
  const error = await question.then(() => null, (error: unknown) => error);
  assert.ok(error instanceof DatabaseError, `Not a DatabaseError: ${error}`);
  assert.equal(error.kind, kind, error.message);
  return error;
}

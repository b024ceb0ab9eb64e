/**
 * One real PostgreSQL for all tests of a file.
 *
 * @module
 */

import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../tasks/demo/embedded_postgres.ts";

/** Called at the top of a test file; answers with a function that gives the running server to each test. */
export function sharedPostgres(): () => EmbeddedPostgres {
  let postgres: EmbeddedPostgres;
  Deno.test.beforeAll(async () => {
    postgres = await startEmbeddedPostgres({ version: 18 });
  });
  Deno.test.afterAll(async () => {
    await postgres[Symbol.asyncDispose]();
  });
  return () => postgres;
}

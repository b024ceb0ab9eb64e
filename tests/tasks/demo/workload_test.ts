/**
 * The demo's site on the oldest and the newest server: that it shows what a monitor has to see, within its bounds.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../../tasks/demo/embedded_postgres.ts";
import { seedSite, startWorkload } from "../../../tasks/demo/workload.ts";
import { waitFor } from "../../support/wait_for.ts";

const namePattern = /^bitville-[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89ab][a-f0-9]{3}-[a-f0-9]{12}$/;

function siteSessions(postgres: EmbeddedPostgres): Promise<Record<string, unknown>[]> {
  return postgres.query(
    `SELECT application_name, state, wait_event_type, wait_event
    FROM pg_stat_activity WHERE usename = 'site' AND backend_type = 'client backend'`,
  );
}

for (const version of [12, 18] as const) {
  Deno.test(`startWorkload shows slow, waiting and forgotten requests on PostgreSQL ${version}`, async () => {
    await using postgres = await startEmbeddedPostgres({ version });
    await seedSite(postgres);
    const { host, port } = postgres;
    await using workload = startWorkload({ host, port, random: Math.random, slowMs: 3_000 });
    const seen = new Set<string>();
    await waitFor("all kinds of sessions", async () => {
      const sessions = await siteSessions(postgres);
      assert.ok(sessions.length <= 15, `${sessions.length} connections`);
      for (const { application_name: name, state, wait_event_type: type, wait_event: event } of sessions) {
        if (namePattern.test(String(name))) seen.add("named").add(String(state)).add(String(type)).add(String(event));
      }
      return ["named", "active", "idle in transaction", "Lock", "PgSleep"].every((what) => seen.has(what));
    });
    await waitFor("many requests", () => workload.requests > 50);
    await workload.stop();
    await waitFor("the end of all sessions", async () => (await siteSessions(postgres)).length === 0);
  });
}

Deno.test("startWorkload goes on after the server was restarted", async () => {
  await using postgres = await startEmbeddedPostgres({ version: 18 });
  await seedSite(postgres);
  const { host, port } = postgres;
  await using workload = startWorkload({ host, port, random: Math.random, slowMs: 1_000 });
  await waitFor("a request", () => workload.requests > 0);
  await postgres.restart("immediate");
  const before = workload.requests;
  await waitFor("requests after the restart", () => workload.requests > before + 10);
  assert.ok(workload.failures > 0);
});

Deno.test("startWorkload stops by its signal, twice, and without a server", async () => {
  const postgres = await startEmbeddedPostgres({ version: 18 });
  const { host, port } = postgres;
  await seedSite(postgres);
  const stop = new AbortController();
  const workload = startWorkload({ host, port, random: Math.random, signal: stop.signal });
  await waitFor("a request", () => workload.requests > 0);
  await postgres[Symbol.asyncDispose]();
  stop.abort();
  await workload.stop();
  await workload.stop();
  const { requests, failures } = workload;
  assert.ok(requests > 0 && failures >= 0);
});

Deno.test("seedSite leaves alone what is there", async () => {
  await using postgres = await startEmbeddedPostgres({ version: 12 });
  await seedSite(postgres);
  await postgres.query("UPDATE site_page SET views = 7 WHERE id = 1", { database: "site" });
  await seedSite(postgres);
  const [page] = await postgres.query("SELECT views FROM site_page WHERE id = 1", { database: "site" });
  assert.deepEqual(page, { views: 7 });
});

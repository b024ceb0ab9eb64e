// A storm of locks between two cycles, on a real server: the minute's samples know nothing of it, the burst's document
// has all of it. The clock is the test's; the locks are the server's.
import assert from "node:assert/strict";
import { Client } from "pg";
import { type BurstSample, BurstSampler } from "../../collectors/burst.ts";
import { BurstRun } from "../../tasks/burst_run.ts";
import { Governor } from "../../tasks/governor.ts";
import { createValidator } from "../../tasks/listener/schemas.ts";
import type { Draft } from "../../transport/envelope.ts";
import { createSeal } from "../../transport/envelope.ts";
import type { Root } from "../contracts/locks.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { openCycles } from "../support/cycle.ts";
import { openDatabase } from "../support/open_database.ts";
import { sharedPostgres } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait_for.ts";

const postgres = sharedPostgres();
const waiters = 20;
const correlationId = "0b1d3f60-5b7e-4c2f-9a51-6f0a7f3f7a10";

/** One holds a row that the others want; ends when disposed of. */
async function storm(): Promise<AsyncDisposable & { holderPid: number }> {
  const { host, port, user } = postgres();
  const clients: Client[] = [];
  for (let index = 0; index <= waiters; index++) {
    const name = index === 0 ? `bitville-${correlationId}` : "web";
    const client = new Client({ host, port, user, database: "postgres", application_name: name, ssl: false });
    client.on("error", () => {});
    await client.connect();
    clients.push(client);
  }
  const [holder, ...others] = clients as [Client, ...Client[]];
  await holder.query("begin; update wanted set n = n + 1");
  const waiting = others.map((client) => client.query("update wanted set n = n + 1"));
  await waitFor("the queue", async () => {
    const [row] = await postgres().query(
      "select count(*)::int as count from pg_stat_activity where wait_event_type = 'Lock'",
    );
    return row?.count === waiters;
  });
  const [{ pid }] = (await holder.query("select pg_backend_pid() as pid")).rows;
  return {
    holderPid: pid,
    async [Symbol.asyncDispose]() {
      await holder.query("commit");
      await Promise.all(waiting);
      await Promise.all(clients.map((client) => client.end()));
    },
  };
}

Deno.test("BurstRun records a storm of locks that lies between two cycles, with its root", async () => {
  await postgres().query("create extension pg_stat_statements; create table wanted as select 1 as id, 0 as n");
  await using cycles = openCycles(postgres(), "postgres");
  const clock = new FakeClock("2026-11-21T03:00:00.000Z");
  const { database, log } = openDatabase(postgres());
  const governor = new Governor({ clock, log, intervalMs: 60_000, cpus: 2 });
  const sampler = new BurstSampler({ database, log, clock, queryText: "full" });
  const burst = new BurstRun({ sampler, governor, clock, log, cpus: 2 });
  const captured: Draft[] = [];
  /** The recorder sleeps whenever it waits for nothing but time. */
  const pass = async (seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      await waitFor("the recorder to sleep", () => clock.sleepers > 0);
      await clock.advance(1_000);
    }
    await waitFor("the recorder to sleep", () => clock.sleepers > 0);
  };
  try {
    const before = await cycles.run();
    burst.start((draft) => Promise.resolve(void captured.push(draft)));
    await pass(21);
    let holderPid: number;
    {
      await using trouble = await storm();
      ({ holderPid } = trouble);
      await pass(20);
    }
    await pass(19);
    const after = await cycles.run();
    for (const { pg_locks } of [before, after]) {
      assert.deepEqual([pg_locks.waiting, pg_locks.roots], [0, []], "a minute's samples have none of it");
    }
    assert.equal(captured.length, 1);
    const seal = createSeal({ project: "tests", host: "tests", version: "0.0.0" }, clock);
    const document = JSON.parse(new TextDecoder().decode(seal(captured[0]!, 1).json));
    const { data } = document;
    assert.equal(createValidator()(document), null);
    assert.equal(data.trigger.kind, "lock_queue");
    assert.ok(data.before.length >= 3);
    const stormy: BurstSample[] = data.samples.filter((sample: BurstSample) => sample.lock_waiters === waiters);
    assert.ok(stormy.length >= 10, `${stormy.length} samples of the storm`);
    for (const { roots } of stormy) {
      const [root] = roots as Root[];
      assert.deepEqual([root?.pid, root?.correlation_id, root?.blocked_count], [holderPid, correlationId, waiters]);
    }
  } finally {
    await burst.stop();
    await database.close();
  }
});

// How the one read of a cycle is shared; what it reads is tested with the collectors.
import assert from "node:assert/strict";
import { DatabaseError } from "../../collectors/database.ts";
import { Sessions } from "../../collectors/sessions.ts";
import * as limits from "../../limits.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { MemoryDatabase } from "../fakes/memory_database.ts";

const context = { timestamp: new Date(0), signal: new AbortController().signal };
const totals = { position: null, total_backends: null, by_state: null, lock_waiters: null };

function bench() {
  const database = new MemoryDatabase()
    .answer("pg_stat_activity columns", [{ name: "pid" }])
    .answer("pg_stat_activity", [totals]);
  const clock = new FakeClock();
  const reads = () => database.asked.filter((name) => name === "pg_stat_activity").length;
  return { database, clock, reads, sessions: new Sessions({ database, clock }) };
}

Deno.test("Sessions reads once for all readers of a cycle, and again in the next", async () => {
  const { clock, reads, sessions } = bench();
  const [one, other] = await Promise.all([sessions.read("activity", context), sessions.read("locks", context)]);
  assert.equal(one, other);
  assert.equal(reads(), 1);
  await clock.advance(60_000);
  await sessions.read("locks", context);
  await sessions.read("activity", context);
  assert.equal(reads(), 2);
});

Deno.test("Sessions keeps no snapshot that both collectors have had", async () => {
  const { reads, sessions } = bench();
  await sessions.read("activity", context);
  await sessions.read("locks", context);
  await sessions.read("another", context);
  assert.equal(reads(), 2);
});

Deno.test("Sessions gives no reader the same snapshot twice, and nobody an old one", async () => {
  const { clock, reads, sessions } = bench();
  await sessions.read("activity", context);
  await sessions.read("activity", context);
  assert.equal(reads(), 2);
  await clock.advance(limits.snapshotSharedMs + 1);
  await sessions.read("locks", context);
  assert.equal(reads(), 3);
});

Deno.test("Sessions reads anew after a failure", async () => {
  const { database, sessions } = bench();
  database.answerOnce("pg_stat_activity", new DatabaseError("too slow", { kind: "timeout" }));
  await assert.rejects(sessions.read("activity", context), DatabaseError);
  const { totalBackends, byState, lockWaiters } = await sessions.read("locks", context);
  assert.deepEqual([totalBackends, byState, lockWaiters], [0, {}, []]);
});

Deno.test("Sessions probes the columns once per server", async () => {
  const { database, sessions } = bench();
  await sessions.read("a", context);
  await sessions.read("a", context);
  database.comeBack();
  await sessions.read("a", context);
  assert.deepEqual(database.asked.map((name) => name.endsWith("columns")), [true, false, false, true, false]);
});

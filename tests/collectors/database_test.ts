// The contract of the database seam, on the memory implementation that other tests rely on.
import assert from "node:assert/strict";
import { DatabaseError } from "../../collectors/database.ts";
import { rejects, rowsQuery, testDatabase } from "../contracts/database.ts";
import { MemoryDatabase } from "../fakes/memory_database.ts";

function openMemory(): MemoryDatabase {
  return new MemoryDatabase()
    .answer("contract rows", [{ number: 1 }, { number: 2 }])
    .answer("contract values", ({ values }) => [{ value: values?.[0] }])
    .answer("contract slow", () => new Promise(() => {}))
    .answer("contract wrong", new DatabaseError("division by zero", { kind: "statement", sqlstate: "22012" }));
}

testDatabase("MemoryDatabase", openMemory);

Deno.test("MemoryDatabase is away until it comes back, as another server", async () => {
  const database = openMemory();
  const before = await database.server();
  database.goAway();
  assert.equal(database.status().reachable, false);
  await rejects(database.query(rowsQuery), "unreachable");
  database.comeBack({ version: "12.22" });
  assert.equal((await database.query(rowsQuery)).length, 2);
  assert.notEqual(await database.server(), before);
  assert.deepEqual(database.asked, ["contract rows"]);
});

Deno.test("MemoryDatabase gives queued answers first and refuses what is not scripted", async () => {
  const database = openMemory().answerOnce("contract rows", []).answerOnce("contract rows", [{ number: 7 }]);
  assert.deepEqual(await database.query(rowsQuery), []);
  assert.deepEqual(await database.query(rowsQuery), [{ number: 7 }]);
  assert.equal((await database.query(rowsQuery)).length, 2);
  await rejects(database.query({ text: "select 1" }), "statement");
});

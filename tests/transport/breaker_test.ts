// When the circuit opens and closes, and how long to wait.
import assert from "node:assert/strict";
import { Breaker } from "../../transport/breaker.ts";
import { delivered, rejected, retry } from "../fakes/scripted_delivery.ts";

function breakerOf(changes: string[] = []): Breaker {
  const times = { cooldownMs: 60_000, backoffFirstMs: 500, backoffMaxMs: 30_000 };
  return new Breaker({ ...times, failuresMax: 5, random: () => 0.5, onChange: (state) => changes.push(state) });
}

async function fail(breaker: Breaker, times: number): Promise<void> {
  for (let index = 0; index < times; index++) await breaker.attempt(() => Promise.resolve(retry()));
}

Deno.test("Breaker opens at the fifth failure in a row and closes at the first success", async () => {
  const changes: string[] = [];
  const breaker = breakerOf(changes);
  await fail(breaker, 4);
  assert.deepEqual(breaker.status(), { state: "closed", consecutiveFailures: 4 });
  await fail(breaker, 1);
  assert.deepEqual(breaker.status(), { state: "open", consecutiveFailures: 5 });
  await fail(breaker, 3);
  assert.deepEqual(breaker.status(), { state: "open", consecutiveFailures: 8 });
  await breaker.attempt(() => Promise.resolve(delivered));
  assert.deepEqual(breaker.status(), { state: "closed", consecutiveFailures: 0 });
  assert.deepEqual(changes, ["open", "closed"], "a failed trial is no news");
});

Deno.test("Breaker opens again after another five", async () => {
  const changes: string[] = [];
  const breaker = breakerOf(changes);
  for (let round = 0; round < 2; round++) {
    await fail(breaker, 5);
    await breaker.attempt(() => Promise.resolve(delivered));
  }
  assert.deepEqual(changes, ["open", "closed", "open", "closed"]);
});

Deno.test("Breaker does not count a document that was rejected: the listener is there", async () => {
  const breaker = breakerOf();
  await fail(breaker, 4);
  await breaker.attempt(() => Promise.resolve(rejected(422)));
  await fail(breaker, 4);
  assert.equal(breaker.status().state, "closed");
});

Deno.test("Breaker is tried again whatever the wall clock says", async () => {
  const breaker = breakerOf();
  await fail(breaker, 5);
  const outcome = await breaker.attempt(() => Promise.resolve(delivered));
  assert.deepEqual(outcome, delivered);
});

Deno.test("Breaker pauses not at all after a success, longer with each failure, and for the cooldown when open", async () => {
  const breaker = breakerOf();
  assert.equal(breaker.pauseMs(), 0);
  for (let failures = 1; failures < 5; failures++) {
    await fail(breaker, 1);
    assert(breaker.pauseMs() >= 0 && breaker.pauseMs() <= 30_000, `${breaker.pauseMs()}`);
  }
  await fail(breaker, 1);
  assert.equal(breaker.pauseMs(), 63_000, "60 s and up to a tenth of jitter");
  await breaker.attempt(() => Promise.resolve(delivered));
  assert.equal(breaker.pauseMs(), 0);
});

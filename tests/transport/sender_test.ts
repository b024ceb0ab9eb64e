// The drain: retry, the circuit, settling, stopping; with outbox, delivery and time in memory.
import assert from "node:assert/strict";
import * as limits from "../../limits.ts";
import { Sender } from "../../transport/sender.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { MemoryOutbox } from "../fakes/memory_outbox.ts";
import { delivered, rejected, retry, ScriptedDelivery } from "../fakes/scripted_delivery.ts";
import { assertTwoLines } from "../support/deliveries.ts";
import { draftOf, testSeal } from "../support/drafts.ts";
import { MemoryLog } from "../support/memory_log.ts";
import { waitFor } from "../support/wait_for.ts";

const breaker = { failuresMax: 5, cooldownMs: 60_000, backoffFirstMs: 500, backoffMaxMs: 30_000, random: () => 0 };

const pace = { documentsPerS: 20, bytesPerS: 1_000_000, startDelayMaxMs: 5_000, random: () => 0 };

class Bench {
  readonly clock = new FakeClock();
  readonly log = new MemoryLog();
  readonly delivery = new ScriptedDelivery();
  readonly outbox = new MemoryOutbox({ seal: testSeal(), maxBytes: 10_000_000 });
  #sender: Sender | null = null;

  /** Made at the first use, so that a test can fill the outbox before. */
  get sender(): Sender {
    this.#sender ??= new Sender({ ...this, breaker, pace });
    return this.#sender;
  }

  async put(...names: string[]): Promise<void> {
    for (const name of names) await this.outbox.put(draftOf(name));
  }

  get taken(): number[] {
    return this.delivery.taken.map(({ sequence }) => sequence);
  }

  /** Moves the clock while the backlog rests, and no further: a longer pause is a test's to end. */
  async untilEmpty(): Promise<void> {
    await waitFor("the outbox to be empty", async () => {
      const { nextWakeMs } = this.clock;
      if (nextWakeMs !== null && nextWakeMs <= 1_000) await this.clock.advance(nextWakeMs);
      return this.outbox.status().records === 0 && this.clock.sleepers === 0;
    });
  }

  /** Waits until so many attempts were made, moving the clock to each next wake-up. */
  async untilAttempts(count: number): Promise<void> {
    await waitFor(`${count} attempts`, async () => {
      if (this.delivery.attempts.length >= count) return true;
      await this.clock.advance(this.clock.nextWakeMs ?? 0);
      return false;
    });
  }
}

Deno.test("Sender delivers the oldest first, one at a time, and forgets what was taken", async () => {
  const bench = new Bench();
  await bench.put("a", "b", "c");
  for (let index = 0; index < 10; index++) bench.sender.wake();
  await bench.untilEmpty();
  assert.deepEqual(bench.taken, [1, 2, 3]);
  assert.equal(bench.delivery.concurrencyPeak, 1);
});

Deno.test("Sender looks again when it is woken while a drain ends", async () => {
  const bench = new Bench();
  await bench.put("a");
  const release = bench.delivery.hold();
  bench.sender.wake();
  await waitFor("the first attempt", () => bench.delivery.attempts.length === 1);
  await bench.put("b");
  bench.sender.wake();
  release();
  await bench.untilEmpty();
  assert.deepEqual(bench.taken, [1, 2]);
});

Deno.test("Sender sends the same document again until it is taken, and none that is behind it before", async () => {
  const bench = new Bench();
  await bench.put("a", "b");
  bench.delivery.answer(retry(), retry({ status: null }), retry({ status: 429 }));
  bench.sender.wake();
  await bench.untilAttempts(5);
  await bench.untilEmpty();
  assert.deepEqual(bench.delivery.attempts, [1, 1, 1, 1, 2]);
  assert.deepEqual(bench.log.events, ["delivery_failed", "buffer_flush_complete"], "a failure is said once");
  assert.equal(bench.log.of("buffer_flush_complete")[0]?.fields.flushed_count, 2);
});

Deno.test("Sender sends what is new while a backlog rests, as soon as it is woken", async () => {
  const bench = new Bench();
  await bench.put("a", "b", "c");
  bench.sender.wake();
  await waitFor("the backlog's rest", () => bench.clock.nextWakeMs === 50);
  await bench.put("new");
  bench.sender.wake();
  await waitFor("the new one", () => bench.delivery.attempts.length === 2 && bench.clock.nextWakeMs === 50);
  assert.deepEqual(bench.taken, [1, 4]);
  await bench.untilEmpty();
  assert.deepEqual(bench.taken, [1, 4, 2, 3]);
  assert.equal(bench.log.of("buffer_flush_complete")[0]?.fields.flushed_count, 3);
});

Deno.test("Sender.stop does not wait for a backlog's rest to end", async () => {
  const bench = new Bench();
  await bench.put("a", "b");
  bench.sender.wake();
  await waitFor("the backlog's rest", () => bench.clock.sleepers === 1);
  await bench.sender.stop(5_000);
  assert.deepEqual([bench.delivery.attempts, bench.clock.sleepers], [[1], 0]);
});

Deno.test("Sender opens the circuit after five failures and tries again after the cooldown", async () => {
  const bench = new Bench();
  await bench.put("a");
  bench.delivery.answer(...Array.from({ length: 7 }, () => retry()));
  bench.sender.wake();
  await bench.untilAttempts(5);
  await waitFor("the cooldown", () => bench.clock.nextWakeMs === breaker.cooldownMs);
  assert.equal(bench.sender.status().state, "open");
  bench.sender.wake();
  await bench.clock.advance(breaker.cooldownMs - 1);
  assert.equal(bench.delivery.attempts.length, 5, "nobody knocks during the cooldown, not even when woken");
  await bench.clock.advance(1);
  assert.equal(bench.delivery.attempts.length, 6);
  await bench.untilAttempts(8);
  await bench.untilEmpty();
  const circuit = bench.log.events.filter((event) => event.startsWith("circuit"));
  assert.deepEqual(circuit, ["circuit_open_buffering", "circuit_closed"]);
});

Deno.test("Sender's cooldown does not depend on the wall clock", async () => {
  const bench = new Bench();
  await bench.put("a");
  bench.delivery.answer(...Array.from({ length: 5 }, () => retry()));
  bench.sender.wake();
  await bench.untilAttempts(5);
  bench.clock.setWall("2025-01-01T00:00:00Z");
  await bench.untilAttempts(6);
  await bench.untilEmpty();
});

Deno.test("Sender waits as long as the listener asked for", async () => {
  const bench = new Bench();
  await bench.put("a");
  bench.delivery.answer(retry({ status: 429, retryAfterMs: 600_000 }));
  bench.sender.wake();
  await waitFor("the pause", () => bench.clock.nextWakeMs === 600_000);
  await bench.clock.advance(599_999);
  assert.equal(bench.delivery.attempts.length, 1);
  await bench.clock.advance(1);
  await bench.untilEmpty();
});

Deno.test("Sender sets a rejected document aside, says so, and goes on at once", async () => {
  const bench = new Bench();
  await bench.put("bad", "good");
  bench.delivery.answer(rejected(422));
  bench.sender.wake();
  await bench.untilEmpty();
  assert.deepEqual(bench.taken, [2]);
  assert.equal(bench.outbox.status().loss.rejectedRecords, 1);
  assert.equal(bench.log.of("document_rejected")[0]?.fields.status, 422);
});

for (const what of ["key", "certificate"] as const) {
  Deno.test(`Sender says once that the ${what} is refused and once that it is taken again`, async () => {
    const bench = new Bench();
    await bench.put("a");
    const refused = retry({ status: null, refused: { what, hint: "Mend it" } });
    bench.delivery.answer(refused, refused, retry(), refused);
    bench.sender.wake();
    await bench.untilAttempts(5);
    await bench.untilEmpty();
    const said = bench.log.of(`listener_${what}_refused`);
    assert.deepEqual(said.map(({ level, fields }) => [level, fields.hint]), [["error", "Mend it"]]);
    assert.equal(bench.log.of(`listener_${what}_accepted`).length, 1);
  });
}

Deno.test("Sender delivers each document once to a listener that is away every other ten seconds for an hour", async () => {
  const bench = new Bench();
  const taken = new Map<number, number>();
  const delays: number[] = [];
  const isUp = () => Math.floor(bench.clock.monotonicMs() / 10_000) % 2 === 0;
  bench.delivery.decide = ({ sequence }) => {
    if (!isUp()) return retry({ status: null });
    delays.push(bench.clock.monotonicMs() - taken.get(sequence)!);
    return delivered;
  };
  for (let minute = 0; minute < 60; minute++) {
    for (let index = 0; index < 6; index++) {
      taken.set(bench.outbox.status().nextSequence, bench.clock.monotonicMs());
      await bench.put(`${minute}`);
      bench.sender.wake();
    }
    await bench.clock.advance(60_000);
  }
  await bench.clock.advance(120_000);
  assert.deepEqual(bench.taken.toSorted((one, other) => one - other), [...taken.keys()]);
  assert(Math.max(...delays) < 180_000, `${Math.max(...delays)} ms`);
  assert(bench.log.entries.length < 2_000, "the log stays small");
  assertTwoLines(bench.taken);
});

Deno.test("Sender does not send again what it could not forget: it tries to forget again", async () => {
  const bench = new Bench();
  await bench.put("a");
  bench.outbox.failNext("acknowledge", 3);
  bench.sender.wake();
  await waitFor("the outbox to be empty", async () => {
    await bench.clock.advance(limits.outboxRetryMs);
    return bench.outbox.status().records === 0;
  });
  assert.deepEqual(bench.delivery.attempts, [1]);
  assert.equal(bench.log.of("outbox_write_failed").length, 1);
});

Deno.test("Sender survives an outbox that cannot be read for a while", async () => {
  const bench = new Bench();
  await bench.put("a");
  bench.outbox.failNext("oldest", 2);
  bench.sender.wake();
  await waitFor("the outbox to be empty", async () => {
    await bench.clock.advance(limits.outboxRetryMs);
    return bench.outbox.status().records === 0;
  });
  assert.equal(bench.log.of("outbox_read_failed").length, 1);
});

Deno.test("Sender.stop lets the request under way end, forgets what was taken, and starts no other", async () => {
  const bench = new Bench();
  await bench.put("a", "b");
  const release = bench.delivery.hold();
  bench.sender.wake();
  await waitFor("the first attempt", () => bench.delivery.attempts.length === 1);
  const stopped = bench.sender.stop(5_000);
  release();
  await stopped;
  bench.sender.wake();
  assert.deepEqual(bench.delivery.attempts, [1]);
  assert.equal(bench.outbox.status().records, 1);
});

Deno.test("Sender.stop cuts off a request that does not end within the grace", async () => {
  const bench = new Bench();
  await bench.put("a");
  bench.delivery.hold();
  bench.sender.wake();
  await waitFor("the first attempt", () => bench.delivery.attempts.length === 1);
  const stopped = bench.sender.stop(5_000);
  await bench.clock.advance(5_000);
  await stopped;
  assert.equal(bench.outbox.status().records, 1, "it is sent again after the next start");
});

Deno.test("Sender.stop does not wait for a pause to end", async () => {
  const bench = new Bench();
  await bench.put("a");
  bench.delivery.answer(retry({ retryAfterMs: 3_600_000 }), delivered);
  bench.sender.wake();
  await waitFor("the pause", () => bench.clock.nextWakeMs === 3_600_000);
  await bench.sender.stop(5_000);
  assert.equal(bench.delivery.attempts.length, 1);
});

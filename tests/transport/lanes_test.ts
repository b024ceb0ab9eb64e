// Which document goes next: fresh ones and backlog, with an outbox and time in memory.
import assert from "node:assert/strict";
import { Lanes } from "../../transport/lanes.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { MemoryOutbox } from "../fakes/memory_outbox.ts";
import { assertTwoLines } from "../support/deliveries.ts";
import { draftOf, testSeal } from "../support/drafts.ts";
import { OutboxFolder } from "../support/outbox_folder.ts";
import { seededRandom } from "../support/seeded_random.ts";
import { waitFor } from "../support/wait_for.ts";

const pace = { documentsPerS: 20, bytesPerS: 1_000_000, startDelayMaxMs: 5_000, random: () => 0 };
const pauseMs = 50;

class Bench {
  readonly clock = new FakeClock();
  readonly outbox = new MemoryOutbox({ seal: testSeal(), maxBytes: 10_000_000 });
  readonly flushed: number[] = [];
  #lanes: Lanes | null = null;

  /** Made at the first use, so that a test can fill the outbox before. */
  get lanes(): Lanes {
    this.#lanes ??= new Lanes({ ...this, pace, onFlushed: (count) => this.flushed.push(count) });
    return this.#lanes;
  }

  async put(count: number): Promise<void> {
    for (let index = 0; index < count; index++) await this.outbox.put(draftOf(`${index}`));
  }

  /** Has the next document delivered; answers with its number, or with what there is instead. */
  async deliver(): Promise<number | string> {
    const turn = await this.lanes.next();
    if (turn.kind === "rest") return `rest ${turn.ms}`;
    if (turn.kind === "empty") return "empty";
    this.lanes.settled(turn.entry);
    await this.outbox.acknowledge(turn.entry.sequence);
    return turn.entry.sequence;
  }

  async deliverAll(count: number): Promise<(number | string)[]> {
    const turns = [];
    for (let index = 0; index < count; index++) turns.push(await this.deliver());
    return turns;
  }

  /** The next document is not taken. */
  async fail(): Promise<number> {
    const turn = await this.lanes.next();
    assert(turn.kind === "send");
    this.lanes.failed();
    return turn.entry.sequence;
  }
}

Deno.test("Lanes sends what comes in one line, without a pause, while there is no backlog", async () => {
  const bench = new Bench();
  assert.equal(await bench.deliver(), "empty");
  await bench.put(3);
  assert.deepEqual(await bench.deliverAll(4), [1, 2, 3, "empty"]);
  assert.deepEqual(bench.flushed, []);
});

Deno.test("Lanes takes what waits at the start for backlog, and paces it", async () => {
  const bench = new Bench();
  await bench.put(2);
  assert.deepEqual(await bench.deliverAll(2), [1, `rest ${pauseMs}`]);
  await bench.clock.advance(pauseMs);
  assert.deepEqual(await bench.deliverAll(2), [2, "empty"]);
  assert.deepEqual(bench.flushed, [2]);
});

Deno.test("Lanes sends fresh documents without a pause, and one of the backlog whenever its time has come", async () => {
  const bench = new Bench();
  await bench.put(3);
  assert.equal(await bench.deliver(), 1);
  await bench.put(3);
  assert.deepEqual(await bench.deliverAll(4), [4, 5, 6, `rest ${pauseMs}`]);
  await bench.clock.advance(pauseMs);
  await bench.put(2);
  assert.deepEqual(await bench.deliverAll(3), [2, 7, 8], "one of the backlog at its time, however many are fresh");
});

Deno.test("Lanes alternates when the backlog's turn has come, so that neither waits for the other", async () => {
  const bench = new Bench();
  await bench.put(4);
  await bench.deliver();
  await bench.put(4);
  const turns = [];
  for (let index = 0; index < 7; index++) {
    // As with a listener that takes longer than the pause.
    await bench.clock.advance(pauseMs);
    turns.push(await bench.deliver());
  }
  assert.deepEqual(turns, [5, 2, 6, 3, 7, 4, 8]);
});

Deno.test("Lanes begins a large backlog after a delay, and sends what is fresh meanwhile", async () => {
  const bench = new Bench();
  const late = new Lanes({ ...bench, pace: { ...pace, random: () => 0.5 }, onFlushed: () => {} });
  assert.deepEqual(await late.next(), { kind: "empty" });
  await bench.put(25);
  const again = new Lanes({ ...bench, pace: { ...pace, random: () => 0.5 }, onFlushed: () => {} });
  assert.deepEqual(await again.next(), { kind: "rest", ms: 2_500 });
  await bench.put(1);
  const turn = await again.next();
  assert(turn.kind === "send" && turn.entry.sequence === 26);
});

Deno.test("Lanes has one line while the listener fails, and takes all of it for backlog when it is back", async () => {
  const bench = new Bench();
  await bench.put(1);
  assert.equal(await bench.fail(), 1);
  await bench.put(2);
  assert.equal(await bench.fail(), 1, "the same again, and none that is behind it");
  assert.deepEqual(await bench.deliverAll(2), [1, `rest ${pauseMs}`]);
  await bench.put(1);
  assert.equal(await bench.deliver(), 4);
  await bench.clock.advance(pauseMs);
  assert.deepEqual(await bench.deliverAll(2), [2, `rest ${pauseMs}`]);
  await bench.clock.advance(pauseMs);
  assert.deepEqual(await bench.deliverAll(2), [3, "empty"]);
  assert.deepEqual(bench.flushed, [3]);
});

Deno.test("Lanes goes back to the oldest when a fresh document fails, and counts one flush", async () => {
  const bench = new Bench();
  await bench.put(2);
  assert.equal(await bench.deliver(), 1);
  await bench.put(2);
  assert.equal(await bench.fail(), 3);
  assert.equal(await bench.deliver(), 2);
  await bench.put(1);
  assert.deepEqual(await bench.deliverAll(2), [5, `rest ${pauseMs}`]);
  await bench.clock.advance(pauseMs);
  assert.equal(await bench.deliver(), 3);
  await bench.clock.advance(pauseMs);
  assert.deepEqual(await bench.deliverAll(2), [4, "empty"]);
  assert.deepEqual(bench.flushed, [4]);
});

Deno.test("Lanes takes for backlog what was in a file that could not be read at the start, and paces it", async () => {
  await using folder = await OutboxFolder.create();
  await folder.fill([1_000, 1_000, 1_000]);
  await Deno.rename(folder.file, `${folder.file}.elsewhere`);
  await Deno.mkdir(folder.file);
  const outbox = await folder.open({ probeMs: 20 });
  const clock = new FakeClock();
  const lanes = new Lanes({ outbox, clock, pace, onFlushed: () => {} });
  assert.deepEqual([await lanes.next(), outbox.status().isReadable], [{ kind: "empty" }, false]);
  await Deno.remove(folder.file);
  await Deno.rename(`${folder.file}.elsewhere`, folder.file);
  await waitFor("the file to be read", () => outbox.status().isReadable);
  const turn = await lanes.next();
  assert(turn.kind === "send");
  lanes.settled(turn.entry);
  await outbox.acknowledge(turn.entry.sequence);
  assert.deepEqual(await lanes.next(), { kind: "rest", ms: pauseMs });
  await outbox.close();
});

Deno.test("Lanes ends a backlog that was evicted, and goes on with what is fresh", async () => {
  const bench = new Bench();
  await bench.put(2);
  assert.equal(await bench.deliver(), 1);
  await bench.put(1);
  await bench.outbox.acknowledge(2);
  await bench.clock.advance(pauseMs);
  assert.deepEqual(await bench.deliverAll(2), [3, "empty"]);
  await bench.put(2);
  assert.deepEqual(await bench.deliverAll(3), [4, 5, "empty"]);
  assert.deepEqual(bench.flushed, [1]);
});

Deno.test("Lanes keeps two ascending lines and loses nothing, whatever comes and fails", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed);
    const bench = new Bench();
    const delivered: number[] = [];
    await bench.put(5);
    for (let step = 0; step < 300; step++) {
      const drawn = random();
      if (drawn < 0.3) await bench.put(1);
      else if (drawn < 0.4) await bench.clock.advance(random() * 100);
      else if (drawn < 0.45 && bench.outbox.status().records > 0 && (await bench.lanes.next()).kind === "send") {
        bench.lanes.failed();
      } else {
        const turn = await bench.deliver();
        if (typeof turn === "number") delivered.push(turn);
      }
    }
    assertTwoLines(delivered);
    const { records, nextSequence } = bench.outbox.status();
    assert.equal(new Set(delivered).size + records, nextSequence - 1, `seed ${seed}`);
  }
});

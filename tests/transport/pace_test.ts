// How fast a backlog may go.
import assert from "node:assert/strict";
import { Pace, type PaceOptions } from "../../transport/pace.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { seededRandom } from "../support/seeded_random.ts";

const options: PaceOptions = { documentsPerS: 20, bytesPerS: 1_000_000, startDelayMaxMs: 5_000, random: () => 0 };

Deno.test("Pace begins a large backlog after a part of the delay that differs between agents", () => {
  const clock = new FakeClock();
  for (const [drawn, waitMs] of [[0, 0], [0.5, 2_500], [0.999, 4_995]] as const) {
    const pace = new Pace({ ...options, random: () => drawn }, clock);
    pace.begin(1_000);
    assert.equal(pace.waitMs(), waitMs);
  }
});

Deno.test("Pace begins a backlog of no more than a second's documents at once", () => {
  const pace = new Pace({ ...options, random: () => 0.9 }, new FakeClock());
  pace.begin(20);
  assert.equal(pace.waitMs(), 0);
});

Deno.test("Pace leaves pauses between documents that vary by a quarter, and longer ones behind large documents", () => {
  for (const [drawn, shortMs, longMs] of [[0, 50, 500], [0.5, 200 / 3, 2_000 / 3], [0.999_999, 83.3, 833]] as const) {
    for (const [bytes, expectedMs] of [[100, shortMs], [500_000, longMs]] as const) {
      const pace = new Pace({ ...options, random: () => drawn }, new FakeClock());
      pace.begin(1);
      pace.sent(bytes);
      assert(Math.abs(pace.waitMs() / expectedMs - 1) < 0.01, `${pace.waitMs()} instead of ${expectedMs}`);
    }
  }
});

Deno.test("Pace never passes its rates, whatever is drawn", async () => {
  const clock = new FakeClock();
  const random = seededRandom(7);
  const pace = new Pace({ ...options, random }, clock);
  pace.begin(10_000);
  let [documents, bytes] = [0, 0];
  await clock.advance(pace.waitMs());
  const startMs = clock.monotonicMs();
  for (let index = 0; index < 200; index++) {
    const elapsedS = (clock.monotonicMs() - startMs) / 1_000;
    assert(documents <= 20 * elapsedS + 1e-6, `${documents} documents in ${elapsedS} s`);
    assert(bytes <= 1_000_000 * elapsedS + 1e-3, `${bytes} bytes in ${elapsedS} s`);
    const size = Math.floor(random() * 200_000);
    documents += 1;
    bytes += size;
    pace.sent(size);
    await clock.advance(pace.waitMs());
  }
});

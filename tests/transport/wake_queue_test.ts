/**
 * The queue of wake-ups, on Deno KV itself.
 *
 * @module
 */

import assert from "node:assert/strict";
import { WakeQueue } from "../../transport/wake_queue.ts";
import { waitFor } from "../support/wait_for.ts";

Deno.test("WakeQueue wakes once for wake-ups that come together, and again for the next", async () => {
  const queue = await WakeQueue.open();
  let heard = 0;
  const listening = queue.listen(() => heard++);
  for (let index = 0; index < 100; index++) {
    queue.wake();
    await new Promise((resolve) => setTimeout(resolve));
  }
  await waitFor("the first", () => heard > 0);
  const first = heard;
  assert(first < 10, `${first} for 100 that came together`);
  queue.wake();
  await waitFor("the next", () => heard > first);
  queue.close();
  await listening;
});

Deno.test("WakeQueue wakes anew for each wake-up, however fast the one before was heard", async () => {
  const queue = await WakeQueue.open({ delayMs: 0 });
  let heard = 0;
  const listening = queue.listen(() => heard++);
  for (let index = 0; index < 40; index++) {
    const before = heard;
    queue.wake();
    queue.wake();
    await waitFor("a wake-up", () => heard > before);
  }
  queue.close();
  await listening;
});

Deno.test("WakeQueue brings a wake-up that came before anybody listened", async () => {
  const queue = await WakeQueue.open();
  queue.wake();
  let heard = 0;
  const listening = queue.listen(() => heard++);
  await waitFor("it", () => heard === 1);
  queue.close();
  await listening;
});

Deno.test("WakeQueue stays silent when it is closed", async () => {
  const queue = await WakeQueue.open();
  queue.close();
  queue.wake();
});

// The delivery that can be exchanged, and what it knows of requests under way.
import assert from "node:assert/strict";
import * as limits from "../../limits.ts";
import type { OutboxEntry } from "../../transport/outbox.ts";
import { SwitchedDelivery } from "../../transport/switched_delivery.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { MemoryOutbox } from "../fakes/memory_outbox.ts";
import { ScriptedDelivery } from "../fakes/scripted_delivery.ts";
import { draftOf, testSeal } from "../support/drafts.ts";

const never = new AbortController().signal;

async function entry(): Promise<OutboxEntry> {
  const outbox = new MemoryOutbox({ seal: testSeal(), maxBytes: 1_000_000 });
  await outbox.put(draftOf("one"));
  return (await outbox.oldest())!;
}

Deno.test("SwitchedDelivery sends by the new way from the switch on, and lets a request under way end", async () => {
  const [before, after] = [new ScriptedDelivery(), new ScriptedDelivery()];
  const delivery = new SwitchedDelivery(before, new FakeClock());
  const release = before.hold();
  const first = delivery.send(await entry(), never);
  delivery.switchTo(after);
  assert.deepEqual(await delivery.send(await entry(), never), { kind: "delivered" });
  assert.equal(before.closed, false, "a request that has not been handed to the client yet would find it closed");
  release();
  assert.deepEqual(await first, { kind: "delivered" });
  assert.deepEqual([before.taken.length, after.taken.length], [1, 1]);
  assert.equal(before.closed, true);
  delivery.close();
  assert.equal(after.closed, true);
});

Deno.test("SwitchedDelivery.stalled tells of a request that does not end", async () => {
  const [script, clock] = [new ScriptedDelivery(), new FakeClock()];
  const delivery = new SwitchedDelivery(script, clock);
  const release = script.hold();
  const sending = delivery.send(await entry(), never);
  await clock.advance(limits.stalledRequestMs);
  assert.equal(delivery.stalled(true), null);
  await clock.advance(1_000);
  assert.equal(delivery.stalled(true), "A request has been under way for 121 s");
  release();
  await sending;
  assert.equal(delivery.stalled(true), null);
});

Deno.test("SwitchedDelivery.stalled tells of documents that nobody tries to send", async () => {
  const clock = new FakeClock();
  const delivery = new SwitchedDelivery(new ScriptedDelivery(), clock);
  await clock.advance(limits.stalledDrainMs * 2);
  assert.equal(delivery.stalled(false), null, "there was nothing to send");
  await clock.advance(limits.stalledDrainMs);
  assert.equal(delivery.stalled(true), null);
  await clock.advance(1_000);
  assert.equal(delivery.stalled(true), "Documents wait, and none was tried for 7201 s");
  await delivery.send(await entry(), never);
  assert.equal(delivery.stalled(true), null);
});

// Places: never more than there are, in the order asked for.
import assert from "node:assert/strict";
import { Slots } from "../../collectors/slots.ts";

async function taken(slots: Slots, count: number): Promise<number[]> {
  const order: number[] = [];
  for (let number = 0; number < count; number++) void slots.acquire().then(() => order.push(number));
  await settle();
  return order;
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("Slots gives out no more than there are, first come first served", async () => {
  const slots = new Slots(2);
  const order = await taken(slots, 4);
  assert.deepEqual(order, [0, 1]);
  slots.release();
  await settle();
  assert.deepEqual(order, [0, 1, 2]);
  slots.release();
  await settle();
  assert.deepEqual(order, [0, 1, 2, 3]);
});

Deno.test("Slots resized below what is taken waits until enough have been given back", async () => {
  const slots = new Slots(3);
  const order = await taken(slots, 4);
  slots.resize(1);
  slots.release();
  slots.release();
  await settle();
  assert.deepEqual(order, [0, 1, 2]);
  slots.release();
  await settle();
  assert.deepEqual(order, [0, 1, 2, 3]);
});

Deno.test("Slots resized upwards serves those who wait", async () => {
  const slots = new Slots(1);
  const order = await taken(slots, 3);
  slots.resize(3);
  await settle();
  assert.deepEqual(order, [0, 1, 2]);
});

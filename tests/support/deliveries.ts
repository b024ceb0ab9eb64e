/**
 * What a listener may expect of all that reached it, over restarts and crashes of the agent.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { ScriptedListener } from "./scripted_listener.ts";

/**
 * Throws unless the accepted documents are numbers 1 to N without a gap, in the order that the agent promises, each under
 * one id, and each id under one number; answers N. A crash between the answer and its being noted may send a document
 * twice: `repeated` allows that, if it is the same.
 */
export function assertComplete(listener: ScriptedListener, options: { repeated?: boolean } = {}): number {
  const idOf = new Map<number, string>();
  const jsonOf = new Map<number, string>();
  const firsts: number[] = [];
  for (const document of listener.accepted) {
    const { id, sequence } = document;
    if (idOf.has(sequence)) {
      assert(options.repeated, `number ${sequence} came twice`);
      assert.equal(id, idOf.get(sequence), `number ${sequence} came under two ids`);
      assert.equal(JSON.stringify(document), jsonOf.get(sequence), `number ${sequence} came with two contents`);
      continue;
    }
    idOf.set(sequence, id);
    jsonOf.set(sequence, JSON.stringify(document));
    firsts.push(sequence);
  }
  assert.equal(new Set(idOf.values()).size, idOf.size, "an id came under two numbers");
  assertTwoLines(firsts);
  const last = Math.max(0, ...firsts);
  const missing = Array.from({ length: last }, (_, index) => index + 1).filter((sequence) => !idOf.has(sequence));
  assert.deepEqual(missing, [], "numbers that never came");
  for (const { headers, document } of listener.received) {
    assert.equal(headers.get("idempotency-key"), document.id);
    assert.equal(
      document.id,
      idOf.get(document.sequence) ?? document.id,
      "an attempt bore another id than the delivery",
    );
  }
  return last;
}

/** Throws unless the numbers are two ascending lines merged: fresh documents and backlog, each in its own order. */
export function assertTwoLines(numbers: readonly number[]): void {
  let [fresh, backlog] = [0, 0];
  for (const number of numbers) {
    if (number > fresh) fresh = number;
    else {
      assert(number > backlog, `number ${number} came after ${backlog} of the backlog and ${fresh} of the fresh ones`);
      backlog = number;
    }
  }
}

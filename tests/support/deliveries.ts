/**
 * What a listener may expect of all that reached it, over restarts and crashes of the agent.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { ScriptedListener } from "./scripted_listener.ts";

/**
 * Throws unless the accepted documents are numbers 1 to N in order, without a gap, each under one id, and each id under
 * one number; answers N. A crash between the answer and its being noted may send a document twice: `repeated` allows
 * that, and only the same document right after itself.
 */
export function assertComplete(listener: ScriptedListener, options: { repeated?: boolean } = {}): number {
  const idOf = new Map<number, string>();
  const jsonOf = new Map<number, string>();
  let last = 0;
  for (const document of listener.accepted) {
    const { id, sequence } = document;
    if (sequence === last && options.repeated) {
      assert.equal(id, idOf.get(sequence), `number ${sequence} came under two ids`);
      assert.equal(JSON.stringify(document), jsonOf.get(sequence), `number ${sequence} came with two contents`);
      continue;
    }
    assert.equal(sequence, last + 1, `number ${sequence} came after ${last}`);
    idOf.set(sequence, id);
    jsonOf.set(sequence, JSON.stringify(document));
    last = sequence;
  }
  assert.equal(new Set(idOf.values()).size, idOf.size, "an id came under two numbers");
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

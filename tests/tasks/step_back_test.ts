// The pace of a collector whose runs are hard for the server.
import assert from "node:assert/strict";
import * as limits from "../../limits.ts";
import { StepBack } from "../../tasks/step_back.ts";

/** Of so many ticks, the numbers of those that are run. */
function runsOf(stepBack: StepBack, ticks: number): number[] {
  return Array.from({ length: ticks }, (_, index) => index + 1).filter(() => stepBack.isDue());
}

Deno.test("StepBack runs at every tick while nothing is wrong", () => {
  assert.deepEqual(runsOf(new StepBack(), 3), [1, 2, 3]);
});

Deno.test("StepBack doubles the distance with each hard run, up to its bound", () => {
  const stepBack = new StepBack();
  assert.equal(stepBack.note("hard"), true);
  assert.deepEqual(runsOf(stepBack, 6), [2, 4, 6]);
  for (let run = 0; run < 10; run++) stepBack.note("hard");
  assert.equal(stepBack.every, limits.stepBackMax);
  assert.equal(stepBack.note("hard"), false, "no news at the bound");
});

Deno.test("StepBack comes back step by step", () => {
  const stepBack = new StepBack();
  stepBack.note("hard");
  stepBack.note("hard");
  assert.deepEqual([stepBack.note("easy"), stepBack.every], [true, 2]);
  assert.deepEqual([stepBack.note("easy"), stepBack.every], [true, 1]);
  assert.deepEqual([stepBack.note("easy"), stepBack.every], [false, 1]);
});

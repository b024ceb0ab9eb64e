// A set of numbers as ranges, against a plain set.
import assert from "node:assert/strict";
import { NumberRanges } from "../../transport/number_ranges.ts";
import { seededRandom, takeSeed } from "../support/seeded_random.ts";

Deno.test("NumberRanges holds what was added, in order, and finds what was not", () => {
  const seed = takeSeed();
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  const [ranges, plain] = [new NumberRanges(), new Set<number>()];
  for (let step = 0; step < 300; step++) {
    const number = 1 + Math.floor(random() * 200);
    ranges.add(number);
    plain.add(number);
  }
  assert.deepEqual([...ranges.numbers()], [...plain].sort((one, other) => one - other));
  assert.equal(ranges.size, plain.size);
  for (let number = 0; number <= 201; number++) {
    assert.equal(ranges.has(number), plain.has(number));
    let outside = number;
    while (plain.has(outside)) outside += 1;
    assert.equal(ranges.nextOutside(number), outside);
  }
  ranges.clear();
  assert(ranges.isEmpty);
});

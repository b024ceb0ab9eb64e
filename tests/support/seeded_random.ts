/**
 * Random numbers that come again: a test that fails prints its seed, and runs the same way when given it.
 *
 * @module
 */

/** Names the seed to use instead of a new one. */
const seedVariable = "BITVILLE_TEST_SEED";

/** A seed from the environment, or a new one. */
export function takeSeed(): number {
  return Number(Deno.env.get(seedVariable) ?? crypto.getRandomValues(new Uint32Array(1))[0]);
}

/** Numbers in [0, 1) that depend on the seed alone (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return function random() {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

// The trees of waiters, on shapes that locks take and on any others.
import assert from "node:assert/strict";
import fc from "fast-check";
import { type BlockingTree, growBlockingTree } from "../../collectors/blocking_tree.ts";

/** The lower id is preferred as root. */
function ascending(one: number, other: number): number {
  return one - other;
}

function grow(edges: Record<number, number[]>, compare = ascending) {
  const tree = growBlockingTree(new Map(Object.entries(edges).map(([id, ids]) => [Number(id), ids])), compare);
  return { places: placesOf(tree), roots: tree.roots.map(({ id, blockedCount }) => [id, blockedCount]) };
}

/** `{waiter: [root, depth]}`. */
function placesOf({ places }: BlockingTree): Record<number, [number, number]> {
  return Object.fromEntries([...places].map(([id, { root, depth }]) => [id, [root, depth]]));
}

Deno.test("growBlockingTree finds nothing where nobody waits", () => {
  assert.deepEqual(grow({}), { places: {}, roots: [] });
});

Deno.test("growBlockingTree counts the steps of a chain", () => {
  assert.deepEqual(grow({ 4: [3], 3: [2], 2: [1], 5: [4] }), {
    places: { 2: [1, 1], 3: [1, 2], 4: [1, 3], 5: [1, 4] },
    roots: [[1, 4]],
  });
});

Deno.test("growBlockingTree puts a fan behind the first in the queue", () => {
  assert.deepEqual(grow({ 2: [1], 3: [2], 4: [2], 5: [2] }).places, { 2: [1, 1], 3: [1, 2], 4: [1, 2], 5: [1, 2] });
});

Deno.test("growBlockingTree takes the nearest root, then the preferred one, and counts a waiter for each", () => {
  const edges = { 10: [2, 1], 11: [10, 3], 12: [11] };
  assert.deepEqual(grow(edges), {
    places: { 10: [1, 1], 11: [3, 1], 12: [3, 2] },
    roots: [[1, 3], [2, 3], [3, 2]],
  });
  assert.deepEqual(grow(edges, (one, other) => other - one).places[10], [2, 1]);
});

Deno.test("growBlockingTree makes the preferred member of a cycle its root", () => {
  assert.deepEqual(grow({ 3: [2], 2: [1], 1: [3], 4: [2] }), {
    places: { 1: [1, 0], 2: [1, 1], 3: [1, 2], 4: [1, 2] },
    roots: [[1, 3]],
  });
});

Deno.test("growBlockingTree tells two cycles, one waiting for the other, by the one there is no way out of", () => {
  assert.deepEqual(grow({ 1: [2], 2: [1, 3], 3: [4], 4: [3] }), {
    places: { 3: [3, 0], 4: [3, 1], 2: [3, 1], 1: [3, 2] },
    roots: [[3, 3]],
  });
});

Deno.test("growBlockingTree leaves a cycle alone that waits for a root", () => {
  assert.deepEqual(grow({ 1: [2], 2: [1, 9] }), { places: { 1: [9, 2], 2: [9, 1] }, roots: [[9, 2]] });
});

Deno.test("growBlockingTree passes over waiting for oneself, for the same twice and for nobody", () => {
  assert.deepEqual(grow({ 2: [2, 1, 1], 3: [3], 4: [], 5: [4] }), {
    places: { 2: [1, 1], 5: [4, 1] },
    roots: [[1, 1], [4, 1]],
  });
});

Deno.test("growBlockingTree takes prepared transactions, whose ids are zero or below, as roots", () => {
  assert.deepEqual(grow({ 5: [0], 6: [-7, 5] }), {
    places: { 5: [0, 1], 6: [-7, 1] },
    roots: [[0, 2], [-7, 1]],
  });
});

Deno.test("growBlockingTree ends in time on a cycle of as many as are ever asked about", () => {
  const edges = new Map(Array.from({ length: 500 }, (_, id) => [id, [(id + 1) % 500]] as [number, number[]]));
  const { places, roots } = growBlockingTree(edges, ascending);
  assert.equal(places.size, 500);
  assert.deepEqual(roots, [{ id: 0, blockedCount: 499 }]);
});

const graphs = fc.array(fc.tuple(fc.integer({ min: 0, max: 12 }), fc.array(fc.integer({ min: 0, max: 12 }))), {
  maxLength: 13,
}).map((entries) => new Map(entries));

Deno.test("growBlockingTree gives every waiter one root and a depth of one more than that of one it waits for", () => {
  fc.assert(fc.property(graphs, (blockers) => {
    const { places, roots } = growBlockingTree(blockers, ascending);
    const ids = new Set(roots.map(({ id }) => id));
    assert.equal(ids.size, roots.length);
    const waiters = [...blockers].filter(([id, others]) => others.some((other) => other !== id));
    assert.deepEqual(new Set(places.keys()), new Set(waiters.map(([id]) => id)));
    for (const [id, others] of waiters) {
      const { root, depth } = places.get(id)!;
      assert(ids.has(root));
      if (depth === 0) {
        assert.equal(root, id);
        continue;
      }
      const depths = others.filter((other) => other !== id).map((other) => places.get(other)?.depth ?? 0);
      assert.equal(depth, 1 + Math.min(...depths));
      assert(others.some((other) => (places.get(other)?.root ?? other) === root));
    }
  }));
});

Deno.test("growBlockingTree counts for each root all who can reach it", () => {
  fc.assert(fc.property(graphs, (blockers) => {
    const reaches = (from: number, to: number, seen = new Set<number>()): boolean => {
      if (seen.has(from)) return false;
      seen.add(from);
      return (blockers.get(from) ?? []).some((next) => next === to || reaches(next, to, seen));
    };
    const { places, roots } = growBlockingTree(blockers, ascending);
    for (const { id, blockedCount } of roots) {
      assert.equal(blockedCount, [...places.keys()].filter((waiter) => waiter !== id && reaches(waiter, id)).length);
      assert(blockedCount > 0);
    }
    // Who waits and is a root is so because no other root can be reached.
    const free = roots.filter(({ id }) => !places.has(id));
    for (const { id } of roots.filter(({ id }) => places.has(id))) {
      assert(!free.some((root) => reaches(id, root.id)));
    }
  }));
});

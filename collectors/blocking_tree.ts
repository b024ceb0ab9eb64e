/**
 * From "this one waits for those" to who is to blame: the root of every waiter, how far it stands from it, and how many
 * each root holds up. Pure: edges in, trees out.
 *
 * @module
 */

/** For each waiter, whom it waits for directly. Any numbers do as ids. */
export type Blockers = ReadonlyMap<number, readonly number[]>;

/** Where a waiter stands. */
export interface Place {
  root: number;
  /** Steps to the root: 1 is directly behind it. 0 only for the member of a cycle that was made its root. */
  depth: number;
}

/** What holds up others. */
export interface Root {
  id: number;
  /** How many wait for it, directly or behind others. Who waits behind two roots counts for both. */
  blockedCount: number;
}

/** All waiters with their places, and the roots, those who hold up the most first. */
export interface BlockingTree {
  places: ReadonlyMap<number, Place>;
  roots: readonly Root[];
}

/**
 * Grows the trees. `compare` orders two ids as roots: what comes first is preferred.
 *
 * - A root is waited for and does not wait.
 * - A waiter's root is the nearest one; of equally near ones the preferred. Its depth is one more than that of the
 *   nearest of those it waits for.
 * - Waiters from whom no root can be reached wait for a cycle (a deadlock that is not yet resolved): the preferred
 *   member of that cycle is made its root, at depth 0.
 * - Waiting for oneself or twice for the same says nothing; who waits for nobody is no waiter.
 */
export function growBlockingTree(blockers: Blockers, compare: (one: number, other: number) => number): BlockingTree {
  const edges = withoutLoops(blockers);
  const blocked = invert(edges);
  const places = new Map<number, Place>();
  const roots = [...blocked.keys()].filter((id) => !edges.has(id)).sort(compare);
  spread(roots, { blocked, places });
  const stuck = [...edges.keys()].filter((id) => !places.has(id)).sort(compare);
  const cycleRoots = rootsOfCycles(stuck, edges);
  for (const id of cycleRoots) places.set(id, { root: id, depth: 0 });
  spread(cycleRoots, { blocked, places });
  const counted = [...roots, ...cycleRoots].map((id) => ({ id, blockedCount: reach(id, blocked).size - 1 }));
  return {
    places,
    roots: counted.sort((one, other) => other.blockedCount - one.blockedCount || compare(one.id, other.id)),
  };
}

function withoutLoops(blockers: Blockers): Map<number, readonly number[]> {
  const edges = new Map<number, readonly number[]>();
  for (const [id, ids] of blockers) {
    const others = [...new Set(ids)].filter((other) => other !== id);
    if (others.length > 0) edges.set(id, others);
  }
  return edges;
}

function invert(edges: Blockers): Map<number, number[]> {
  const blocked = new Map<number, number[]>();
  for (const [id, ids] of edges) {
    for (const blocker of ids) {
      const waiters = blocked.get(blocker);
      if (waiters === undefined) blocked.set(blocker, [id]);
      else waiters.push(id);
    }
  }
  return blocked;
}

/** Gives a place to all that wait behind `roots`, breadth first, so that the nearest root and its order win. */
function spread(roots: readonly number[], grown: { blocked: Blockers; places: Map<number, Place> }): void {
  const { blocked, places } = grown;
  const queue = [...roots];
  // The queue grows while it is walked; everybody enters it once, with the first place.
  for (const id of queue) {
    const { root, depth } = places.get(id) ?? { root: id, depth: 0 };
    for (const waiter of blocked.get(id) ?? []) {
      if (places.has(waiter)) continue;
      places.set(waiter, { root, depth: depth + 1 });
      queue.push(waiter);
    }
  }
}

/**
 * One member of each cycle that all `stuck` waiters end in, given in the order of preference. A cycle of which there is
 * no way out is a set of ids that reach just each other, and so each as many.
 */
function rootsOfCycles(stuck: readonly number[], edges: Blockers): number[] {
  const reached = new Map(stuck.map((id) => [id, reach(id, edges)]));
  const settled = new Set<number>();
  const roots: number[] = [];
  for (const [id, ids] of reached) {
    const noWayOut = [...ids].every((other) => reached.get(other)?.size === ids.size);
    if (!noWayOut || settled.has(id)) continue;
    roots.push(id);
    for (const other of ids) settled.add(other);
  }
  return roots;
}

/** The id itself and all that can be reached from it. */
function reach(id: number, edges: Blockers): Set<number> {
  const ids = new Set([id]);
  for (const one of ids) {
    for (const next of edges.get(one) ?? []) ids.add(next);
  }
  return ids;
}

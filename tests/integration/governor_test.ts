// The governor on a real server in trouble: what the agent costs it falls, and what is left is still reported.
import assert from "node:assert/strict";
import { openServer } from "../bench/server.ts";
import { sufferTrouble } from "../bench/governor.ts";

Deno.test("Governor lowers what the agent costs a server with large texts and a queue for a lock", async () => {
  await using server = await openServer(undefined);
  const { governed, ungoverned } = await sufferTrouble(server, {
    ...{ sessions: 130, waiters: 110, statements: 600, textChars: 50_000 },
    // A budget of 10 ms: what is large on a large server.
    ...{ cycles: 12, moving: 40, intervalMs: 2_000 },
  });
  const sum = (cycles: { serverMs: number }[]) => cycles.reduce((total, { serverMs }) => total + serverMs, 0);
  // The first cycles are alike: it takes one to see the cost.
  const [late, lateUngoverned] = [governed.slice(4), ungoverned.slice(4)];
  assert.ok(
    sum(late) < sum(lateUngoverned) / 2,
    `${sum(late)} ms with it, ${sum(lateUngoverned)} ms without: ${JSON.stringify(governed)}`,
  );
  assert.notEqual(governed[0]?.step, "none", "it steps down at once for the queue");
  assert.ok(late.some(({ serverMs }) => serverMs > 0), "never silent");
});

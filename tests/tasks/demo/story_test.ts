/**
 * The demo's story on a real server: that what it promises can be seen.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Story } from "../../../tasks/listener/queries/story.ts";
import { startStoryStage } from "../../support/story_stage.ts";

Deno.test("tellStory leaves a request that was blocked, ended in a deadlock and was logged, and nothing missing", async () => {
  await using stage = await startStoryStage();
  const { victim, holder, partner, kept, refused, missing } = await stage.tell();
  assert.ok(kept > 0, "nothing was collected while the listener was away");
  assert.ok(refused > 0, "the agent did not find the listener away");
  assert.equal(missing, 0);
  const told = stage.said.join("\n");
  for (const part of ["1 of 4", "2 of 4", "3 of 4", "4 of 4", `#/request/${victim}`]) {
    assert.ok(told.includes(part), part);
  }
  const answer = await fetch(new URL(`api/requests/${victim}`, stage.listener.current.pageUrl));
  const { waits, log, processes } = await answer.json() as Story;
  assert.ok(processes.length > 0);
  const waited = waits.filter(({ role }) => role === "waited");
  assert.deepEqual(waited.map(({ other, ended }) => [other.correlationId, ended]), [
    [holder, "acquired"],
    [partner, "deadlock"],
  ]);
  assert.deepEqual(waited[0]!.sources.toSorted(), ["log", "pg_locks"]);
  const held = waits.filter(({ role }) => role === "held");
  assert.deepEqual(held.map(({ other, ended }) => [other.correlationId, ended]), [[partner, "acquired"]]);
  const failed = log.filter(({ entry }) => entry.level === "ERROR");
  assert.deepEqual(failed.map(({ entry }) => entry.sqlstate), ["40P01"]);
});

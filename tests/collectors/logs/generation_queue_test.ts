// What looks find of a log and its rotated files. Every kind of rotation, with entries: tests/tasks/log_run_test.ts.
import assert from "node:assert/strict";
import { GenerationQueue } from "../../../collectors/logs/generation_queue.ts";
import type { FamilyState, LogLoss } from "../../../collectors/logs/log_family_state.ts";
import { LogFolder } from "../../support/log_folder.ts";

/** A queue and what it has said. */
function queueOf({ path }: LogFolder, state?: FamilyState) {
  const losses: LogLoss[] = [];
  const rotations: string[] = [];
  const queue = new GenerationQueue({
    path,
    nowMs: () => Date.parse("2026-11-21T03:00:00Z"),
    onRotation: ({ kind }) => void rotations.push(kind),
    onLoss: (loss) => void losses.push(loss),
  }, state);
  return { queue, losses, rotations };
}

/** Followed from its beginning. */
async function begin(folder: LogFolder) {
  const followed = queueOf(folder);
  await followed.queue.begin(await folder.info(), { offset: 0, sinceMs: Infinity });
  return followed;
}

/** The names of the generations behind the log's own, in their order. */
function ends(queue: GenerationQueue, { path }: LogFolder): string[] {
  return queue.state.generations.map((generation) => generation.path.slice(path.length));
}

Deno.test("GenerationQueue has what came and went between two looks before the file that has the name", async () => {
  await using folder = await LogFolder.open();
  await folder.write("first\n");
  const { queue, rotations } = await begin(folder);
  assert.equal(await queue.look(), false);
  assert.equal(queue.isCurrent, true);
  await folder.rename("postgresql.log.2");
  await folder.write("second\n");
  await folder.rename("postgresql.log.1");
  await folder.write("third\n");
  assert.equal(await queue.look(), true);
  // Nobody has read of the first one: it is not held open, and found under its new name.
  assert.deepEqual(ends(queue, folder), [".2", ".1", ""]);
  assert.deepEqual(rotations, ["renamed", "renamed"]);
  assert.equal(queue.isCurrent, false);
  assert.equal(await queue.look(), false);
});

Deno.test("GenerationQueue goes on in the copy of a truncated file, and counts what was unread where there is none", async () => {
  for (const rotate of ["copyTruncate", "truncate"] as const) {
    await using folder = await LogFolder.open();
    await folder.write("what nobody has read\n");
    const { queue, losses, rotations } = await begin(folder);
    if (rotate === "copyTruncate") await folder.copyTruncate("postgresql.log.1");
    else await Deno.truncate(folder.path);
    await folder.append("new\n");
    await queue.look();
    assert.deepEqual(rotations, ["truncated"]);
    assert.deepEqual(ends(queue, folder), [rotate === "copyTruncate" ? ".1" : "", ""]);
    const since = "2026-11-21T03:00:00.000Z";
    assert.deepEqual(losses, rotate === "copyTruncate" ? [] : [{ file: folder.path, bytes: 21, since }]);
  }
});

Deno.test("GenerationQueue looks again after a look that failed, and loses nothing by it", async () => {
  await using folder = await LogFolder.open();
  await folder.write("old\n");
  const { queue, losses } = await begin(folder);
  await queue.look();
  const away = `${folder.folder}.away`;
  await Deno.rename(folder.folder, away);
  await assert.rejects(queue.look(), Deno.errors.NotFound);
  assert.equal(queue.isCurrent, false);
  await Deno.rename(away, folder.folder);
  await folder.rename("postgresql.log.1");
  await folder.write("new\n");
  assert.equal(await queue.look(), true);
  assert.deepEqual(ends(queue, folder), [".1", ""]);
  assert.deepEqual(losses, []);
});

Deno.test("GenerationQueue finds again what an earlier process stored, and what came since", async () => {
  await using folder = await LogFolder.open();
  await folder.write("old\n");
  const { state } = (await begin(folder)).queue;
  await folder.rename("postgresql.log.2");
  await folder.write("missed\n");
  await folder.rename("postgresql.log.1");
  await folder.write("new\n");
  const { queue, losses } = queueOf(folder, state);
  assert.equal(queue.isEmpty, false);
  assert.equal(await queue.look(), true);
  assert.deepEqual(ends(queue, folder), [".2", ".1", ""]);
  assert.deepEqual(losses, []);
  queue.shift();
  assert.deepEqual(queue.state.done.map(({ bytes }) => bytes), [4]);
  assert.deepEqual(ends(queue, folder), [".1", ""]);
});

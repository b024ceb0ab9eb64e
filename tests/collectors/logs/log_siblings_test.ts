// What a search beside a log finds while its files are being copied and truncated.
import assert from "node:assert/strict";
import { beginGeneration } from "../../../collectors/logs/generation.ts";
import { fileStart } from "../../../collectors/logs/log_parser.ts";
import { Siblings } from "../../../collectors/logs/log_siblings.ts";
import { LogFolder } from "../../support/log_folder.ts";

const whole = "a line of a log\n".repeat(500);
/** As `cp` has made it so far. */
const part = whole.slice(0, 4_096);

Deno.test("Siblings takes the copy of the current file for none of its own while it is being made", async () => {
  await using folder = await LogFolder.open();
  await folder.write("");
  const current = await beginGeneration(await folder.info(), fileStart);
  await folder.write(whole);
  await folder.write(part, "postgresql.log.1");
  await folder.write("another log\n", "postgresql.log.2");
  const unread = await new Siblings(folder.path, []).unread({ followed: [], current });
  assert.deepEqual(unread.map(({ path }) => path), [`${folder.path}.2`]);
});

Deno.test("Siblings gives up a search during which the current file has begun anew", async () => {
  await using folder = await LogFolder.open();
  await folder.write("what was there before\n");
  const current = await beginGeneration(await folder.info(), fileStart);
  await folder.write(whole);
  await folder.write(part, "postgresql.log.1");
  await assert.rejects(new Siblings(folder.path, []).unread({ followed: [], current }), Deno.errors.NotFound);
});

Deno.test("Siblings finds nothing that was read, and remembers those it meets longest", async () => {
  await using folder = await LogFolder.open();
  const siblings = new Siblings(folder.path, []);
  for (const name of ["postgresql.log.1", "postgresql.log.2"]) await folder.write(`${name}\n`, name);
  const unread = await siblings.unread({ followed: [], current: null });
  assert.equal(unread.length, 2);
  for (const { head } of unread) siblings.markRead(head);
  for (let gone = 0; gone < 100; gone++) {
    siblings.markRead({ bytes: 10, hash: `${gone}` });
    assert.deepEqual(await siblings.unread({ followed: [], current: null }), []);
  }
  assert.equal(siblings.done.length, 64);
});

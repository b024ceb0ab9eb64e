// The order in which a log is read. What of it is looked for where: generation_queue_test.ts.
import assert from "node:assert/strict";
import { JsonParser } from "../../../collectors/logs/json_parser.ts";
import { LogFamily } from "../../../collectors/logs/log_family.ts";
import type { FamilyState, LogChunk } from "../../../collectors/logs/log_family_state.ts";
import { logQuietReads } from "../../../limits.ts";
import { LogFolder } from "../../support/log_folder.ts";

/** More reads than it takes to see that a file rests. */
const readsMax = 10;

function familyOf({ path }: LogFolder, state?: FamilyState): LogFamily {
  return new LogFamily({
    path,
    createParser: (from) => new JsonParser({ from }),
    nowMs: () => 0,
    onRotation: () => undefined,
    onLoss: () => assert.fail("nothing is lost"),
  }, state);
}

function lines(...numbers: number[]): string {
  return numbers.map((number) => `{"error_severity":"LOG","message":"${number}"}\n`).join("");
}

/** All that can be read without another look. */
async function readAll(family: LogFamily): Promise<LogChunk[]> {
  const chunks: LogChunk[] = [];
  for (let read = 0; read < readsMax; read++) {
    for (let chunk = await family.read(); chunk !== null; chunk = family.readOn()) chunks.push(chunk);
  }
  return chunks;
}

function messages(chunks: readonly LogChunk[]): number[] {
  return chunks.flatMap(({ records }) => records.map(({ entry }) => Number(entry.message)));
}

Deno.test("LogFamily reads an old generation to its end before the new one, and then lets it go", async () => {
  await using folder = await LogFolder.open();
  await folder.write(lines(0, 1));
  const family = familyOf(folder);
  await family.begin(await folder.info(), { offset: 0, sinceMs: Infinity });
  await family.look();
  assert.deepEqual(messages(await readAll(family)), [0, 1]);
  await folder.append(lines(2));
  await folder.rename("postgresql.log.1");
  await folder.write(lines(3));
  await family.look();
  assert.deepEqual(messages([(await family.read())!]), [2]);
  assert.equal(await family.read(), null);
  // The server goes on in the old file until it has opened the new one.
  await folder.write(lines(4), "postgresql.log.1", { append: true });
  assert.deepEqual(messages(await readAll(family)), [4, 3]);
  assert.equal(family.state.generations.length, 1);
  assert.equal(family.state.done.length, 1);
  family.close();
});

Deno.test("LogFamily says with each entry where a later process goes on behind it", async () => {
  await using folder = await LogFolder.open();
  await folder.write(lines(0, 1, 2, 3));
  const family = familyOf(folder);
  await family.begin(await folder.info(), { offset: 0, sinceMs: Infinity });
  const [chunk] = await readAll(family);
  family.close();
  assert.equal(chunk!.records.length, 4);
  for (const count of [1, 2, 3, 4]) {
    const later = familyOf(folder, chunk!.stateAfter(count));
    await later.look();
    assert.deepEqual(messages(await readAll(later)), [0, 1, 2, 3].slice(count));
    later.close();
  }
});

Deno.test("LogFamily closes a file that rests, and reads on when a look has seen more", async () => {
  await using folder = await LogFolder.open();
  await folder.write(lines(0));
  const family = familyOf(folder);
  await family.begin(await folder.info(), { offset: 0, sinceMs: Infinity });
  for (let read = 0; read <= logQuietReads; read++) {
    await family.look();
    await family.read();
  }
  assert.equal(family.isQuiet, true);
  await folder.append(lines(1));
  assert.deepEqual(messages(await readAll(family)), []);
  await family.look();
  assert.equal(family.isQuiet, false);
  assert.deepEqual(messages(await readAll(family)), [1]);
  family.close();
});

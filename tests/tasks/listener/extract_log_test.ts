/**
 * What the listener reads out of log entries, in the words of PostgreSQL 12 to 18.
 *
 * @module
 */

import assert from "node:assert/strict";
import { logExtract, mentionedPids, waitedMs } from "../../../tasks/listener/extract_log.ts";

const still = "process 28 still waiting for ShareLock on transaction 897 after 1000.099 ms";
const acquired =
  "process 28 acquired AccessExclusiveLock on tuple (3,48) of relation 16402 of database 16387 after 5.5 ms";

Deno.test("mentionedPids names who waits and who holds, and nobody in other messages", () => {
  const cases: [string, string | null, number[]][] = [
    [still, "Process holding the lock: 27. Wait queue: 28, 30.", [28, 27]],
    [still, "Processes holding the lock: 27, 29. Wait queue: 28.", [28, 27, 29]],
    [acquired, null, [28]],
    ["process 28 detected deadlock while waiting for ShareLock on transaction 1 after 1000.1 ms", null, [28]],
    [
      "deadlock detected",
      "Process 27 waits for ShareLock on transaction 742; blocked by process 28.\n" +
      "Process 28 waits for ShareLock on transaction 741; blocked by process 27.\nProcess 27: UPDATE a\nProcess 28: UPDATE b",
      [27, 28],
    ],
    ["checkpoint starting: process 12", "Process 13", []],
    ["duration: 3.1 ms  statement: select 'process 28 acquired x on y after 1 ms'", null, []],
  ];
  for (const [message, detail, pids] of cases) assert.deepEqual(mentionedPids({ message, detail }), pids, message);
});

Deno.test("waitedMs reads the milliseconds of a wait", () => {
  assert.equal(waitedMs({ message: still }), 1000.099);
  assert.equal(waitedMs({ message: acquired }), 5.5);
  assert.equal(waitedMs({ message: "duration: 5.5 ms" }), null);
});

Deno.test("logExtract counts an error for its request, with its code", () => {
  const entry = {
    ...{ timestamp: "2026-11-21T05:00:00.000Z", pid: 28, sqlstate: "40P01", detail: null, hint: null, context: null },
    ...{ statement: null, user: null, database: null, application_name: null },
  };
  const correlation_id = "0b1d3f60-5b7e-4c2f-9a51-6f0a7f3f7a10";
  const entries = [
    { ...entry, level: "ERROR", message: "deadlock detected", correlation_id },
    { ...entry, level: "WARNING", sqlstate: null, message: "something", correlation_id },
    { ...entry, level: "FATAL", message: "of nobody", correlation_id: null, timestamp: null },
  ];
  const { log, sightings } = logExtract({ entries }, 7);
  assert.deepEqual(sightings?.map(({ error }) => error), ["40P01 deadlock detected", null]);
  assert.deepEqual(log?.map(({ atMs }) => atMs), [Date.parse(entry.timestamp), Date.parse(entry.timestamp), null]);
});

/**
 * What a batch keeps of the files that its entries were read from.
 *
 * @module
 */

import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createLogParser } from "../../collectors/logs/detect.ts";
import type { LogEntry } from "../../collectors/logs/entry.ts";
import { type LogFormat, logFormats } from "../../collectors/logs/log_parser.ts";
import * as limits from "../../limits.ts";
import { LogBatch } from "../../tasks/log_batch.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;
const encoder = new TextEncoder();
const time = "2026-11-21 06:12:28.226 UTC";
const name = "an application with a name";

const recordOf: Record<LogFormat, (message: string) => string> = {
  stderr: (message) => `${time} [7] u@d ${name} LOG:  ${message}\n`,
  csvlog: (message) => `${time},"u","d",7,,65.1,1,,,,0,LOG,00000,"${message}",,,,,,,,,"${name}","client backend",,7\n`,
  jsonlog: (message) =>
    `{"timestamp":"${time}","error_severity":"LOG","message":"${message}","application_name":"${name}","query_id":${
      "9".repeat(18)
    }}\n`,
};

function heapBytes(): number {
  collectGarbage();
  collectGarbage();
  return Deno.memoryUsage().heapUsed;
}

for (const format of logFormats) {
  Deno.test(`${format}: entries keep little of the long records between them`, () => {
    const count = 30;
    const record = recordOf[format];
    const bytes = encoder.encode(record("x".repeat(3_000_000)) + record("a message of some length"));
    const parser = createLogParser(format, { prefix: "%m [%p] %u@%d %a " });
    const kept: LogEntry[] = [];
    const before = heapBytes();
    for (let index = 0; index < count; index++) {
      for (let start = 0; start < bytes.length; start += limits.logBlockBytes) {
        const block = bytes.subarray(start, start + limits.logBlockBytes);
        kept.push(...parser.push(block).map(({ entry }) => entry));
      }
    }
    const grownBytes = heapBytes() - before;
    assert.ok(kept.length > count);
    // All of it would be 90 MB, or twice that; a block or two may still be held.
    assert.ok(grownBytes < 30_000_000, `${kept.length} entries keep ${grownBytes} bytes`);
  });

  Deno.test(`${format}: a batch keeps little of the blocks from which entries are dropped`, () => {
    const record = recordOf[format]("a message of some length");
    const bytes = encoder.encode(record.repeat(Math.floor(limits.logBlockBytes / record.length)));
    const parser = createLogParser(format, { prefix: "%m [%p] %u@%d %a " });
    const batch = new LogBatch();
    const before = heapBytes();
    for (let index = 0; index < 200; index++) {
      const [first, ...others] = parser.push(bytes);
      for (const _ of others) batch.drop(0);
      batch.add(first!.entry, 0);
      batch.note({ path: "postgresql.log", generations: [], done: [], atMs: 0 });
    }
    const grownBytes = heapBytes() - before;
    assert.ok(grownBytes < 20_000_000, `${grownBytes} bytes`);
    assert.equal(batch.take().count, 200);
  });
}

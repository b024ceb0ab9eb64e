/**
 * All parsers: real servers' logs, blocks that end anywhere, resuming anywhere, and files that are none.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { createLogParser } from "../../../collectors/logs/detect.ts";
import type { LogEntry } from "../../../collectors/logs/entry.ts";
import {
  fileStart,
  type LogFormat,
  logFormats,
  type LogParser,
  type LogRecord,
  type ResumePoint,
} from "../../../collectors/logs/log_parser.ts";
import * as limits from "../../../limits.ts";
import { parseAll } from "../../support/server_logs.ts";

const encoder = new TextEncoder();
const time = "2026-11-21 06:12:28.226 UTC";

/** A few entries with all that makes them hard, invalid UTF-8 included. */
const samples: Record<LogFormat, Uint8Array> = {
  stderr: bytesOf(
    `${time} [1] ERROR:  one äöü\n\tof two lines\n`,
    `${time} [2] LOG:  between 🐘\n`,
    `${time} [1] DETAIL:  of one\n\n${time} [1] STATEMENT:  select\n\t\t'ü`,
    [0xff, 0xe2, 0x82],
    `'\n/bin/sh: 1: foreign: not found\n${time} [2] LOG:  last\n`,
  ),
  csvlog: bytesOf(
    `${time},"u","d",1,"h:1",65.1,1,"SELECT",2026-11-21 06:12:28 UTC,3/4,0,ERROR,42P01,"one ""äöü""\nof two",,,,,,"select\n'ü`,
    [0xff, 0xe2, 0x82],
    `'",5,,"bitville-x","client backend",,-9223372036854775808\nforeign\n\n`,
    `${time},"ü","d",1,"h:1",65.1,2,"SELECT",2026-11-21 06:12:28 UTC,3/4,0,ERROR,42P01,"torn\n🐘`,
    `${time},,,2,,65.2,1,,2026-11-21 06:12:28 UTC,,0,LOG,00000,"after it",,,,,,,,,"","checkpointer",,0\n`,
  ),
  jsonlog: bytesOf(
    `{"timestamp":"${time}","pid":1,"error_severity":"ERROR","state_code":"42P01","message":"one äöü\\nof two","statement":"ü`,
    [0xff, 0xe2, 0x82],
    `","cursor_position":5,"query_id":-9223372036854775808}\nforeign 🐘\n\n`,
    `{"timestamp":"${time}","pid":2,"error_severity":"LOG","message":"after it","query_id":0}\n`,
  ),
};

function bytesOf(...parts: (string | number[])[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => typeof part === "string" ? [...encoder.encode(part)] : part));
}

function all(parser: LogParser, blocks: Iterable<Uint8Array>): LogRecord[] {
  const records: LogRecord[] = [];
  for (const block of blocks) records.push(...parser.push(block));
  return [...records, ...parser.finish()];
}

function entriesOf(records: readonly LogRecord[]): LogEntry[] {
  return records.map(({ entry }) => entry);
}

for (const format of logFormats) {
  const bytes = samples[format];

  Deno.test(`${format}: two blocks give the same entries, wherever the first one ends`, () => {
    const whole = entriesOf(all(createLogParser(format), [bytes]));
    assert.equal(whole.length, format === "jsonlog" ? 3 : 4);
    for (let end = 0; end <= bytes.length; end++) {
      const parser = createLogParser(format);
      assert.deepEqual(entriesOf(all(parser, [bytes.subarray(0, end), bytes.subarray(end)])), whole, `split at ${end}`);
      assert.equal(parser.counts.bytes, bytes.length);
      assert.equal(parser.counts.lines, bytes.filter((byte) => byte === 10).length, `split at ${end}`);
    }
    const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
    assert.deepEqual(entriesOf(all(createLogParser(format), single)), whole);
  });

  Deno.test(`${format}: a parser that resumes behind any entry gives what is left, nothing twice`, () => {
    const records = all(createLogParser(format), [bytes]);
    records.forEach(({ offset, claimed }, index) => {
      const from: ResumePoint = JSON.parse(JSON.stringify({ offset, claimed }));
      const rest = all(createLogParser(format, { from }), [bytes.subarray(offset)]);
      assert.deepEqual(entriesOf(rest), entriesOf(records).slice(index + 1), `behind entry ${index}`);
      assert.deepEqual(rest.map((record) => record.offset), records.slice(index + 1).map((record) => record.offset));
    });
    assert.equal(records.at(-1)?.offset, bytes.length);
  });

  Deno.test(`${format}: its resume point is at what it has not returned`, () => {
    const parser = createLogParser(format);
    const before: LogRecord[] = [];
    for (let end = 1; end <= bytes.length; end++) {
      before.push(...parser.push(bytes.subarray(end - 1, end)));
      if (end % 7 === 0) before.push(...parser.settle());
      const { offset } = parser.resume;
      assert.ok(offset <= end);
      // Blank lines are no entries.
      assert.ok(offset >= (before.at(-1)?.offset ?? 0));
      const rest = all(createLogParser(format, { from: parser.resume }), [bytes.subarray(offset)]);
      assert.ok(rest.length + before.length >= 3, `after ${end} bytes`);
    }
    assert.deepEqual(createLogParser(format).resume, fileStart);
  });

  Deno.test(`${format}: bytes that are no log do not break it, and none is lost sight of`, () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.constantFrom('"', ",", "\n", "\t", `${time} [1] `, "LOG:  ", "DETAIL:  ", '{"', `${time},`, "\r\n").map((
        text,
      ) => encoder.encode(text)),
    );
    fc.assert(fc.property(fc.array(piece, { maxLength: 40 }), fc.nat(50), (pieces, block) => {
      const input = Uint8Array.from(pieces.flatMap((part) => [...part]));
      const whole = entriesOf(all(createLogParser(format), [input]));
      const parts = parseAll(input, { format, block: block + 1 });
      assert.deepEqual(parts, whole);
      const parser = createLogParser(format);
      all(parser, [input]);
      assert.equal(parser.resume.offset, input.length);
    }));
  });

  Deno.test(`${format}: a record of 50 MB, zero bytes, one quote, empty lines: bounded memory, honest counts`, () => {
    const mb = new Uint8Array(1_000_000).fill(0x78);
    const head: Record<LogFormat, string> = {
      stderr: `${time} [1] LOG:  statement: `,
      csvlog: `${time},"u","d",1,,65.1,1,,,,0,LOG,00000,"statement: `,
      jsonlog: `{"timestamp":"${time}","pid":1,"error_severity":"LOG","message":"statement: `,
    };
    const tail: Record<LogFormat, string> = {
      stderr: "\n",
      csvlog: `",,,,,,,,,"bitville-0b1d3f60-5b7e-4c2f-9a51-6f0a7f3f7a10","client backend",,7\n`,
      jsonlog: `","application_name":"bitville-0b1d3f60-5b7e-4c2f-9a51-6f0a7f3f7a10"}\n`,
    };
    const parser = createLogParser(format);
    const records = all(parser, [encoder.encode(head[format]), ...Array(50).fill(mb), encoder.encode(tail[format])]);
    const [entry] = entriesOf(records);
    assert.equal(records.length, 1);
    assert.equal(entry?.level, "LOG");
    assert.equal(entry.message.length, limits.logTextCharsMax);
    assert.ok(entry.message.endsWith("x...[truncated]"));
    if (format !== "stderr") assert.equal(entry.correlation_id, "0b1d3f60-5b7e-4c2f-9a51-6f0a7f3f7a10");
    assert.ok(parser.counts.skippedBytes > 49_000_000);
    assert.equal(parser.counts.cutEntries, 1);

    const zeros = createLogParser(format);
    const [zero, ...further] = entriesOf(all(zeros, Array(20).fill(new Uint8Array(1_000_000))));
    assert.equal(zero?.level, "UNKNOWN");
    assert.deepEqual([further.length, zeros.counts.lines], [0, 1]);

    const open = createLogParser(format);
    const opened = all(open, [encoder.encode(head[format]), ...Array(20).fill(mb)]);
    assert.equal(opened.length, 1);
    assert.equal(open.resume.offset, open.counts.bytes);

    const empty = createLogParser(format);
    assert.deepEqual(all(empty, [new Uint8Array(1_000_000).fill(10)]), []);
    assert.equal(empty.counts.blankLines, 1_000_000);
    assert.deepEqual(all(createLogParser(format), []), []);
  });
}

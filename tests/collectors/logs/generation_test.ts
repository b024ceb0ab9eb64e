// One file, read in blocks and parsed in pieces.
import assert from "node:assert/strict";
import { beginGeneration } from "../../../collectors/logs/generation.ts";
import {
  fileStart,
  type LogParser,
  type LogRecord,
  noCounts,
  noneClaimed,
} from "../../../collectors/logs/log_parser.ts";
import { emptyEntry } from "../../../collectors/logs/entry.ts";
import * as limits from "../../../limits.ts";
import { LogFolder } from "../../support/log_folder.ts";

/** Looks at all of an unfinished record again with each push, as every parser may have to. */
class CountingParser implements LogParser {
  readonly counts = noCounts();
  readonly resume = fileStart;
  readonly pieces: number[] = [];

  push(bytes: Uint8Array): LogRecord[] {
    this.pieces.push(bytes.length);
    if (bytes.lastIndexOf(10) < 0) return [];
    return [{ entry: emptyEntry("LOG", "", null), offset: 0, claimed: noneClaimed }];
  }

  settle(): LogRecord[] {
    return [];
  }

  finish(): LogRecord[] {
    return [];
  }
}

Deno.test("Generation gives a parser small pieces, and larger ones while a long record lasts", async () => {
  await using folder = await LogFolder.open();
  const { logBlockBytes: block, logPieceBytes: piece } = limits;
  const short = `${"s".repeat(99)}\n`;
  const shorts = short.repeat(2 * block / short.length);
  await folder.write(`${shorts}${"l".repeat(12 * block)}\n${shorts}`);
  const parser = new CountingParser();
  const generation = await beginGeneration(await folder.info(), fileStart);
  for (
    let records = await generation.read(() => parser);
    records !== null;
    records = await generation.read(() => parser)
  ) {
    while (records !== null) records = generation.parseOn();
  }
  generation.close();
  assert.equal(parser.pieces.reduce((sum, bytes) => sum + bytes, 0), (await folder.info()).size);
  assert.deepEqual(parser.pieces.slice(0, 3), [piece, piece, piece]);
  assert.deepEqual(parser.pieces.slice(-3, -1), [piece, piece]);
  // Of twelve blocks each is one piece, but for those in which the record begins and ends.
  const whole = parser.pieces.filter((bytes) => bytes === block).length;
  assert(whole >= 10, `Pieces are ${parser.pieces}`);
  assert(parser.pieces.length < 2 * 2 * block / piece + 20, `${parser.pieces.length} pieces`);
});

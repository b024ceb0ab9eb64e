/**
 * Reads one log file once, in one of several ways, and prints how many seconds that took and how many entries or lines
 * there were: one JSON object. One way a process, so that none finds warm what another has left.
 *
 * Usage: `parse_log.ts FILE FORMAT PREFIX parse|lines|slices|json`
 *
 * @module
 */

import { createLogParser } from "../../../collectors/logs/detect.ts";
import type { LogFormat } from "../../../collectors/logs/log_parser.ts";
import { TimeZone } from "../../../collectors/logs/timezone.ts";
import * as limits from "../../../limits.ts";

/** The parser, splitting into lines in two ways, or `JSON.parse` of every line. */
export type Way = "parse" | "lines" | "slices" | "json";

/** What a run took, and what it found. */
export interface ParseReport {
  seconds: number;
  count: number;
}

const [file = "", format = "stderr", prefix = "", way = "parse"] = Deno.args;

function eachBlock(use: (block: Uint8Array) => void): void {
  using handle = Deno.openSync(file);
  const buffer = new Uint8Array(limits.logBlockBytes);
  for (let count = handle.readSync(buffer); count !== null; count = handle.readSync(buffer)) {
    use(buffer.subarray(0, count));
  }
}

function parse(): number {
  const parser = createLogParser(format as LogFormat, { file: null, zone: new TimeZone("UTC"), prefix });
  let entries = 0;
  eachBlock((block) => {
    // As the agent does.
    for (let start = 0; start < block.length; start += limits.logPieceBytes) {
      entries += parser.push(block.subarray(start, start + limits.logPieceBytes)).length;
    }
  });
  return entries + parser.finish().length;
}

/**
 * Each line becomes a string of its own, as what is kept of a log has to be. Splitting a decoded block is several times as
 * fast, because V8 then hands out slices, each of which keeps its whole block in memory.
 */
function splitIntoLines(use: (line: string) => unknown): number {
  const decoder = new TextDecoder();
  let held = new Uint8Array(0);
  let count = 0;
  eachBlock((block) => {
    const bytes = new Uint8Array(held.length + block.length);
    bytes.set(held);
    bytes.set(block, held.length);
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      use(decoder.decode(bytes.subarray(start, end)));
      start = end + 1;
      count += 1;
    }
    held = bytes.slice(start);
  });
  return count;
}

/** What V8 can do when nothing is kept: whole blocks are decoded and split into slices. */
function sliceIntoLines(use: (line: string) => unknown): number {
  const decoder = new TextDecoder();
  let [rest, count] = ["", 0];
  eachBlock((block) => {
    const lines = (rest + decoder.decode(block, { stream: true })).split("\n");
    rest = lines.pop()!;
    count += lines.length;
    for (const line of lines) use(line);
  });
  return count;
}

let chars = 0;
const ways: Record<Way, () => number> = {
  parse,
  lines: () => splitIntoLines((line) => chars += line.length),
  slices: () => sliceIntoLines((line) => chars += line.length),
  json: () => sliceIntoLines((line) => chars += JSON.parse(line).message?.length ?? 0),
};

const startMs = performance.now();
const count = ways[way as Way]();
console.log(JSON.stringify({ seconds: (performance.now() - startMs) / 1_000, count }));

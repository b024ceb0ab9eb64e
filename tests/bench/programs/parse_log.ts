/**
 * Reads one log file once, in one of several ways, and prints how many seconds that took and how many entries or lines
 * there were: one JSON object. One way a process, so that none finds warm what another has left.
 *
 * Usage: `parse_log.ts FILE FORMAT PREFIX parse|lines|json`
 *
 * @module
 */

import { createLogParser } from "../../../collectors/logs/detect.ts";
import type { LogFormat } from "../../../collectors/logs/log_parser.ts";
import { TimeZone } from "../../../collectors/logs/timezone.ts";
import * as limits from "../../../limits.ts";

/** The parser, splitting into lines, or `JSON.parse` of every line. */
export type Way = "parse" | "lines" | "json";

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
  eachBlock((block) => entries += parser.push(block).length);
  return entries + parser.finish().length;
}

/** Whole blocks are decoded, as the fastest plain way does. */
function splitIntoLines(use: (line: string) => unknown): number {
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
  json: () => splitIntoLines((line) => chars += JSON.parse(line).message?.length ?? 0),
};

const startMs = performance.now();
const count = ways[way as Way]();
console.log(JSON.stringify({ seconds: (performance.now() - startMs) / 1_000, count }));

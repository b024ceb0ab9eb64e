/**
 * Reads one log file in several ways, in turns, and prints how many seconds each took: one JSON object.
 *
 * Usage: `parse_log.ts FILE FORMAT PREFIX RUNS`
 *
 * @module
 */

import { createLogParser } from "../../../collectors/logs/detect.ts";
import type { LogFormat } from "../../../collectors/logs/log_parser.ts";
import { TimeZone } from "../../../collectors/logs/timezone.ts";
import * as limits from "../../../limits.ts";

/** Seconds by the way of reading, one a run; and how many entries there are. */
export interface ParseReport {
  entries: number;
  parse: number[];
  lines: number[];
  /** `JSON.parse` of every line; of jsonlog only. */
  json: number[];
}

const [file = "", format = "stderr", prefix = "", runs = "3"] = Deno.args;

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
function splitIntoLines(use: (line: string) => void): void {
  const decoder = new TextDecoder();
  let rest = "";
  eachBlock((block) => {
    const lines = (rest + decoder.decode(block, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) use(line);
  });
}

function timed(task: () => void): number {
  const startMs = performance.now();
  task();
  return (performance.now() - startMs) / 1_000;
}

let [entries, chars] = [0, 0];
const report: ParseReport = { entries, parse: [], lines: [], json: [] };
for (let run = 0; run < Number(runs); run++) {
  report.parse.push(timed(() => entries = parse()));
  report.lines.push(timed(() => splitIntoLines((line) => chars += line.length)));
  if (format !== "jsonlog") continue;
  report.json.push(timed(() => splitIntoLines((line) => chars += Object.keys(JSON.parse(line)).length)));
}
report.entries = entries;
console.log(JSON.stringify(report));

/**
 * What is stored of a log, and the entries of one read with what to store beside them.
 *
 * @module
 */

import type { GenerationState } from "./generation.ts";
import type { Head } from "./log_files.ts";
import type { LogRecord } from "./log_parser.ts";

/** What is stored of a log: plain data. */
export interface FamilyState {
  path: string;
  /** None when it is not followed any more. */
  generations: GenerationState[];
  /** Heads of generations that were read to their end. */
  done: readonly Head[];
  /** Wall time of the last look, in milliseconds since 1970. */
  atMs: number;
}

/** Entries of one read, and what to store once some or all of them are safe. */
export interface LogChunk {
  records: LogRecord[];
  /** What to store when the first `count` records are safe: at least one, or all. */
  stateAfter: (count: number) => FamilyState;
}

/** The end of a log that was never read: `bytes` of it had been seen; what was written after `since` is not known. */
export interface LogLoss {
  file: string;
  bytes: number;
  since: string;
}

/** The chunk of these records, which were read from the first generation of `before` and have led to `after`. */
export function chunkOf(records: LogRecord[], before: FamilyState, after = before): LogChunk {
  const stateAfter = (count: number): FamilyState => {
    const last = records[count - 1];
    if (last === undefined || count === records.length) return after;
    const [first, ...rest] = before.generations;
    const resume = { offset: last.offset, claimed: last.claimed };
    return first === undefined ? after : { ...before, generations: [{ ...first, resume }, ...rest] };
  };
  return { records, stateAfter };
}

/**
 * What is said of a document that was put into the outbox, whoever has put it.
 *
 * @module
 */

import type { Log } from "../log.ts";
import type { Put } from "../transport/outbox.ts";

/** Says what became of it, and what had to go for it: each loss is an error. `entries`: those of a log's. */
export function logPut(put: Put, { type, ...about }: { type: string; entries?: number }, log: Log): void {
  if (put.kind === "too_large") {
    log.error("document_too_large", { type, sequence: put.sequence, bytes: put.bytes });
    return;
  }
  log.debug(`document_${put.kind}`, { type, sequence: put.sequence, bytes: put.bytes, ...about });
  if (put.kind === "held" || put.evicted.records === 0) return;
  log.error("buffer_eviction_complete", { evicted_count: put.evicted.records, evicted_bytes: put.evicted.bytes });
}

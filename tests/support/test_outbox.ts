/**
 * The real outbox as tests open it.
 *
 * @module
 */

import { systemClock } from "../../clock.ts";
import { type KvOutboxOptions, openKvOutbox } from "../../transport/kv_outbox.ts";
import type { Outbox } from "../../transport/outbox.ts";
import { testSeal } from "./drafts.ts";
import { MemoryLog } from "./memory_log.ts";

/** Opens the outbox of a folder, 10 MB large unless the options say otherwise. Close it. */
export function openTestOutbox(path: string, options: Partial<KvOutboxOptions> = {}): Promise<Outbox> {
  const log = new MemoryLog();
  return openKvOutbox({ path, maxBytes: 10_000_000, seal: testSeal(), clock: systemClock, log, ...options });
}

/**
 * Stores and drains documents of one size, in turns with bare sets of Deno KV of as many bytes, and prints the figures:
 * one JSON object. The documents are of random text, so that what is stored is about as large as what is given.
 *
 * Usage: `store_documents.ts FOLDER BYTES COUNT RUNS`
 *
 * @module
 */

import { join } from "node:path";
import { draftOf } from "../../support/drafts.ts";
import { openTestOutbox } from "../../support/test_outbox.ts";
import type { Draft } from "../../../transport/envelope.ts";
import { bytesWritten } from "../processes.ts";

/** One value a run: documents a second, and bytes on disk for each byte stored. */
export interface StoreReport {
  stored: number[];
  drained: number[];
  writtenPerByte: number[];
  bareStored: number[];
  bareWrittenPerByte: number[];
}

const [folder = "", bytes = "4000", count = "100", runs = "3"] = Deno.args;
/** Deno KV takes values up to this. */
const valueBytesMax = 60_000;
const drafts = Array.from({ length: Number(count) }, (_, index) => draftOf(`${index}`, Number(bytes)));
const report: StoreReport = { stored: [], drained: [], writtenPerByte: [], bareStored: [], bareWrittenPerByte: [] };

async function timed(task: () => Promise<void>): Promise<{ perSecond: number; written: number }> {
  const [startMs, before] = [performance.now(), bytesWritten()];
  await task();
  return { perSecond: drafts.length / (performance.now() - startMs) * 1_000, written: bytesWritten() - before };
}

async function storeInOutbox(drafts: readonly Draft[], run: number): Promise<void> {
  const outbox = await openTestOutbox(join(folder, `outbox-${run}`), { maxBytes: 1e9 });
  const stored = await timed(async () => {
    for (const draft of drafts) await outbox.put(draft);
  });
  report.stored.push(stored.perSecond);
  report.writtenPerByte.push(stored.written / outbox.status().bytes);
  const drained = await timed(async () => {
    for (let entry = await outbox.oldest(); entry !== null; entry = await outbox.oldest()) {
      await outbox.acknowledge(entry.sequence);
    }
  });
  report.drained.push(drained.perSecond);
  await outbox.close();
}

async function storeBare(run: number): Promise<void> {
  const kv = await Deno.openKv(join(folder, `bare-${run}`));
  const value = crypto.getRandomValues(new Uint8Array(Math.min(Number(bytes), valueBytesMax)));
  const stored = await timed(async () => {
    for (let index = 0; index < drafts.length; index++) {
      const operation = kv.atomic();
      for (let part = 0; part * value.length < Number(bytes); part++) operation.set(["document", index, part], value);
      await operation.commit();
    }
  });
  report.bareStored.push(stored.perSecond);
  report.bareWrittenPerByte.push(stored.written / (drafts.length * Number(bytes)));
  kv.close();
}

for (let run = 0; run < Number(runs); run++) {
  await storeBare(run);
  await storeInOutbox(drafts, run);
}
console.log(JSON.stringify(report));

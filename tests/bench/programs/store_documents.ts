/**
 * Stores and drains documents of one size, in turns with bare sets of Deno KV of the same bytes in the same way, and
 * prints the figures: one JSON object.
 *
 * Usage: `store_documents.ts FOLDER BYTES COUNT RUNS agent|random AT_ONCE`: documents as the agent makes them, or of
 * random text, so many of them put in at the same time.
 *
 * @module
 */

import { join } from "node:path";
import { AgentDocuments } from "../agent_documents.ts";
import { draftOf } from "../../support/drafts.ts";
import { openTestOutbox } from "../../support/test_outbox.ts";
import type { Draft } from "../../../transport/envelope.ts";
import { bytesWritten } from "../processes.ts";

/** One value a run: documents a second, and bytes on disk for each byte of JSON that was given. */
export interface StoreReport {
  stored: number[];
  drained: number[];
  writtenPerByte: number[];
  bareStored: number[];
  bareWrittenPerByte: number[];
  /** What compression leaves of a byte. */
  compressedTo: number;
}

const [folder = "", bytes = "4000", count = "100", runs = "3", kind = "agent", atOnce = "1"] = Deno.args;
/** Deno KV takes values up to this. */
const valueBytesMax = 60_000;
const source = new AgentDocuments(1);
const drafts = Array.from({ length: Number(count) }, (_, index) => draft(index));
const jsons = drafts.map(({ data }) => new TextEncoder().encode(JSON.stringify(data)));
const given = jsons.reduce((sum, { length }) => sum + length, 0);
const report: StoreReport = {
  ...{ stored: [], drained: [], writtenPerByte: [], bareStored: [], bareWrittenPerByte: [], compressedTo: 0 },
};

function draft(index: number): Draft {
  // Base64 is a third longer than the bytes in it.
  return kind === "agent" ? source.draft(index, Number(bytes)) : draftOf(`${index}`, Number(bytes) * 0.75);
}

/** Documents a second. */
async function rateOf(task: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await task();
  return drafts.length / (performance.now() - startMs) * 1_000;
}

/** As collectors of one tick do: so many at once, and the next ones when these are stored. */
async function forEachDocument(store: (index: number) => Promise<unknown>): Promise<void> {
  for (let first = 0; first < drafts.length; first += Number(atOnce)) {
    const length = Math.min(Number(atOnce), drafts.length - first);
    await Promise.all(Array.from({ length }, (_, index) => store(first + index)));
  }
}

async function storeInOutbox(run: number): Promise<void> {
  const path = join(folder, `outbox-${run}`);
  const outbox = await openTestOutbox(path, { maxBytes: 1e9 });
  const before = bytesWritten();
  report.stored.push(await rateOf(() => forEachDocument((index) => outbox.put(drafts[index]!))));
  report.compressedTo = outbox.status().bytes / given;
  // Closing brings the log ahead into the file: it belongs to what is written.
  await outbox.close();
  report.writtenPerByte.push((bytesWritten() - before) / given);
  await drain(path);
}

async function drain(path: string): Promise<void> {
  const outbox = await openTestOutbox(path, { maxBytes: 1e9 });
  report.drained.push(
    await rateOf(async () => {
      for (let entry = await outbox.oldest(); entry !== null; entry = await outbox.oldest()) {
        await outbox.acknowledge(entry.sequence);
      }
    }),
  );
  await outbox.close();
}

async function storeBare(run: number): Promise<void> {
  const kv = await Deno.openKv(join(folder, `bare-${run}`));
  const before = bytesWritten();
  report.bareStored.push(await rateOf(() => forEachDocument((index) => setBare(kv, index))));
  kv.close();
  report.bareWrittenPerByte.push((bytesWritten() - before) / given);
}

async function setBare(kv: Deno.Kv, index: number): Promise<void> {
  const operation = kv.atomic();
  const json = jsons[index]!;
  for (let start = 0; start < json.length; start += valueBytesMax) {
    operation.set(["document", index, start], json.subarray(start, start + valueBytesMax));
  }
  await operation.commit();
}

for (let run = 0; run < Number(runs); run++) {
  await storeBare(run);
  await storeInOutbox(run);
}
console.log(JSON.stringify(report));

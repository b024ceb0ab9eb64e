// Compression at all sizes and in a hurry: what comes back is what went in, and a bound holds.
import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import * as limits from "../../limits.ts";
import { compress, decompress } from "../../transport/gzip.ts";
import { AgentDocuments } from "../bench/agent_documents.ts";

const documents = new AgentDocuments(1);

function json(bytes: number): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(documents.draft(1, bytes).data).padEnd(bytes).slice(0, bytes));
}

Deno.test("compress keeps every byte, at each size and in a hurry, for anybody's gunzip", async () => {
  const edges = [limits.gzipSmallBytesMax, limits.gzipInlineBytesMax].flatMap((bytes) => [bytes, bytes + 1]);
  for (const bytes of [0, 1, 4_000, ...edges, 1_000_000]) {
    for (const isHurried of [false, true]) {
      const given = json(bytes);
      const gzip = await compress(given, { isHurried });
      assert.equal(gzip.constructor, Uint8Array);
      assert.deepEqual(await decompress(gzip, Math.max(bytes, 1)), given);
      assert.deepEqual(new Uint8Array(gunzipSync(gzip)), given);
      if (bytes > 1) await assert.rejects(decompress(gzip, bytes - 1));
    }
  }
});

Deno.test("compress makes a quarter of documents, and no more than half as much again in a hurry", async () => {
  for (const bytes of [16_000, 32_000, 250_000]) {
    const given = json(bytes);
    const usual = (await compress(given)).length;
    const hurried = (await compress(given, { isHurried: true })).length;
    assert(usual < bytes / 3, `${usual} of ${bytes}`);
    assert(hurried > usual && hurried < usual * 1.5, `${hurried} of ${bytes}`);
  }
});

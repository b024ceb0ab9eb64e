// What is known of waiting documents, against a plain list of those in the file.
import assert from "node:assert/strict";
import { headerOf } from "../../transport/kv_records.ts";
import { type RecentDocument, RecentDocuments } from "../../transport/recent_documents.ts";
import { seededRandom, takeSeed } from "../support/seeded_random.ts";

function documentOf(sequence: number, bytes: number): RecentDocument {
  const gzip = new Uint8Array(bytes);
  const entry = { id: `${sequence}`, sequence, type: "test", timestamp: "", gzip };
  return { header: headerOf(entry, { gzip, tells: undefined }), entry };
}

Deno.test("RecentDocuments says nothing but what the file says, whatever was stored, read, removed", () => {
  const seed = takeSeed();
  const random = seededRandom(seed);
  let known = 0;
  for (let round = 0; round < 200; round++) {
    const recent = new RecentDocuments({ bytesMax: 5_000, jsonBytesMax: 10_000 });
    const file: number[] = random() < 0.5 ? [] : [1, 2, 3];
    let next = 4;
    for (let step = 0; step < 60; step++) {
      const drawn = random();
      if (drawn < 0.4) {
        const document = documentOf(next, Math.floor(random() * 3_000));
        recent.stored(document);
        file.push(next++);
      } else if (drawn < 0.7 && file.length > 0) {
        const [gone] = file.splice(Math.floor(random() ** 2 * file.length), 1);
        recent.removed([documentOf(gone!, 0).header]);
      } else {
        const from = Math.floor(random() * (next + 1));
        const first = file.find((sequence) => sequence >= from) ?? null;
        const told = recent.firstFrom(from);
        if (told === undefined) recent.found(from, first);
        else assert.equal(told, first, `seed ${seed}, round ${round}, step ${step}`);
        known += told === undefined ? 0 : 1;
      }
      for (let sequence = 1; sequence < next; sequence++) {
        if (recent.get(sequence) !== null) assert(file.includes(sequence), `seed ${seed}: ${sequence} does not wait`);
      }
    }
  }
  assert(known > 1_000, `${known} questions were answered without the file`);
});

Deno.test("RecentDocuments knows all that waits once the file was empty, and keeps within its bytes", () => {
  const recent = new RecentDocuments({ bytesMax: 5_000, jsonBytesMax: 10_000 });
  assert.equal(recent.firstFrom(0), undefined, "of a file that was just opened nothing is known");
  recent.found(0, null);
  assert.equal(recent.firstFrom(0), null);
  for (let sequence = 7; sequence < 12; sequence++) recent.stored(documentOf(sequence, 1_000));
  assert.equal(recent.get(8), null, "3 of 1,512 bytes fit");
  assert.equal(recent.firstFrom(0), undefined);
  assert.equal(recent.firstFrom(10), 10);
  recent.found(0, 7);
  assert.equal(recent.firstFrom(0), 7);
  recent.removed([documentOf(7, 0).header]);
  assert.equal(recent.firstFrom(0), undefined);
});

Deno.test("RecentDocuments keeps JSON of the newest within its bytes, and none of what is gone", () => {
  const recent = new RecentDocuments({ bytesMax: 100_000, jsonBytesMax: 10_000 });
  const store = (sequence: number) => {
    const { header, entry } = documentOf(sequence, 100);
    recent.stored({ header, entry: { ...entry, json: new Uint8Array(4_000) } });
  };
  const withJson = () => [1, 2, 3, 4, 5].filter((sequence) => recent.get(sequence)?.entry.json !== undefined);
  for (const sequence of [1, 2, 3]) store(sequence);
  assert.deepEqual(withJson(), [2, 3]);
  assert.equal(recent.get(1)?.entry.gzip.length, 100);
  recent.removed([documentOf(2, 100).header, documentOf(1, 100).header]);
  store(4);
  assert.deepEqual(withJson(), [3, 4], "what has left makes room");
  store(5);
  assert.deepEqual(withJson(), [4, 5]);
});

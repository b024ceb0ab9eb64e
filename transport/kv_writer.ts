/**
 * How documents get into an open file: header and pieces in one commit, with the books.
 *
 * Invariants:
 *
 * - a document becomes visible with its header. Pieces that do not fit the header's commit are written before it, so a
 *   crash or a failed put leaves pieces of a number without a header, which the next start or put removes: they must not
 *   end up in another document.
 *
 * @module
 */

import * as limits from "../limits.ts";
import type { SealedDocument } from "./envelope.ts";
import * as records from "./kv_records.ts";
import type { Header } from "./kv_records.ts";
import type { KvRoom } from "./kv_room.ts";
import type { SavedDocument } from "./kv_salvage.ts";
import type { KvState, Step } from "./kv_state.ts";
import type { Checkpoint } from "./outbox.ts";
import type { RecentDocument } from "./recent_documents.ts";

/** A document that is ready to be stored. */
export interface ReadyDocument extends Omit<SealedDocument, "json" | "isLent"> {
  gzip: Uint8Array<ArrayBuffer>;
  tells: number | undefined;
  checkpoints: readonly Checkpoint[];
}

/** The same, with its JSON where that is still at hand and stays as it is. */
export interface FreshDocument extends ReadyDocument {
  json?: Uint8Array<ArrayBuffer> | null;
}

/** Writes into one open file. */
export class KvWriter {
  readonly #kv: Deno.Kv;
  readonly #state: KvState;
  readonly #room: KvRoom;
  readonly #step: Step;
  /** The number of a put that has failed: pieces of it may be in the file. */
  #unfinished: number | null = null;

  constructor(kv: Deno.Kv, { state, room, step }: { state: KvState; room: KvRoom; step: Step }) {
    this.#kv = kv;
    this.#state = state;
    this.#room = room;
    this.#step = step;
  }

  /** Commits documents, and with them that the listener has those of a batch. Answers with them as they are stored. */
  async write(documents: readonly FreshDocument[], batch: readonly Header[]): Promise<RecentDocument[]> {
    this.#unfinished = documents[0]?.sequence ?? null;
    let operation = this.#kv.atomic();
    for (const document of documents) {
      ({ operation } = await this.#writeChunks(document, operation));
      withCheckpoints(operation, document.checkpoints);
    }
    const stored = documents.map((document) => {
      const { id, sequence, type, timestamp, gzip, json } = document;
      const entry = { id, sequence, type, timestamp, gzip, ...(json ? { json } : {}) };
      return { header: records.headerOf(document, document), entry };
    });
    const added = stored.map(({ header }) => header);
    for (const header of added) operation.set(records.documentKey(header.sequence), header);
    const nextSequence = Math.max(this.#state.value.nextSequence, ...added.map(({ sequence }) => sequence + 1));
    await this.#room.settle(batch, { operation, change: { nextSequence }, added });
    this.#unfinished = null;
    return stored;
  }

  /**
   * Adds the pieces of a document to a commit; those of a large one that do not fit are committed before. Answers with the
   * operation in an object, because one that is awaited itself throws: it has a `then` to say that `commit` is missing.
   */
  async #writeChunks(
    { sequence, gzip }: ReadyDocument,
    first: Deno.AtomicOperation,
  ): Promise<{ operation: Deno.AtomicOperation }> {
    const chunks = records.cutIntoChunks(gzip, limits.chunkBytesMax);
    let operation = first;
    for (const [index, chunk] of chunks.entries()) {
      if (index > 0 && index % limits.chunksPerCommitMax === 0) {
        await this.#step("before pieces are written");
        await operation.commit();
        await this.#step("after pieces are written");
        operation = this.#kv.atomic();
      }
      operation.set(records.chunkKey(sequence, index), chunk);
    }
    return { operation };
  }

  /** Removes what a put that has failed may have left. */
  async removeUnfinished(): Promise<void> {
    if (this.#unfinished === null) return;
    // A commit that was reported as failed may have taken effect, and then keeps its chunks.
    const { value } = await this.#kv.get(records.documentKey(this.#unfinished));
    if (value === null) {
      for await (const { key } of this.#kv.list({ prefix: ["chunk", this.#unfinished] })) await this.#kv.delete(key);
    }
    this.#unfinished = null;
  }

  /** Writes documents saved from another file, many in a commit, in order. They are counted as waiting. */
  async restore(documents: Iterable<SavedDocument>): Promise<void> {
    let [operation, bytes, count, mutations] = [this.#kv.atomic(), 0, 0, 0];
    const commit = async () => {
      const { records: waiting, bytes: before } = this.#state.value;
      await this.#state.commit(operation, { change: { records: waiting + count, bytes: before + bytes } });
      [operation, bytes, count, mutations] = [this.#kv.atomic(), 0, 0, 0];
    };
    for (const { header, entry } of documents) {
      const chunks = records.cutIntoChunks(entry.gzip, limits.chunkBytesMax);
      const size = records.storedBytes(header);
      const isFull = bytes + size > limits.chunkBytesMax * limits.chunksPerCommitMax ||
        mutations + chunks.length >= limits.mutationsPerCommitMax;
      if (count > 0 && isFull) await commit();
      if (chunks.length > limits.chunksPerCommitMax) {
        await this.write([{ ...entry, tells: header.tells, checkpoints: [] }], []);
        continue;
      }
      // It may have been cut in another way.
      operation.set(records.documentKey(header.sequence), { ...header, chunks: chunks.length });
      for (const [index, chunk] of chunks.entries()) operation.set(records.chunkKey(header.sequence, index), chunk);
      bytes += size;
      count += 1;
      mutations += chunks.length + 1;
    }
    if (count > 0) await commit();
  }
}

/** Adds the positions of sources to a commit. */
export function withCheckpoints(
  operation: Deno.AtomicOperation,
  checkpoints: readonly Checkpoint[],
): Deno.AtomicOperation {
  for (const { name, value } of checkpoints) {
    const key = records.checkpointKey(name);
    if (value === undefined) operation.delete(key);
    else operation.set(key, value);
  }
  return operation;
}

/**
 * The folder of an outbox for tests that harm it: fills it, damages its files, drains it into an account.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import * as limits from "../../limits.ts";
import { decompress } from "../../transport/gzip.ts";
import type { KvOutboxOptions } from "../../transport/kv_outbox.ts";
import type { LossRange } from "../../transport/loss_ledger.ts";
import type { Outbox } from "../../transport/outbox.ts";
import { draftOf } from "./drafts.ts";
import { type Account, account, type StoredDocument } from "./ledger.ts";
import { MemoryLog } from "./memory_log.ts";
import { openTestOutbox } from "./test_outbox.ts";

/** Beyond what any test stores: an outbox that hands out the same again and again must not hang its test. */
const deliveriesMax = 5_000;

/** A temporary folder with an outbox in it, and what a listener has of it. */
export class OutboxFolder implements AsyncDisposable {
  readonly path: string;
  readonly log = new MemoryLog();
  /** Everything that was delivered, by all that were opened. */
  readonly delivered: StoredDocument[] = [];
  readonly #owned: boolean;

  private constructor(path: string, owned: boolean) {
    this.path = path;
    this.#owned = owned;
  }

  /** A new folder, or one that exists, which is left there. */
  static async create(path?: string): Promise<OutboxFolder> {
    return new OutboxFolder(path ?? await Deno.makeTempDir({ prefix: "bitville-outbox-" }), path === undefined);
  }

  get file(): string {
    return join(this.path, "outbox.kv");
  }

  /** Makes the file as earlier versions did, with the pages that Deno KV gives it. */
  async makeAsBefore(): Promise<void> {
    (await Deno.openKv(this.file)).close();
  }

  /** Of the file's pages. */
  pageBytes(): number {
    using file = new DatabaseSync(this.file, { readOnly: true });
    return Number(file.prepare("pragma page_size").get()?.page_size);
  }

  open(options: Partial<KvOutboxOptions> = {}): Promise<Outbox> {
    return openTestOutbox(this.path, { log: this.log, maxBytes: 200_000_000, ...options });
  }

  /** Opens, puts documents of about these bytes each, delivers some, and closes. */
  async fill(sizes: readonly number[], deliver = 0): Promise<void> {
    const outbox = await this.open();
    for (const [index, bytes] of sizes.entries()) await outbox.put(draftOf(`${index}`, bytes));
    for (let index = 0; index < deliver; index++) await this.deliver(outbox);
    await outbox.close();
  }

  /** Delivers the oldest document; false when there is none. */
  async deliver(outbox: Outbox): Promise<boolean> {
    const entry = await outbox.oldest();
    if (entry === null) return false;
    const json = await decompress(entry.gzip, limits.documentBytesMax);
    const document = JSON.parse(new TextDecoder().decode(json)) as StoredDocument;
    assert.deepEqual([document.id, document.sequence], [entry.id, entry.sequence]);
    this.delivered.push(document);
    await outbox.acknowledge(entry.sequence);
    return true;
  }

  /** Delivers until there is nothing more. */
  async deliverAll(outbox: Outbox): Promise<void> {
    for (let count = 0; await this.deliver(outbox); count++) {
      assert(count < deliveriesMax, "an end of what is handed out");
    }
  }

  /** Delivers all there is, with a status behind it that tells of losses, and accounts for every number. */
  async drain(outbox: Outbox): Promise<Account> {
    await putStatus(outbox);
    await this.deliverAll(outbox);
    return account(this.delivered, { buffered: outbox.status().records });
  }

  /** The same for an outbox that is opened for it. */
  async openAndDrain(): Promise<Account> {
    const outbox = await this.open();
    try {
      return await this.drain(outbox);
    } finally {
      await outbox.close();
    }
  }

  /** A copy as a process that dies now leaves it: all files but the lock, and what SQLite keeps in memory alone. */
  async copy(): Promise<OutboxFolder> {
    const copy = await OutboxFolder.create();
    for await (const { name } of Deno.readDir(this.path)) {
      if (name === "lock" || name === "probe" || name.endsWith("-shm")) continue;
      await Deno.copyFile(join(this.path, name), join(copy.path, name));
    }
    copy.delivered.push(...this.delivered);
    return copy;
  }

  /** Overwrites a part of the file with noise. */
  async overwrite(offset: number, bytes: number): Promise<void> {
    using file = await Deno.open(this.file, { write: true });
    await file.seek(offset, Deno.SeekMode.Start);
    for (let left = bytes; left > 0; left -= 65_536) {
      await file.write(crypto.getRandomValues(new Uint8Array(Math.min(left, 65_536))));
    }
  }

  /** Overwrites the page that a table begins with, or its first bytes. */
  async overwriteRoot(table: string, bytes = this.pageBytes()): Promise<void> {
    await this.overwrite((this.#rootPage(table) - 1) * this.pageBytes(), bytes);
  }

  #rootPage(table: string): number {
    using file = new DatabaseSync(this.file, { readOnly: true });
    return Number(file.prepare("select rootpage from sqlite_master where name = ?").get(table)?.rootpage);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#owned) await Deno.remove(this.path, { recursive: true });
  }
}

/** Stores what `agent_status` says of the outbox. */
export async function putStatus(outbox: Outbox): Promise<void> {
  const { records, nextSequence, deliveredRecords, loss } = outbox.status();
  const data = {
    buffer: { records, captured_records: nextSequence - 1, delivered_records: deliveredRecords },
    loss: {
      evicted_records: loss.evictedRecords,
      rejected_records: loss.rejectedRecords,
      quarantined_records: loss.quarantinedRecords,
      unstored_records: loss.unstoredRecords,
      ranges: loss.untold.ranges.map(({ reason, from, to, records }: LossRange) => ({ reason, from, to, records })),
    },
  };
  await outbox.put({ type: "agent_status", timestamp: new Date(), data, tells: loss.untold.mark });
}

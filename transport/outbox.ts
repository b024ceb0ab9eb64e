/**
 * The seam of the outbox: every captured document stays in it until the listener has answered. The adapter is
 * `kv_outbox.ts`; the tests have one in memory that keeps the same contract. One process owns an outbox.
 *
 * Invariants, held by both and by `tests/contracts/outbox.ts`:
 *
 * - sequence numbers rise by one a captured document and are never used twice, whatever crashes;
 * - a document that `put` has answered `stored` survives a crash; a document that was sent has one id for ever;
 * - `oldest` answers in the order of the sequence, from wherever it is asked;
 * - `bytes` never passes the cap: the oldest go first, and each that goes is counted;
 * - a checkpoint that is put with a document is stored with it, or neither is;
 * - captured = delivered + in the outbox + evicted (refused ones included) + rejected + quarantined + unstored;
 * - whatever is lost is in the ledger of losses until a document that tells it was delivered (`loss_ledger.ts`).
 *
 * @module
 */

import type { Draft } from "./envelope.ts";
import type { LossLedger } from "./loss_ledger.ts";

/** What became of a document that was put in. */
export type Put =
  | { kind: "stored"; id: string; sequence: number; bytes: number; evicted: Evicted }
  /** Larger than a document may be, or than the whole outbox: counted as evicted, its number is used up. */
  | { kind: "too_large"; sequence: number; bytes: number }
  /**
   * In memory, because the disk takes nothing now: it is sent and stored as soon as that can be done, and lost if the
   * process ends before. Without a number where none is safe; such a one is not sent.
   */
  | { kind: "held"; sequence: number | null; bytes: number };

/** How far a source has been carried into the outbox: a name, and a small value of the source's own. */
export interface Checkpoint {
  name: string;
  /** What Deno KV can store, 60 KB at most; `undefined` forgets it. */
  value: unknown;
}

/** A draft, and what is stored in the same commit. */
export interface SourcedDraft {
  draft: Draft;
  checkpoints: readonly Checkpoint[];
}

/** What had to go to make room. */
export interface Evicted {
  records: number;
  bytes: number;
}

/** A stored document, ready to be sent. */
export interface OutboxEntry {
  id: string;
  sequence: number;
  type: string;
  /** ISO 8601: when it was collected. */
  timestamp: string;
  /** Its JSON in UTF-8, compressed with gzip. */
  gzip: Uint8Array<ArrayBuffer>;
  /** The same before compression, where it is still at hand: right after it was stored. */
  json?: Uint8Array<ArrayBuffer>;
}

/** The outbox in figures, for the log and `agent_status`. Bytes are as stored: compressed, with overhead. */
export interface OutboxStatus {
  /** False while what is stored cannot be read; then only what is in memory is handed out. */
  isReadable: boolean;
  records: number;
  bytes: number;
  maxBytes: number;
  /** The next document's sequence number: one more than were ever captured. */
  nextSequence: number;
  /** Documents that the listener has taken, since the outbox was made. */
  deliveredRecords: number;
  loss: OutboxLoss;
}

/** What did not and will not reach the listener, in figures since the outbox was made. */
export interface LossTotals {
  evictedRecords: number;
  evictedBytes: number;
  rejectedRecords: number;
  quarantinedRecords: number;
  unstoredRecords: number;
  /** Damaged files set aside. */
  quarantinedFiles: number;
}

/** The same, with what is still to be told. */
export interface OutboxLoss extends LossTotals {
  /** What the listener has not been told yet; a draft that tells it says so with the ledger's mark. */
  untold: LossLedger;
}

/** The documents that wait for the listener. */
export interface Outbox {
  /**
   * Stores a document durably, makes room for it if need be, and wakes whoever listens. Checkpoints are stored in the
   * same commit, also when the document itself is too large.
   */
  put(draft: Draft, checkpoints?: readonly Checkpoint[]): Promise<Put>;
  /**
   * The same for several at once, which may share a commit. None is stored behind one that could not be: its checkpoints
   * would pass what that one carries. Answers what became of those before it; throws when there are none.
   */
  putInOrder(puts: readonly SourcedDraft[]): Promise<Put[]>;
  /** Stores checkpoints without a document. */
  saveCheckpoints(checkpoints: readonly Checkpoint[]): Promise<void>;
  /** All checkpoints whose name begins so, by name; unchecked, as they were stored. */
  checkpoints(prefix: string): Promise<Map<string, unknown>>;
  /**
   * The document with the lowest sequence number that is not below `from`, or null. It is not evicted until it is
   * settled or asked again.
   */
  oldest(from?: number): Promise<OutboxEntry | null>;
  /** The listener has it: forget it. A crash within a second or so may bring it again. */
  acknowledge(sequence: number): Promise<void>;
  /** The listener refused it for good: set it aside, bounded and counted. */
  reject(sequence: number, reason: string): Promise<void>;
  /** Calls `wake` after documents were stored; resolves when the outbox is closed. */
  listen(wake: () => void): Promise<void>;
  /** When the oldest waiting document was collected (ISO 8601), or null. */
  oldestAt(): Promise<string | null>;
  status(): OutboxStatus;
  /** Another cap from the next `put` on; that one makes the room that is missing. */
  resize(maxBytes: number): void;
  close(): Promise<void>;
}

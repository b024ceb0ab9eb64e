/**
 * Follows the server's logs without a pause and stores what they say, each batch of entries in one commit with the
 * positions behind them: after any crash the next run goes on exactly there.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import type { FamilyState, LogChunk, LogLoss } from "../collectors/logs/log_family_state.ts";
import { LogFollower, type LogProgress } from "../collectors/logs/log_follower.ts";
import type { LogSettingsReader } from "../collectors/logs/log_settings.ts";
import type { LogEntry } from "../collectors/logs/entry.ts";
import * as limits from "../limits.ts";
import { errorMessage, type Log } from "../log.ts";
import type { Checkpoint, Outbox } from "../transport/outbox.ts";
import { LogBatch } from "./log_batch.ts";
import { LogStore } from "./log_store.ts";

/** What a run is made of. */
export interface LogRunOptions {
  /** `collection.log_path`. */
  path: string;
  settings: LogSettingsReader;
  outbox: Outbox;
  /** Called after a document was stored. */
  onStored: () => void;
  /** Called with every entry that is read. */
  onEntry?: (entry: LogEntry) => void;
  /** Takes out of an entry what may not leave the server; null to leave it as it is. */
  redact: ((entry: LogEntry) => LogEntry) | null;
  clock: Clock;
  log: Log;
}

/** What is stored of all logs together. */
interface Summary {
  bytesSkipped: number;
  tailsLost: number;
  /** Wall time of the last look; null before the first. */
  lookedMs: number | null;
}

/** Checkpoints of logs by their path, and one for all of them together. */
const filePrefix = "log:";
const summaryName = "logs";

/** Below these an entry may be dropped when the outbox fills up. */
const keptLevels: ReadonlySet<string> = new Set(["WARNING", "ERROR", "FATAL", "PANIC"]);

/** Follows the logs of one path. */
export class LogRun {
  readonly #options: LogRunOptions;
  readonly #stopping = new AbortController();
  readonly #batch = new LogBatch();
  #follower: LogFollower | null = null;
  #running: Promise<void> | null = null;
  #lowEntries = 0;
  #bytesSkipped = 0;
  #tailsLost = 0;
  #lookedMs: number | null = null;
  readonly #store: LogStore;

  constructor(options: LogRunOptions) {
    this.#options = options;
    this.#store = new LogStore({ ...options, stopping: this.#stopping.signal });
  }

  /** For `agent_status`. */
  get progress(): LogProgress[] {
    return this.#follower?.progress ?? [];
  }

  /** Bytes of logs that were gone before they were read, since the buffer was made. */
  get bytesSkipped(): number {
    return this.#bytesSkipped;
  }

  /** Times that a log ended unread, since the buffer was made: what it held beyond the bytes counted is not known. */
  get tailsLost(): number {
    return this.#tailsLost;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends after the block that is being read; what was read is stored, or read again after the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    this.#follower?.close();
  }

  async #run(): Promise<void> {
    const { clock, log, settings } = this.#options;
    const { signal } = this.#stopping;
    await this.#retry(async () => this.#follower = await this.#open());
    // Waited for once, so that the first lines are read as the server writes them; a server that hangs later must not
    // keep the files from being read.
    await settings.refresh(signal);
    while (!signal.aborted) {
      void settings.refresh(signal);
      let isActive = false;
      try {
        isActive = await this.#round();
      } catch (error) {
        log.error("log_collection_failed", { error: errorMessage(error) });
      }
      if (this.#follower?.isBehind === true) continue;
      await clock.sleep(isActive ? limits.logActivePollMs : limits.logPollMs, signal);
    }
    // What waits is stored once; a full disk keeps its position, and the next start reads it again.
    this.#takeBatch();
    await this.#store.storeLast().catch((error) =>
      log.warning("log_batch_kept_in_file", { error: errorMessage(error) })
    );
  }

  async #open(): Promise<LogFollower> {
    const { path, outbox, clock, log, settings } = this.#options;
    const stored = await outbox.checkpoints(filePrefix);
    const summary = readSummary((await outbox.checkpoints(summaryName)).get(summaryName));
    [this.#bytesSkipped, this.#tailsLost, this.#lookedMs] = [summary.bytesSkipped, summary.tailsLost, summary.lookedMs];
    if (summary.lookedMs === null) log.info("log_collection_begins", { path, at: "the end of every file" });
    return new LogFollower({
      path,
      settings: () => settings.settings,
      nowMs: () => clock.now().getTime(),
      monotonicMs: () => clock.monotonicMs(),
      log,
      onLoss: (loss) => this.#noteLoss(loss),
    }, { states: readStates(stored), lookedMs: summary.lookedMs });
  }

  #noteLoss(loss: LogLoss): void {
    this.#bytesSkipped += loss.bytes;
    this.#tailsLost += 1;
    if (loss.bytes > 0) this.#options.log.error("log_bytes_skipped", { ...loss });
  }

  /** Looks, reads and stores what is due. Returns whether there was anything to read. */
  async #round(): Promise<boolean> {
    const follower = this.#follower;
    if (follower === null) return false;
    const changed = await follower.look();
    const isFirst = this.#lookedMs === null && follower.lookedMs !== null;
    this.#lookedMs = follower.lookedMs;
    // What a look has found is stored before it is read, with all that was read before.
    for (const state of changed) this.#batch.note(state);
    if (changed.length > 0 || isFirst) {
      this.#takeBatch({ always: isFirst });
      await this.#store.storeAll();
    }
    let isActive = false;
    for await (const chunk of follower.read()) {
      isActive = true;
      await this.#take(chunk);
      if (this.#stopping.signal.aborted) break;
    }
    if (this.#batch.isDue(this.#options.clock.monotonicMs())) {
      this.#takeBatch();
      await this.#store.storeAll();
    }
    return isActive;
  }

  async #take({ records, stateAfter }: LogChunk): Promise<void> {
    // One look at the clock and at the outbox for all of them, and one more after each document.
    let nowMs = this.#options.clock.monotonicMs();
    let keepEvery = this.#keepEvery();
    for (const [index, { entry }] of records.entries()) {
      this.#options.onEntry?.(entry);
      const carried = this.#mustDrop(entry, keepEvery) ? null : this.#redacted(entry);
      if (carried === null) this.#batch.drop(nowMs);
      else this.#batch.add(carried, nowMs);
      if (!this.#batch.isFull) continue;
      this.#batch.note(stateAfter(index + 1));
      this.#takeBatch();
      await this.#store.storeBehind();
      nowMs = this.#options.clock.monotonicMs();
      keepEvery = this.#keepEvery();
    }
    this.#batch.note(stateAfter(records.length));
  }

  /** Null when it cannot be redacted: then it may not leave, and the others must not suffer for it. */
  #redacted(entry: LogEntry): LogEntry | null {
    const { redact, log } = this.#options;
    try {
      return redact === null ? entry : redact(entry);
    } catch (error) {
      // What the error says may hold what was to be taken out.
      log.error("log_entry_dropped", { reason: "redaction_failed", error: error instanceof Error ? error.name : "" });
      return null;
    }
  }

  /** When the outbox fills up, entries below WARNING are left out: every other one, then more, evenly. */
  #mustDrop(entry: LogEntry, keepEvery: number): boolean {
    if (keepEvery === 1 || keptLevels.has(entry.level)) return false;
    this.#lowEntries += 1;
    return this.#lowEntries % keepEvery !== 0;
  }

  /** Of the entries below WARNING, one of so many is kept. */
  #keepEvery(): number {
    const { bytes, maxBytes } = this.#options.outbox.status();
    const fill = bytes / maxBytes;
    if (fill < limits.logThinningFill) return 1;
    return 2 ** Math.ceil((fill - limits.logThinningFill) / (1 - limits.logThinningFill) * 6);
  }

  /** Hands the batch on to be stored. With `always` also when there is no news but that of a look. */
  #takeBatch({ always } = { always: false }): void {
    if (!this.#batch.hasNews && !always) return;
    const { data, count, states, release } = this.#batch.take();
    const draft = { type: "pg_log", timestamp: this.#options.clock.now(), data };
    // As of now: a look that comes before this is stored may find what is not in it.
    const checkpoints = this.#checkpointsOf(states);
    this.#store.add({ draft, checkpoints, count, isPosition: count === 0 && data.dropped === 0, release });
  }

  #checkpointsOf(states: readonly FamilyState[]): Checkpoint[] {
    const summary: Summary = {
      bytesSkipped: this.#bytesSkipped,
      tailsLost: this.#tailsLost,
      lookedMs: this.#lookedMs,
    };
    return [
      ...states.map((state) => ({
        name: filePrefix + state.path,
        value: state.generations.length === 0 ? undefined : state,
      })),
      { name: summaryName, value: summary },
    ];
  }

  /** Until it works or the agent stops: the files keep what has not been stored. */
  async #retry(task: () => Promise<unknown>): Promise<void> {
    const { clock, log } = this.#options;
    for (let failed = false; !this.#stopping.signal.aborted; failed = true) {
      try {
        await task();
        return;
      } catch (error) {
        if (!failed) log.error("document_not_stored", { type: "pg_log", error: errorMessage(error) });
        await clock.sleep(limits.outboxRetryMs, this.#stopping.signal);
      }
    }
  }
}

/** What is read back is checked as far as a wrong one would do harm; one that does not fit is as if it were not there. */
function readStates(stored: ReadonlyMap<string, unknown>): Map<string, FamilyState> {
  const states = new Map<string, FamilyState>();
  for (const value of stored.values()) {
    const state = value as FamilyState;
    if (typeof state?.path !== "string" || !Array.isArray(state.generations) || !Array.isArray(state.done)) continue;
    states.set(state.path, state);
  }
  return states;
}

function readSummary(stored: unknown): Summary {
  const { bytesSkipped, tailsLost, lookedMs } = (stored ?? {}) as Record<string, unknown>;
  return { bytesSkipped: count(bytesSkipped) ?? 0, tailsLost: count(tailsLost) ?? 0, lookedMs: count(lookedMs) };
}

function count(value: unknown): number | null {
  return typeof value === "number" && value >= 0 ? value : null;
}

/**
 * All logs of a path: finds them, in the best format where the server writes several, and reads on wherever something
 * new is.
 *
 * Invariants:
 *
 * - a file that has come since the look before begins at its start, one that was there at its end of then: what was
 *   passed over, in another format or among too many, is not made up for;
 * - what a look has found is told to the caller, who stores it before anything is read on.
 *
 * @module
 */

import * as limits from "../../limits.ts";
import type { Log } from "../../log.ts";
import { FolderWatch } from "./folder_watch.ts";
import { chooseLogs, folderOf, isLiveLog, stemOf } from "./log_choice.ts";
import { LogFamily } from "./log_family.ts";
import type { FamilyState, LogChunk, LogLoss } from "./log_family_state.ts";
import { isSameFile, listLogFiles, type LogFileInfo, readBeginning, statLogFile } from "./log_files.ts";
import type { LogFormat } from "./log_parser.ts";
import { type LogSettings, unknownSettings } from "./log_settings.ts";
import { ParserMaker } from "./parser_maker.ts";

/** What is followed, and who wants to know. */
export interface LogFollowerOptions {
  /** A folder, a file, or a glob in the last part of a path. */
  path: string;
  settings: () => LogSettings;
  nowMs: () => number;
  monotonicMs: () => number;
  log: Log;
  onLoss: (loss: LogLoss) => void;
}

/** What an earlier process left. */
export interface StoredLogs {
  states: ReadonlyMap<string, FamilyState>;
  /** Wall time of its last look; null if it has never come to look at everything. */
  lookedMs: number | null;
}

/** One log and its format, for `agent_status`. */
export interface LogProgress {
  file: string;
  format: LogFormat;
  offset: number;
  size: number;
}

/** From what was stored, or as a file that was not followed before. */
type Beginning = { state: FamilyState } | { begin: LogFileInfo; offset: number; sinceMs: number };

/** A file that is not followed, or not yet: where it would begin; null for a generation of another log. */
interface Passed extends LogFileInfo {
  offset: number | null;
}

interface Followed {
  family: LogFamily;
  format: LogFormat;
}

/** Follows logs. */
export class LogFollower {
  readonly #options: LogFollowerOptions;
  readonly #followed = new Map<string, Followed>();
  readonly #stored: Map<string, FamilyState>;
  readonly #passed = new Map<string, Passed>();
  /** Those that were written last: looked at each time. */
  #watched: ReadonlySet<string> = new Set();
  /** What was said to be wrong: once until it is mended. */
  readonly #failures = new Map<string, string>();
  /** As the parsers have them. */
  #settings: LogSettings = unknownSettings;
  #lookedMs: number | null;
  #looks = 0;
  readonly #folderWatch: FolderWatch;
  #hasListed = false;
  /** Whether everything there was at the last list is followed or passed over. */
  #isComplete = false;
  /** Where the next turn of reading begins. */
  #turn = 0;
  #isBehind = false;

  /** Without what an earlier process left, files that are there begin at their end. */
  constructor(options: LogFollowerOptions, stored: StoredLogs) {
    this.#options = options;
    this.#folderWatch = new FolderWatch(options);
    this.#stored = new Map(stored.states);
    this.#lookedMs = stored.lookedMs;
  }

  /** Whether the last read has left something to read at once. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  /** Wall time of the last look at which everything there was is followed or passed over; null before the first. */
  get lookedMs(): number | null {
    return this.#lookedMs;
  }

  get progress(): LogProgress[] {
    return [...this.#followed.values()].map(({ family, format }) => {
      const { file, offset, size } = family.progress;
      return { file, format, offset, size };
    });
  }

  /**
   * Looks for new files, rotations and deletions. Returns what has changed, to be stored when all entries that were read
   * so far are safe, and before any other is read.
   */
  async look(): Promise<FamilyState[]> {
    const nowMs = this.#options.nowMs();
    this.#looks += 1;
    await this.#takeSettings();
    const isListDue = await this.#folderWatch.isListDue() || !this.#isComplete;
    for (const [path, state] of this.#stored) {
      if (await this.#follow(path, { state })) this.#stored.delete(path);
    }
    const changed = await this.#lookAtFollowed(isListDue);
    if (isListDue) changed.push(...await this.#lookAtFolder());
    if (this.#isComplete) this.#lookedMs = nowMs;
    return changed;
  }

  /** Reads from every log that has something new, a bounded share of each, for a bounded time. */
  async *read(): AsyncGenerator<LogChunk> {
    const { monotonicMs } = this.#options;
    const endMs = monotonicMs() + limits.logTurnMs;
    const followed = [...this.#followed.values()];
    this.#isBehind = false;
    for (const index of followed.keys()) {
      const { family } = followed[(this.#turn + index) % followed.length]!;
      for (let blocks = 0; blocks < limits.logBlocksPerTurn && !family.isQuiet; blocks++) {
        // One name for all of them: what has one is kept, and the first would grow old while the others are read.
        let chunk = await this.#guard("read", family.path, () => family.read()) ?? null;
        if (chunk === null) break;
        for (; chunk !== null; chunk = family.readOn()) yield chunk;
        this.#isBehind ||= blocks === limits.logBlocksPerTurn - 1;
        if (monotonicMs() < endMs) continue;
        this.#isBehind = true;
        this.#turn = (this.#turn + index + 1) % followed.length;
        return;
      }
    }
  }

  close(): void {
    for (const { family } of this.#followed.values()) family.close();
  }

  /** The files that are followed; of those that have been quiet for long, a share at each look. */
  async #lookAtFollowed(all: boolean): Promise<FamilyState[]> {
    const changed: FamilyState[] = [];
    let place = this.#looks;
    for (const [path, { family }] of this.#followed) {
      if (!all && family.isQuiet && !this.#watched.has(path) && ++place % limits.logQuietLooks !== 0) continue;
      const hasChanged = await this.#guard("look", path, () => family.look());
      if (hasChanged === true) changed.push(family.state);
      if (family.isOver) this.#followed.delete(path);
    }
    return changed;
  }

  /** Begins to follow what is worth it, and lets go what is not any more. */
  async #lookAtFolder(): Promise<FamilyState[]> {
    const live = await this.#list();
    if (live === null) return [];
    const chosen = new Set(chooseLogs(live, this.#settings).map(({ path }) => path));
    this.#watched = new Set([...chosen].slice(0, limits.logWatchedFiles));
    const changed = this.#letGo(live, chosen);
    this.#isComplete = true;
    for (const file of live) {
      if (this.#followed.has(file.path) || this.#stored.has(file.path)) continue;
      const passed = this.#pass(file, chosen.has(file.path));
      this.#passed.set(file.path, passed);
      if (passed.offset === null || !chosen.has(file.path)) continue;
      if (await this.#isKnown(file)) {
        this.#passed.set(file.path, { ...passed, offset: null });
        continue;
      }
      const isNew = passed.offset === 0 && this.#lookedMs !== null;
      const sinceMs = isNew ? this.#lookedMs! - limits.logClockSlackMs : Infinity;
      const isFollowed = await this.#follow(file.path, { begin: file, offset: passed.offset, sinceMs });
      if (isFollowed) changed.push(this.#followed.get(file.path)!.family.state);
      else this.#isComplete = false;
    }
    this.#hasListed = true;
    for (const path of this.#passed.keys()) {
      if (this.#followed.has(path) || await statLogFile(path) === null) this.#passed.delete(path);
    }
    return changed;
  }

  /** Where a file begins that is not followed. */
  #pass(file: LogFileInfo, isChosen: boolean): Passed {
    const before = this.#passed.get(file.path);
    if (before !== undefined && isSameFile(before, file)) {
      const { offset } = before;
      // What was passed over goes on from where it is now; a file that cannot be opened yet, from where it was first seen.
      if (offset === null) return before;
      return { ...file, offset: isChosen ? (offset > file.size ? 0 : offset) : file.size };
    }
    const sinceMs = this.#hasListed ? -Infinity : (this.#lookedMs ?? Infinity) - limits.logClockSlackMs;
    return { ...file, offset: isChosen && file.mtimeMs >= sinceMs ? 0 : file.size };
  }

  /** Closes what is written in a better format by now, and what has been quiet for long when there are too many. */
  #letGo(live: readonly LogFileInfo[], chosen: ReadonlySet<string>): FamilyState[] {
    const stems = new Set([...chosen].map(stemOf));
    const gone: FamilyState[] = [];
    for (const { path } of live) {
      const family = this.#followed.get(path)?.family;
      if (family === undefined || chosen.has(path) || !(family.isQuiet || stems.has(stemOf(path)))) continue;
      family.close();
      this.#followed.delete(path);
      gone.push({ ...family.state, generations: [] });
    }
    return gone;
  }

  /** The files that are logs being written; null when the folder cannot be read, which is said once. */
  async #list(): Promise<LogFileInfo[] | null> {
    const { path } = this.#options;
    try {
      const files = await listLogFiles(await folderOf(path));
      this.#failures.delete(path);
      return files.filter((file) =>
        isLiveLog(file.path, { configured: path, currentFile: this.#settings.currentFile })
      );
    } catch (error) {
      // What is not there yet is new when it comes.
      this.#isComplete = error instanceof Deno.errors.NotFound;
      this.#hasListed ||= this.#isComplete;
      this.#say(path, { path, error });
      return null;
    }
  }

  /** What the server says counts from the first entry on that has not been returned: a guess ends there. */
  async #takeSettings(): Promise<void> {
    const before = this.#settings;
    this.#settings = this.#options.settings();
    if (this.#settings === before) return;
    // The names that are followed and the formats that are written may be others.
    this.#folderWatch.forget();
    const { prefix, zone, isTranslated } = this.#settings;
    if (prefix === before.prefix && zone?.name === before.zone?.name && isTranslated === before.isTranslated) return;
    for (const [path, { family }] of this.#followed) await this.#guard("restart", path, () => family.restartParser());
  }

  /** What goes wrong with one log is said once, and does not stop the others. */
  async #guard<T>(what: string, path: string, task: () => Promise<T>): Promise<T | undefined> {
    const key = `${what} ${path}`;
    try {
      const result = await task();
      this.#failures.delete(key);
      return result;
    } catch (error) {
      // What has just been renamed is found by the next look.
      if (!(error instanceof Deno.errors.NotFound)) this.#say(key, { path, error });
    }
  }

  /** Whether it worked. */
  async #follow(path: string, how: Beginning): Promise<boolean> {
    const follows = await this.#guard("follow", path, async () => {
      const { log, nowMs, onLoss } = this.#options;
      const maker = await ParserMaker.of(path, () => this.#settings);
      const { format } = maker;
      const onRotation = (fields: { file: string; kind: string }) => log.info("log_rotation_detected", fields);
      const createParser = maker.create.bind(maker);
      const options = { path, createParser, nowMs, onRotation, onLoss };
      const family = new LogFamily(options, "state" in how ? how.state : undefined);
      if ("begin" in how) await family.begin(how.begin, how);
      this.#followed.set(path, { family, format });
      const from = "state" in how ? "checkpoint" : how.offset === 0 ? "start" : "end";
      log.info("log_followed", { file: path, format, from });
      return true;
    });
    return follows === true;
  }

  async #isKnown(file: LogFileInfo): Promise<boolean> {
    // One that may not be read is said when it is opened to be followed.
    const first = await readBeginning(file).catch(() => null);
    return first !== null && [...this.#followed.values()].some(({ family }) => family.knows(file, first));
  }

  #say(key: string, { path, error }: { path: string; error: unknown }): void {
    const failure = error instanceof Error ? error.message : String(error);
    const isSaid = [...this.#failures.values()].includes(failure);
    this.#failures.set(key, failure);
    if (!isSaid) this.#options.log.warning("log_unreadable", { path, error: failure });
  }
}

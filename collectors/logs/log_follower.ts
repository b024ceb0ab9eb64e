/**
 * All logs of a path: finds them, in the best format where the server writes several, and reads on wherever something
 * new is.
 *
 * @module
 */

import { posix } from "node:path";
import * as limits from "../../limits.ts";
import type { Log } from "../../log.ts";
import { createLogParser, detectFormat, guessPrefix } from "./detect.ts";
import { type FamilyState, type LogChunk, LogFamily } from "./log_family.ts";
import { listLogFiles, liveLogName, type LogFileInfo } from "./log_files.ts";
import type { LogFormat, ResumePoint } from "./log_parser.ts";
import { type LogSettings, unknownSettings } from "./log_settings.ts";

/** What is followed, and who wants to know. */
export interface LogFollowerOptions {
  /** A folder, a file, or a glob in the last part of a path. */
  path: string;
  settings: () => LogSettings;
  nowMs: () => number;
  log: Log;
  /** Bytes that were lost, of which file, since when. */
  onLoss: (fields: { file: string; bytes: number; since: string }) => void;
}

/** One log and its format, for `agent_status`. */
export interface LogProgress {
  file: string;
  format: LogFormat;
  offset: number;
  size: number;
}

/** From what was stored, or as a file that was not followed before. */
type Beginning =
  | { state: FamilyState }
  | { begin: LogFileInfo; atEnd: true }
  | { begin: LogFileInfo; atEnd: false; sinceMs: number };

interface Followed {
  family: LogFamily;
  format: LogFormat;
}

/** Follows logs. */
export class LogFollower {
  readonly #options: LogFollowerOptions;
  readonly #followed = new Map<string, Followed>();
  readonly #stored: Map<string, FamilyState>;
  /** Where files begin that are found for the first time. */
  #atEnd: boolean;
  /** Files that could not be opened yet, and whether they are to begin at their end. */
  readonly #unreadable = new Map<string, boolean>();
  /** What was said to be wrong, by path: once until it is mended. */
  readonly #failures = new Map<string, string>();
  /** As the parsers have them. */
  #settings: LogSettings = unknownSettings;
  /** Wall time of the look before, also of an earlier process. */
  #lookedMs: number;
  #isBehind = false;

  /** `stored` is what an earlier process left; null at the very first start, which begins at the end of all files. */
  constructor(options: LogFollowerOptions, stored: ReadonlyMap<string, FamilyState> | null) {
    this.#options = options;
    this.#stored = new Map(stored ?? []);
    this.#atEnd = stored === null;
    this.#lookedMs = Math.max(0, ...[...this.#stored.values()].map(({ atMs }) => atMs)) || options.nowMs();
  }

  /** Whether the last read has left something to read at once. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  get progress(): LogProgress[] {
    return [...this.#followed.values()].map(({ family, format }) => {
      const { file, offset, size } = family.progress;
      return { file, format, offset, size };
    });
  }

  /** Looks for new files, rotations and deletions. A folder that cannot be read is said once. */
  async look(): Promise<void> {
    const nowMs = this.#options.nowMs();
    await this.#takeSettings();
    const files = await this.#list();
    if (files === null) return;
    const live = chooseFormats(files.filter((file) => this.#isLive(file.path)), this.#settings);
    this.#dropWorseFormats(live);
    const byTime = live.sort((one, other) => other.mtimeMs - one.mtimeMs).slice(0, limits.logFilesMax);
    for (const [path, state] of this.#stored) {
      if (await this.#follow(path, { state })) this.#stored.delete(path);
    }
    for (const file of byTime) {
      if (this.#followed.has(file.path) || this.#stored.has(file.path) || await this.#isKnown(file)) continue;
      const atEnd = this.#unreadable.get(file.path) ?? this.#atEnd;
      const how = { begin: file, ...(atEnd ? { atEnd } : { atEnd, sinceMs: this.#lookedMs }) };
      const follows = await this.#follow(file.path, how);
      if (follows) this.#unreadable.delete(file.path);
      else this.#unreadable.set(file.path, atEnd);
    }
    this.#atEnd = false;
    for (const [path, { family }] of this.#followed) {
      await this.#guard(path, () => family.look());
      if (family.isOver) this.#followed.delete(path);
    }
    this.#lookedMs = nowMs;
  }

  /** Reads from every log that has something new, a bounded share of each. */
  async *read(): AsyncGenerator<LogChunk & { path: string }> {
    this.#isBehind = false;
    for (const { family } of this.#followed.values()) {
      for (let blocks = 0;; blocks++) {
        if (blocks === limits.logBlocksPerTurn) {
          this.#isBehind = true;
          break;
        }
        const chunk = await this.#guard(family.path, () => family.read()) ?? null;
        if (chunk === null) break;
        yield { path: family.path, ...chunk };
      }
    }
  }

  /** What to store so that a later process goes on here. */
  states(): FamilyState[] {
    return [...this.#followed.values()].map(({ family }) => family.state);
  }

  close(): void {
    for (const { family } of this.#followed.values()) family.close();
  }

  /** What the server says counts from the first entry on that has not been returned: a guess ends there. */
  async #takeSettings(): Promise<void> {
    const before = this.#settings;
    const { prefix, zone, isTranslated } = this.#settings = this.#options.settings();
    if (prefix === before.prefix && zone?.name === before.zone?.name && isTranslated === before.isTranslated) return;
    for (const [path, { family }] of this.#followed) await this.#guard(path, () => family.restartParser());
  }

  /** What goes wrong with one log is said once, and does not stop the others. */
  async #guard<T>(path: string, task: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await task();
      this.#failures.delete(path);
      return result;
    } catch (error) {
      // What has just been renamed is found by the next look.
      if (!(error instanceof Deno.errors.NotFound)) this.#say(path, error);
    }
  }

  async #list(): Promise<LogFileInfo[] | null> {
    try {
      const files = await listLogFiles(await this.#folder());
      this.#failures.delete(this.#options.path);
      return files;
    } catch (error) {
      // What is not there yet is new when it comes.
      if (error instanceof Deno.errors.NotFound) this.#atEnd = false;
      this.#say(this.#options.path, error);
      return null;
    }
  }

  async #folder(): Promise<string> {
    const { path } = this.#options;
    if (path.search(wildcard) >= 0) return posix.dirname(path);
    return (await Deno.stat(path)).isDirectory ? path : posix.dirname(path);
  }

  /** A file that is configured is followed by any name; of a folder, those that look like logs being written. */
  #isLive(path: string): boolean {
    const configured = this.#options.path;
    if (configured === path) return true;
    if (configured.search(wildcard) >= 0) return globPattern(configured).test(path);
    if (posix.dirname(path) !== configured) return false;
    return liveLogName.test(path) || path === this.#settings.currentFile;
  }

  /** A better format of the same log has come: what the worse one says is in it. */
  #dropWorseFormats(chosen: readonly LogFileInfo[]): void {
    for (const { path } of chosen) {
      for (const [other, { family }] of this.#followed) {
        if (other === path || stemOf(other) !== stemOf(path)) continue;
        family.close();
        this.#followed.delete(other);
      }
    }
  }

  async #isKnown(file: LogFileInfo): Promise<boolean> {
    for (const { family } of this.#followed.values()) if (await family.knows(file)) return true;
    return false;
  }

  /** Whether it worked. */
  async #follow(path: string, how: Beginning): Promise<boolean> {
    const { log, nowMs, onLoss } = this.#options;
    try {
      const beginning = await readBeginning(path);
      const format = formatOf(path) ?? detectFormat(beginning);
      let guessed = guessPrefix(beginning);
      const createParser = (from: ResumePoint, block: Uint8Array) => {
        const { prefix, zone, isTranslated } = this.#settings;
        // The file may have been empty.
        const known = prefix ?? (guessed ??= guessPrefix(block));
        return createLogParser(format, {
          file: path,
          from,
          isTranslated,
          ...(zone === null ? {} : { zone }),
          ...(known === null ? {} : { prefix: known }),
        });
      };
      const onRotation = (fields: { file: string; kind: string }) => log.info("log_rotation_detected", fields);
      const options = { path, createParser, nowMs, onRotation, onLoss };
      const family = new LogFamily(options, "state" in how ? how.state : undefined);
      if ("begin" in how) await family.begin(how.begin, how);
      this.#followed.set(path, { family, format });
      const from = "state" in how ? "checkpoint" : how.atEnd ? "end" : "start";
      log.info("log_followed", { file: path, format, from });
      return true;
    } catch (error) {
      this.#say(path, error);
      return false;
    }
  }

  #say(path: string, error: unknown): void {
    const failure = error instanceof Error ? error.message : String(error);
    if (failure === this.#failures.get(path)) return;
    this.#failures.set(path, failure);
    this.#options.log.warning("log_unreadable", { path, error: failure });
  }
}

const wildcard = /[*?]/;

/** `*` and `?` of a shell, in the last part of the path. */
function globPattern(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^/]*").replaceAll("?", "[^/]");
  return new RegExp(`^${escaped}$`);
}

/**
 * Of files that differ in their ending alone the server writes the same into each: the best is enough. One that has not
 * been written for long is left over from another `log_destination`, which the server may tell at once.
 */
function chooseFormats(files: readonly LogFileInfo[], { formats, currentFile }: LogSettings): LogFileInfo[] {
  const byStem = Map.groupBy(files, ({ path }) => stemOf(path));
  return [...byStem].map(([stem, all]) => {
    const isCurrent = currentFile !== null && stemOf(currentFile) === stem;
    const written = isCurrent ? all.filter(({ path }) => formats?.includes(formatOf(path) ?? "stderr")) : [];
    const group = written.length > 0 ? written : all;
    const newestMs = Math.max(...group.map(({ mtimeMs }) => mtimeMs));
    const current = group.filter(({ mtimeMs }) => mtimeMs >= newestMs - limits.logFormatStaleMs);
    return current.reduce((best, file) => rankOf(file) > rankOf(best) ? file : best);
  });
}

function stemOf(path: string): string {
  return path.replace(liveLogName, "");
}

function rankOf({ path }: LogFileInfo): number {
  const format = formatOf(path);
  return format === "jsonlog" ? 2 : format === "csvlog" ? 1 : 0;
}

function formatOf(path: string): LogFormat | null {
  if (path.endsWith(".json")) return "jsonlog";
  return path.endsWith(".csv") ? "csvlog" : null;
}

/** For telling the format and the prefix; empty when there is no file at the moment. */
async function readBeginning(path: string): Promise<Uint8Array> {
  try {
    using file = await Deno.open(path);
    const buffer = new Uint8Array(limits.logBlockBytes);
    return buffer.subarray(0, await file.read(buffer) ?? 0);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Uint8Array();
    throw error;
  }
}

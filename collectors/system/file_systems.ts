/**
 * The space of file systems, each once, however many of the watched paths are on it.
 *
 * Invariants:
 *
 * - a file system that does not answer (a network mount whose server is gone) holds up a run for no longer than a bound;
 * - there is never more than one question under way for a path: each holds a thread until it is answered.
 *
 * @module
 */

import type { Clock } from "../../clock.ts";
import type { FileSystemSpace, Machine } from "./machine.ts";
import { failureReason, read, type Reading, round, unavailable } from "./reading.ts";

/** One element of `filesystems`: bytes and inodes, null where they could not be read. */
export interface FileSystem {
  /** The watched path, not the mount point. */
  path: string;
  total: number | null;
  /** Not in use, what is reserved for root included. */
  free: number | null;
  /** Free for a process that is not root. */
  available: number | null;
  used: number | null;
  /** Of what a process that is not root could use, as df shows it. */
  percent: number | null;
  files_total: number | null;
  files_free: number | null;
}

/** The file systems, and why figures of them are missing, by `index` or `index.field`. */
export interface FileSystems {
  elements: FileSystem[];
  unavailable: Record<string, string>;
}

/** Whom to ask, and for how long. */
export interface FileSystemReaderOptions {
  machine: Pick<Machine, "fileSystem">;
  clock: Pick<Clock, "sleep">;
  answerMs: number;
}

/** Reads the file systems that paths are on. */
export class FileSystemReader {
  readonly #options: FileSystemReaderOptions;
  readonly #unanswered = new Set<string>();

  constructor(options: FileSystemReaderOptions) {
    this.#options = options;
  }

  /** Of paths on the same file system the first one stands for all. */
  async read(paths: readonly string[], signal: AbortSignal): Promise<FileSystems> {
    const { clock, answerMs } = this.#options;
    const unique = [...new Set(paths)];
    const done = new AbortController();
    const late = clock.sleep(answerMs, AbortSignal.any([signal, done.signal]));
    const readings = await Promise.all(unique.map((path) => this.#readOne(path, late)));
    // With a reason: without one an error is made of it, with a stack.
    done.abort(null);
    const found: FileSystems = { elements: [], unavailable: {} };
    const devices = new Set<number>();
    for (const [index, path] of unique.entries()) {
      const reading = readings[index]!;
      if (reading.kind === "read" && devices.has(reading.value.device)) continue;
      if (reading.kind === "read") devices.add(reading.value.device);
      append(found, path, reading);
    }
    return found;
  }

  async #readOne(path: string, late: Promise<void>): Promise<Reading<FileSystemSpace>> {
    const { machine, answerMs } = this.#options;
    if (this.#unanswered.has(path)) {
      return unavailable(`Cannot read ${path} because its file system has not answered since an earlier run`);
    }
    this.#unanswered.add(path);
    const answer = machine.fileSystem(path).then(read, (error) => unavailable(failureReason(path, error)))
      .finally(() => this.#unanswered.delete(path));
    const tooLate = late.then(() =>
      unavailable(`Cannot read ${path} because its file system did not answer within ${answerMs} ms`)
    );
    return await Promise.race([answer, tooLate]);
  }
}

function append(found: FileSystems, path: string, reading: Reading<FileSystemSpace>): void {
  const index = found.elements.length;
  if (reading.kind === "unavailable") {
    found.unavailable[`${index}`] = reading.reason;
    found.elements.push({ path, ...nothing });
    return;
  }
  const element = toFileSystem(path, reading.value);
  if (element.percent === null) found.unavailable[`${index}.percent`] = "The file system has no room of its own";
  if (element.files_total === null) {
    for (const field of ["files_total", "files_free"]) {
      found.unavailable[`${index}.${field}`] = "The file system has no fixed number of inodes";
    }
  }
  found.elements.push(element);
}

const nothing = {
  total: null,
  free: null,
  available: null,
  used: null,
  percent: null,
  files_total: null,
  files_free: null,
};

function toFileSystem(path: string, space: FileSystemSpace): FileSystem {
  const used = space.blocks > space.blocksFree ? space.blocks - space.blocksFree : 0n;
  const usable = used + space.blocksAvailable;
  const hasFiles = space.files > 0n;
  return {
    path,
    total: Number(space.blocks * space.blockBytes),
    free: Number(space.blocksFree * space.blockBytes),
    available: Number(space.blocksAvailable * space.blockBytes),
    used: Number(used * space.blockBytes),
    percent: usable > 0n ? round(100 * Number(used) / Number(usable)) : null,
    files_total: hasFiles ? Number(space.files) : null,
    files_free: hasFiles ? Number(space.filesFree) : null,
  };
}

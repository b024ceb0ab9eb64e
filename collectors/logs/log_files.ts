/**
 * Log files on disk: which there are, and how one is known again under another name.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { posix } from "node:path";
import * as limits from "../../limits.ts";

/** A regular file, or what a link leads to. */
export interface LogFileInfo {
  path: string;
  dev: number;
  ino: number;
  size: number;
  mtimeMs: number;
}

/** The first bytes of a file: what stays the same when it grows, is renamed or copied. */
export interface Head {
  bytes: number;
  hash: string;
}

/** The file at a path, or null where there is none or it may not be looked at. */
export async function statLogFile(path: string): Promise<LogFileInfo | null> {
  try {
    const { isFile, dev, ino, size, mtime } = await Deno.stat(path);
    return isFile ? { path, dev, ino: ino ?? 0, size, mtimeMs: mtime?.getTime() ?? 0 } : null;
  } catch {
    return null;
  }
}

/** All files of a folder but compressed ones. Throws when the folder cannot be read. */
export async function listLogFiles(folder: string): Promise<LogFileInfo[]> {
  const files: LogFileInfo[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory || compressed.test(name)) continue;
    const file = await statLogFile(posix.join(folder, name));
    if (file !== null) files.push(file);
  }
  return files;
}

const compressed = /\.(gz|xz|bz2|zst|lz4|zip|Z)$/;

/** Names that PostgreSQL and Debian give to logs that are being written. */
export const liveLogName = /\.(log|csv|json)$/;

/** The first bytes of an open file; its position is behind them afterwards. */
export async function readFirstBytes(file: Deno.FsFile, bytesMax = limits.logHeadBytesMax): Promise<Uint8Array> {
  // A seek asks no disk, so it needs no thread.
  file.seekSync(0, Deno.SeekMode.Start);
  const buffer = new Uint8Array(bytesMax);
  let bytes = 0;
  while (bytes < bytesMax) {
    const read = await file.read(buffer.subarray(bytes));
    if (read === null) break;
    bytes += read;
  }
  return buffer.subarray(0, bytes);
}

/** The first bytes of a file; null when another or none has its name by now. Throws what the file system says. */
export async function readBeginning(info: Pick<LogFileInfo, "path" | "dev" | "ino">): Promise<Uint8Array | null> {
  using file = await openIfThere(info.path);
  const { dev, ino } = await file?.stat() ?? {};
  return file !== null && dev === info.dev && ino === info.ino ? await readFirstBytes(file) : null;
}

/** Opens a file to be read; null when there is none. Throws what else the file system says. */
export async function openIfThere(path: string): Promise<Deno.FsFile | null> {
  try {
    return await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** The head that these bytes are. */
export function headOf(bytes: Uint8Array): Head {
  return { bytes: bytes.length, hash: createHash("sha256").update(bytes).digest("hex").slice(0, headHashChars) };
}

/** 64 bits: among all files that a log will ever have been, no two share them. */
const headHashChars = 16;

/** Whether a file with these first bytes begins like one of the heads. An empty head says nothing of a file. */
export function beginsLike(first: Uint8Array, heads: readonly Head[]): boolean {
  return heads.some((head) => head.bytes > 0 && isHeadOf(first, head));
}

/** Whether a file with these first bytes may be the one that had this head, and has grown since. */
export function isHeadOf(first: Uint8Array, { bytes, hash }: Head): boolean {
  return first.length >= bytes && headOf(first.subarray(0, bytes)).hash === hash;
}

/** Whether two names stand for one file. */
export function isSameFile(one: Pick<LogFileInfo, "dev" | "ino">, other: Pick<LogFileInfo, "dev" | "ino">): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}

/** The other files, whatever their names. */
export function without(file: Pick<LogFileInfo, "dev" | "ino"> | null, files: readonly LogFileInfo[]): LogFileInfo[] {
  return file === null ? [...files] : files.filter((other) => !isSameFile(file, other));
}

/** The oldest first; of two of the same millisecond the one that has been rotated more often: `.2` before `.1`. */
export function byAge(one: LogFileInfo, other: LogFileInfo): number {
  return one.mtimeMs - other.mtimeMs || other.path.localeCompare(one.path, "en", { numeric: true });
}

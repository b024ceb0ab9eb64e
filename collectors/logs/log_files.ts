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

/** Reads the head of a file, as far as it reaches. Throws what the file system says. */
export async function readHead(path: string, bytesMax: number = limits.logHeadBytesMax): Promise<Head> {
  using file = await Deno.open(path);
  return headOf(await readFirstBytes(file, bytesMax));
}

/** The first bytes of an open file; its position is behind them afterwards. */
export async function readFirstBytes(file: Deno.FsFile, bytesMax = limits.logHeadBytesMax): Promise<Uint8Array> {
  await file.seek(0, Deno.SeekMode.Start);
  const buffer = new Uint8Array(bytesMax);
  let bytes = 0;
  while (bytes < bytesMax) {
    const read = await file.read(buffer.subarray(bytes));
    if (read === null) break;
    bytes += read;
  }
  return buffer.subarray(0, bytes);
}

/** The head that these bytes are. */
export function headOf(bytes: Uint8Array): Head {
  return { bytes: bytes.length, hash: createHash("sha256").update(bytes).digest("hex").slice(0, 32) };
}

/** Whether a file begins so. An empty head says nothing of a file. */
export async function hasHead(file: LogFileInfo, head: Head): Promise<boolean> {
  if (head.bytes === 0 || file.size < head.bytes) return false;
  try {
    return (await readHead(file.path, head.bytes)).hash === head.hash;
  } catch {
    return false;
  }
}

/** Whether a file begins like one of these. */
export async function hasAnyHead(file: LogFileInfo, heads: readonly Head[]): Promise<boolean> {
  for (const head of heads) if (await hasHead(file, head)) return true;
  return false;
}

/** The other files, whatever their names. */
export function without(file: LogFileInfo | null, files: readonly LogFileInfo[]): LogFileInfo[] {
  return files.filter(({ ino, dev }) => ino !== file?.ino || dev !== file.dev);
}

/** The oldest first; of two of the same millisecond the one that has been rotated more often: `.2` before `.1`. */
export function byAge(one: LogFileInfo, other: LogFileInfo): number {
  return one.mtimeMs - other.mtimeMs || other.path.localeCompare(one.path, "en", { numeric: true });
}

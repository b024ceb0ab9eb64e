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
  const buffer = new Uint8Array(bytesMax);
  let bytes = 0;
  while (bytes < bytesMax) {
    const read = await file.read(buffer.subarray(bytes));
    if (read === null) break;
    bytes += read;
  }
  return { bytes, hash: createHash("sha256").update(buffer.subarray(0, bytes)).digest("hex").slice(0, 32) };
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

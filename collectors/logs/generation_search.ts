/**
 * Finds a stored generation again, whatever its name has become.
 *
 * @module
 */

import type { GenerationState } from "./generation.ts";
import { type Head, isHeadOf, isSameFile, type LogFileInfo, readBeginning, without } from "./log_files.ts";

/**
 * Where a stored generation is now: under its inode, else as a copy with the same head that reaches far enough. Throws
 * when the file with its inode cannot be read; others that cannot be read are none of its copies, as far as we can tell.
 */
export async function findGeneration(
  state: GenerationState,
  files: readonly LogFileInfo[],
): Promise<LogFileInfo | null> {
  const fitting = files.filter(({ size }) => size >= state.resume.offset);
  const byInode = fitting.find((file) => isSameFile(file, state));
  if (state.head.bytes === 0) return byInode ?? null;
  if (byInode !== undefined && await hasHead(byInode, state.head)) return byInode;
  for (const file of without(byInode ?? null, fitting)) {
    if (await hasHead(file, state.head).catch(() => false)) return file;
  }
  return null;
}

async function hasHead(file: LogFileInfo, head: Head): Promise<boolean> {
  const first = file.size < head.bytes ? null : await readBeginning(file);
  return first !== null && isHeadOf(first, head);
}

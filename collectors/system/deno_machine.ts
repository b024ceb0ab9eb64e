/**
 * The real machine, through Deno's own API: what `--allow-sys` and `--allow-read` of single paths give, on Linux.
 *
 * @module
 */

import { statfs } from "node:fs/promises";
import os from "node:os";
import type { CpuTimes, FileSystemSpace, Machine } from "./machine.ts";

/** Files below /proc say 0 of their size, so they are read in blocks until they end. */
const blockBytes = 64 * 1024;

/** The machine that this process runs on. */
export const denoMachine: Machine = {
  cpus: () => os.cpus().map((cpu): CpuTimes => ({ ...cpu.times })),
  loadAverage: () => Deno.loadavg(),
  memory: () => Deno.systemMemoryInfo(),
  readTextFile: readBounded,
  fileSystem: readFileSystem,
};

async function readBounded(path: string, bytesMax: number): Promise<string> {
  // To open a pipe waits for a writer, and a directory fails with a message that helps nobody.
  if (!(await Deno.stat(path)).isFile) throw new Error("it must be a regular file");
  using file = await Deno.open(path);
  const decoder = new TextDecoder();
  const block = new Uint8Array(blockBytes);
  let text = "";
  let length = 0;
  for (;;) {
    const count = await file.read(block);
    if (count === null) return text + decoder.decode();
    length += count;
    if (length > bytesMax) throw new Error(`it must not be longer than ${bytesMax} bytes`);
    text += decoder.decode(block.subarray(0, count), { stream: true });
  }
}

async function readFileSystem(path: string): Promise<FileSystemSpace> {
  const [{ dev }, space] = await Promise.all([Deno.stat(path), statfs(path, { bigint: true })]);
  // Blocks are counted in fragments; `bsize` is the size that the file system likes to be read in. Deno gives both.
  const { frsize } = space as { frsize?: bigint };
  return {
    device: dev,
    blockBytes: frsize !== undefined && frsize > 0n ? frsize : space.bsize,
    blocks: space.blocks,
    blocksFree: space.bfree,
    blocksAvailable: space.bavail,
    files: space.files,
    filesFree: space.ffree,
  };
}

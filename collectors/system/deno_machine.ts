/**
 * The real machine, through Deno's own API: what `--allow-sys` and `--allow-read` of single paths give, on Linux.
 *
 * @module
 */

import { statfs } from "node:fs/promises";
import os from "node:os";
import type { CpuTimes, FileSystemSpace, Machine } from "./machine.ts";

/** Files below /proc say 0 of their size, so they are read in blocks until they end. One block serves all of them. */
const block = new Uint8Array(64 * 1024);

/** The machine that this process runs on. */
export const denoMachine: Machine = {
  cpus: () => os.cpus().map((cpu): CpuTimes => ({ ...cpu.times })),
  loadAverage: () => Deno.loadavg(),
  memory: () => Deno.systemMemoryInfo(),
  readTextFile: readBounded,
  fileSystem: readFileSystem,
};

/**
 * In place: these files are the kernel's memory, and a thread for each step of each of them would cost ten times the
 * reading. A /proc of FUSE (lxcfs) whose server hangs would hold up the whole agent here, as it does already where Deno
 * itself reads in place: /proc/stat and cpuinfo for the CPUs, meminfo for the memory, which are what lxcfs serves first.
 * Then systemd's watchdog restarts the agent. File systems, which do hang, are asked on a thread (`file_systems.ts`).
 */
function readBounded(path: string, bytesMax: number): string {
  // To open a pipe waits for a writer, and a directory fails with a message that helps nobody.
  if (!Deno.statSync(path).isFile) throw new Error("it must be a regular file");
  using file = Deno.openSync(path);
  const decoder = new TextDecoder();
  let text = "";
  let length = 0;
  for (;;) {
    const count = file.readSync(block);
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

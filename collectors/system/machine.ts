/**
 * The seam between the collector of system metrics and the machine: the few things that Deno can tell of it, and files.
 *
 * @module
 */

/** Milliseconds that one logical CPU has spent since boot, as far as Deno tells: neither iowait nor softirq nor steal. */
export interface CpuTimes {
  user: number;
  nice: number;
  sys: number;
  idle: number;
  irq: number;
}

/** What statfs(2) tells of the file system that a path is on. Blocks are of `blockBytes`. */
export interface FileSystemSpace {
  /** Equal for two paths on the same file system. */
  device: number;
  blockBytes: bigint;
  blocks: bigint;
  blocksFree: bigint;
  /** Free for a process that is not root. */
  blocksAvailable: bigint;
  /** Inodes; 0 where the file system has no fixed number of them. */
  files: bigint;
  filesFree: bigint;
}

/** The machine that the agent runs on. Every member throws what keeps it from answering. */
export interface Machine {
  /** One element for each logical CPU that is online, in the kernel's order. */
  cpus(): CpuTimes[];
  /** Runnable and waiting tasks, averaged over 1, 5 and 15 minutes. */
  loadAverage(): number[];
  /** In bytes; `available` is the kernel's estimate of what programs could still get without swapping. */
  memory(): { total: number; available: number };
  /** The whole of a regular file; throws without reading further when it is longer than `bytesMax`. */
  readTextFile(path: string, bytesMax: number): string;
  /** Of a path that exists. */
  fileSystem(path: string): Promise<FileSystemSpace>;
}

/**
 * A machine whose every figure a test sets, and whose every answer can fail or stay away.
 *
 * @module
 */

import type { CpuTimes, FileSystemSpace, Machine } from "../../collectors/system/machine.ts";

/** Times of a CPU that has done nothing, with changes. */
export function cpuTimes(changes: Partial<CpuTimes> = {}): CpuTimes {
  return { user: 0, nice: 0, sys: 0, idle: 0, irq: 0, ...changes };
}

/** A file system of a hundred blocks, half of them free, with changes. */
export function space(changes: Partial<FileSystemSpace> = {}): FileSystemSpace {
  const blocks = { blockBytes: 4096n, blocks: 100n, blocksFree: 50n, blocksAvailable: 40n };
  return { device: 1, ...blocks, files: 1_000n, filesFree: 900n, ...changes };
}

/** Answers with what it holds. An Error in a place is thrown there; an absent file or path does not exist. */
export class MemoryMachine implements Machine {
  cpuTimes: CpuTimes[] | Error = [cpuTimes()];
  load: number[] | Error = [1, 0.5, 0.25];
  memoryBytes: { total: number; available: number } | Error = { total: 1_000, available: 250 };
  readonly files = new Map<string, string | Error>();
  readonly fileSystems = new Map<string, FileSystemSpace | Error | Promise<FileSystemSpace>>();
  /** How often each path's file system was asked for. */
  readonly asked: string[] = [];

  cpus(): CpuTimes[] {
    return orThrow(this.cpuTimes);
  }

  loadAverage(): number[] {
    return orThrow(this.load);
  }

  memory(): { total: number; available: number } {
    return orThrow(this.memoryBytes);
  }

  readTextFile(path: string, bytesMax: number): string {
    const text = orThrow(this.files.get(path) ?? new Deno.errors.NotFound(`No such file: ${path}`));
    if (text.length > bytesMax) throw new Error(`it must not be longer than ${bytesMax} bytes`);
    return text;
  }

  // deno-lint-ignore require-await -- What it throws must be a rejection.
  async fileSystem(path: string): Promise<FileSystemSpace> {
    this.asked.push(path);
    return orThrow(this.fileSystems.get(path) ?? new Deno.errors.NotFound(`No such path: ${path}`));
  }
}

function orThrow<T>(value: T | Error): T {
  if (value instanceof Error) throw value;
  return value;
}

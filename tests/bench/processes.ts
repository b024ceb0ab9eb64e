/**
 * What processes use, as Linux tells: memory, processor time, bytes written.
 *
 * @module
 */

import { join } from "node:path";

/** The process and those that it started: `deno task` runs the agent as its child. */
function processesOf(pid: number): number[] {
  const children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim();
  return [pid, ...children.split(" ").filter((one) => one !== "").flatMap((one) => processesOf(Number(one)))];
}

/** Proportional set size of a process and its children, in MB: shared pages count for their part. */
export function memoryMb(pid: number): number {
  return processesOf(pid).reduce((total, one) => {
    const rollup = Deno.readTextFileSync(`/proc/${one}/smaps_rollup`);
    return total + 1_024 * Number(/^Pss:\s+(\d+)/m.exec(rollup)?.[1]) / 1e6;
  }, 0);
}

/**
 * A copy of Deno of one's own. Processes that run from one file share its pages, 33 MB for each Deno, and the bench runs
 * several; on a server the agent is the only one.
 */
export class PrivateDeno implements AsyncDisposable {
  readonly path: string;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, "deno");
  }

  static async create(): Promise<PrivateDeno> {
    const deno = new PrivateDeno(await Deno.makeTempDir({ prefix: "bitville-deno-" }));
    await Deno.copyFile(Deno.execPath(), deno.path);
    using file = await Deno.open(deno.path, { read: true, write: true });
    await file.sync();
    return deno;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}

/** Processor time of all threads of a process that are alive, in ms. */
export function processorMs(pid: number): number {
  let total = 0;
  for (const { name } of Deno.readDirSync(`/proc/${pid}/task`)) {
    total += Number(Deno.readTextFileSync(`/proc/${pid}/task/${name}/schedstat`).split(" ")[0]) / 1e6;
  }
  return total;
}

/** Bytes that this process has had written to disk. */
export function bytesWritten(): number {
  return Number(/^write_bytes: (\d+)/m.exec(Deno.readTextFileSync("/proc/self/io"))?.[1]);
}

/** The highest of what `probe` gives until `done` has come. */
export async function peakUntil(done: Promise<unknown>, probe: () => number): Promise<number> {
  let isDone = false;
  const watched = done.finally(() => isDone = true);
  let peak = 0;
  while (!isDone) {
    peak = Math.max(peak, probe());
    await pause(100);
  }
  await watched;
  return peak;
}

/** A sampling interval, or time to settle; nothing that is measured depends on its length. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * The folder of the outbox: made private, and owned by one process at a time.
 *
 * @module
 */

import { join } from "node:path";

/** Another agent uses this folder. */
export class BufferInUseError extends Error {
  constructor(path: string) {
    super(
      `Cannot use buffer folder "${path}" because another agent is using it: stop that one, or give this one a ` +
        `buffer.path of its own`,
    );
    this.name = "BufferInUseError";
  }
}

/** A folder that this process owns until it disposes of it or dies. */
export interface BufferDirectory extends Disposable {
  readonly path: string;
}

/**
 * Creates the folder with mode 0700 where it is missing, and locks it. The lock is the kernel's (flock), so it goes
 * with the process however that ends. Throws {@link BufferInUseError}, or what the file system says.
 */
export async function claimBufferDirectory(path: string): Promise<BufferDirectory> {
  await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  const file = await Deno.open(join(path, "lock"), { create: true, write: true, mode: 0o600 });
  if (!await file.tryLock(true)) {
    file.close();
    throw new BufferInUseError(path);
  }
  return { path, [Symbol.dispose]: () => file.close() };
}

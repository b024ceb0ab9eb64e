/**
 * Whether a folder takes files.
 *
 * @module
 */

import { join } from "node:path";

/** Writes `bytes` into a file of its own and removes it again. Throws what the file system says. */
export async function probeFolder(folder: string, bytes: number): Promise<void> {
  const path = join(folder, "probe");
  const file = await Deno.open(path, { create: true, write: true, mode: 0o600 });
  try {
    for (let rest = new Uint8Array(bytes); rest.length > 0;) rest = rest.subarray(await file.write(rest));
    await file.syncData();
  } finally {
    file.close();
    await Deno.remove(path);
  }
}

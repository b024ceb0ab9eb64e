/**
 * A folder for one test.
 *
 * @module
 */

/** Runs a test with a folder of its own, which goes with it: by its real path, without links of the machine's own. */
export async function withFolder<T>(body: (folder: string) => T | Promise<T>): Promise<T> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    return await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

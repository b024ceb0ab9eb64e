/**
 * Files as they shall be on a server → the changes that make them so, told before they are made.
 *
 * Invariants:
 *
 * - a file that is as it shall be is not touched, so a second run changes nothing;
 * - a file is replaced by renaming a whole one over it: what runs keeps the old one, and nobody sees half of it.
 *
 * @module
 */

import { dirname, join } from "node:path";

/** A file on the server. */
export interface WantedFile {
  /** Absolute, below whatever root it is installed to. */
  path: string;
  mode: number;
  /** What is in it, or where to copy it from. */
  content: Uint8Array | { copyOf: string };
  /** Belongs to the operator once it is there. */
  keep?: true;
}

/** Something to do, in words and as a deed. */
export interface Change {
  text: string;
  make: () => Promise<void>;
}

/** What it takes for these files to be below `root`. Whatever else is in the `owned` folders goes. */
export async function fileChanges(
  root: string,
  wanted: readonly WantedFile[],
  owned: readonly string[] = [],
): Promise<Change[]> {
  const changes: Change[] = [];
  for (const file of wanted) {
    const change = await fileChange(join(root, file.path), file);
    if (change !== null) changes.push(change);
  }
  const paths = new Set(wanted.map(({ path }) => join(root, path)));
  const found = (await Promise.all(owned.map((folder) => filesBelow(join(root, folder))))).flat();
  changes.push(...found.filter((path) => !paths.has(path)).map(removal));
  return changes;
}

/** Removes a file or a folder with all that is in it. */
export function removal(path: string): Change {
  return { text: `remove ${path}`, make: () => Deno.remove(path, { recursive: true }) };
}

/** All files below a folder, in order; none where there is no folder. */
export async function filesBelow(folder: string): Promise<string[]> {
  const files: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      const path = join(folder, name);
      if (isDirectory) files.push(...await filesBelow(path));
      else files.push(path);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return files.sort();
}

/** Whether something is at a path. */
export async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

async function fileChange(target: string, { mode, content, keep }: WantedFile): Promise<Change | null> {
  const bytes = content instanceof Uint8Array ? content : await Deno.readFile(content.copyOf);
  const found = await Deno.readFile(target).catch(() => null);
  const inMode = mode.toString(8).padStart(4, "0");
  if (found === null) {
    return { text: `create ${target} (${bytes.length} bytes, mode ${inMode})`, make: () => write(target, bytes, mode) };
  }
  if (keep) return null;
  if (!areEqual(found, bytes)) return { text: `replace ${target}`, make: () => write(target, bytes, mode) };
  const { mode: foundMode } = await Deno.stat(target);
  if ((foundMode! & 0o7777) === mode) return null;
  return { text: `set mode ${inMode} of ${target}`, make: () => Deno.chmod(target, mode) };
}

async function write(target: string, bytes: Uint8Array, mode: number): Promise<void> {
  await makeFolder(dirname(target));
  const whole = `${target}.new`;
  await Deno.writeFile(whole, bytes);
  // Not left to the umask, in which an installer may be very private.
  await Deno.chmod(whole, mode);
  await Deno.rename(whole, target);
}

async function makeFolder(path: string): Promise<void> {
  if (await exists(path)) return;
  await makeFolder(dirname(path));
  await Deno.mkdir(path);
  await Deno.chmod(path, 0o755);
}

function areEqual(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let index = 0; index < one.length; index++) if (one[index] !== other[index]) return false;
  return true;
}

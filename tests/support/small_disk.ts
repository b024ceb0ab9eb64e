/**
 * A file system of its own for a test, so small that it can be filled; as root on Linux only.
 *
 * @module
 */

import assert from "node:assert/strict";

/** Why there is none here, or null. */
export function smallDiskUnavailable(): string | null {
  return Deno.build.os === "linux" && Deno.uid() === 0 ? null : "only root can mount a file system";
}

/** A mounted ext4 file system in a file, which can be made to fail as one on a broken disk does. */
export class FileDisk implements AsyncDisposable {
  readonly path: string;
  #image: string;

  private constructor(path: string, image: string) {
    this.path = path;
    this.#image = image;
  }

  /** Null where loop devices or ext4 are missing. */
  static async mount(megabytes: number): Promise<FileDisk | null> {
    const path = await Deno.makeTempDir({ prefix: "bitville-disk-" });
    const image = `${path}.img`;
    await Deno.writeFile(image, new Uint8Array(megabytes * 1024 * 1024));
    try {
      await run("mkfs.ext4", "-q", image);
      await run("mount", "-o", "loop", image, path);
      return new FileDisk(path, image);
    } catch {
      await Deno.remove(path);
      await Deno.remove(image);
      return null;
    }
  }

  /** It turns read-only under whoever has files open, as after an I/O error. */
  async fail(): Promise<void> {
    await run("mount", "-o", "remount,abort", this.path);
  }

  /** Unmounts it under whoever has files open, and mounts what is on it in its place, mended. */
  async mend(): Promise<void> {
    await run("umount", "-l", this.path);
    // Another device: while files are open, the failed one stays as it is.
    const failed = this.#image;
    this.#image = `${failed}.mended`;
    await Deno.copyFile(failed, this.#image);
    await Deno.remove(failed);
    const { code } = await new Deno.Command("e2fsck", { args: ["-fy", this.#image], stdout: "null" }).output();
    assert(code < 4, `e2fsck: ${code}`);
    await run("mount", "-o", "loop", this.#image, this.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("umount", "-l", this.path);
    await Deno.remove(this.path);
    await Deno.remove(this.#image);
  }
}

/** A mounted tmpfs. Disposing of it takes it away with all that is in it. */
export class SmallDisk implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** `options` are mount's, such as `size=2m,nr_inodes=8`. */
  static async mount(options: string): Promise<SmallDisk> {
    const path = await Deno.makeTempDir({ prefix: "bitville-disk-" });
    await run("mount", "-t", "tmpfs", "-o", options, "tmpfs", path);
    return new SmallDisk(path);
  }

  /** Takes all the room there is left, less `spareBytes`. */
  async fill(spareBytes = 0): Promise<void> {
    const block = new Uint8Array(4_096);
    using file = await Deno.open(`${this.path}/filling`, { create: true, write: true, append: true });
    try {
      while ((await file.write(block)) === block.length);
    } catch {
      // That is the end of the disk.
    }
    if (spareBytes > 0) await file.truncate(Math.max(0, (await file.stat()).size - spareBytes));
  }

  /** Gives the room back. */
  async empty(): Promise<void> {
    await Deno.remove(`${this.path}/filling`);
  }

  /** Takes all inodes there are left. */
  async fillInodes(): Promise<number> {
    for (let count = 0;; count++) {
      try {
        (await Deno.open(`${this.path}/inode${count}`, { create: true, write: true })).close();
      } catch {
        return count;
      }
    }
  }

  /** Mounts it anew, such as with `ro` or `rw`. The kernel refuses `ro` while files are open for writing. */
  async remount(options: string): Promise<void> {
    await run("mount", "-o", `remount,${options}`, this.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("umount", "-l", this.path);
    await Deno.remove(this.path);
  }
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args, stdout: "null", stderr: "piped" }).output();
  assert(success, `${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
}

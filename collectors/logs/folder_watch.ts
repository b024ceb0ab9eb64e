/**
 * Tells when a folder has to be listed, from its time alone: that changes with the names in it.
 *
 * @module
 */

import * as limits from "../../limits.ts";
import { folderOf } from "./log_choice.ts";

/** Watches the folder of a configured path. */
export class FolderWatch {
  readonly #path: string;
  readonly #monotonicMs: () => number;
  #folder: string | null = null;
  #mtimeMs: number | null = null;
  #listedMs = 0;
  #listUntilMs = 0;

  constructor({ path, monotonicMs }: { path: string; monotonicMs: () => number }) {
    this.#path = path;
    this.#monotonicMs = monotonicMs;
  }

  /**
   * Whether its names may be others than at the look before, or the sizes and times of its files are needed again. Some
   * file systems know but seconds: for a while after a change there may be another one at the same time.
   */
  async isListDue(): Promise<boolean> {
    const nowMs = this.#monotonicMs();
    const mtimeMs = await this.#readMtimeMs();
    if (mtimeMs !== this.#mtimeMs) this.#listUntilMs = nowMs + limits.logFolderTimeMs;
    this.#mtimeMs = mtimeMs;
    const isDue = mtimeMs === null || nowMs < this.#listUntilMs || nowMs - this.#listedMs >= limits.logListMs;
    if (isDue) this.#listedMs = nowMs;
    return isDue;
  }

  /** The next look lists it. */
  forget(): void {
    this.#mtimeMs = null;
  }

  async #readMtimeMs(): Promise<number | null> {
    try {
      this.#folder ??= await folderOf(this.#path);
      return (await Deno.stat(this.#folder)).mtime?.getTime() ?? null;
    } catch {
      this.#folder = null;
      return null;
    }
  }
}

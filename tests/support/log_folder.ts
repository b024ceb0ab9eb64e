/**
 * A folder with a log and what rotation leaves beside it.
 *
 * @module
 */

import { join } from "node:path";
import { type LogFileInfo, statLogFile } from "../../collectors/logs/log_files.ts";

/** A folder of its own, which goes with it. */
export class LogFolder implements AsyncDisposable {
  /** Of the log. */
  readonly path: string;

  private constructor(readonly folder: string) {
    this.path = join(folder, "postgresql.log");
  }

  static async open(): Promise<LogFolder> {
    return new LogFolder(await Deno.makeTempDir());
  }

  async write(text: string, name = "postgresql.log", options: Deno.WriteFileOptions = {}): Promise<void> {
    await Deno.writeTextFile(join(this.folder, name), text, options);
  }

  async append(text: string): Promise<void> {
    await this.write(text, "postgresql.log", { append: true });
  }

  /** Gives the log another name, as logrotate does. */
  async rename(name: string): Promise<void> {
    await Deno.rename(this.path, join(this.folder, name));
  }

  /** Copies the log and truncates it, as logrotate does where it is told to. */
  async copyTruncate(name: string): Promise<void> {
    await Deno.copyFile(this.path, join(this.folder, name));
    await Deno.truncate(this.path);
  }

  /** The log. */
  async info(): Promise<LogFileInfo> {
    return (await statLogFile(this.path))!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

/**
 * Which files of a folder are logs that a server writes, and which of them are worth following.
 *
 * @module
 */

import { posix } from "node:path";
import * as limits from "../../limits.ts";
import { liveLogName, type LogFileInfo } from "./log_files.ts";
import type { LogFormat } from "./log_parser.ts";
import type { LogSettings } from "./log_settings.ts";

const wildcard = /[*?]/;

/** The folder of a configured path: a folder, a file, or a glob in the last part. Throws what the file system says. */
export async function folderOf(path: string): Promise<string> {
  if (wildcard.test(path)) return posix.dirname(path);
  return (await Deno.stat(path)).isDirectory ? path : posix.dirname(path);
}

/** What tells the logs from other files: the configured path, and the file that the server says it writes. */
interface LiveLogs {
  configured: string;
  currentFile: string | null;
}

/** A file that is configured is followed by any name; of a folder, those that look like logs being written. */
export function isLiveLog(path: string, { configured, currentFile }: LiveLogs): boolean {
  if (configured === path) return true;
  if (wildcard.test(configured)) return globPattern(configured).test(path);
  return posix.dirname(path) === configured && (liveLogName.test(path) || path === currentFile);
}

/** `*` and `?` of a shell, in the last part of the path. */
function globPattern(glob: string): RegExp {
  const escaped = glob.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^/]*").replaceAll("?", "[^/]");
  return new RegExp(`^${escaped}$`);
}

/** The most recently written files, the latest first, each in the best of the formats that the server writes it in. */
export function chooseLogs(live: readonly LogFileInfo[], settings: LogSettings): LogFileInfo[] {
  return chooseFormats(live, settings).sort((one, other) => other.mtimeMs - one.mtimeMs).slice(0, limits.logFilesMax);
}

/**
 * Of files that differ in their ending alone the server writes the same into each: the best is enough. One that has not
 * been written for long is left over from another `log_destination`, which the server may tell at once.
 */
function chooseFormats(files: readonly LogFileInfo[], { formats, currentFile }: LogSettings): LogFileInfo[] {
  const byStem = Map.groupBy(files, ({ path }) => stemOf(path));
  return [...byStem].map(([stem, all]) => {
    const isCurrent = currentFile !== null && stemOf(currentFile) === stem;
    const written = isCurrent ? all.filter(({ path }) => formats?.includes(formatOf(path) ?? "stderr")) : [];
    const group = written.length > 0 ? written : all;
    const newestMs = Math.max(...group.map(({ mtimeMs }) => mtimeMs));
    const current = group.filter(({ mtimeMs }) => mtimeMs >= newestMs - limits.logFormatStaleMs);
    return current.reduce((best, file) => rankOf(file) > rankOf(best) ? file : best);
  });
}

/** What the names of one log in several formats have in common. */
export function stemOf(path: string): string {
  return path.replace(liveLogName, "");
}

function rankOf({ path }: LogFileInfo): number {
  const format = formatOf(path);
  return format === "jsonlog" ? 2 : format === "csvlog" ? 1 : 0;
}

/** The format that a name tells; null where the beginning of the file has to. */
export function formatOf(path: string): LogFormat | null {
  if (path.endsWith(".json")) return "jsonlog";
  return path.endsWith(".csv") ? "csvlog" : null;
}

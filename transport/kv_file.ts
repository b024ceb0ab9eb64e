/**
 * The outbox's file as a file: private, fit to be opened, or damaged and set aside under a name with the date.
 *
 * Deno KV runs queries of its own in a thread that ends the process when one of them fails (Deno 2.9.6: a damaged page of
 * its queue, or a full disk while a message is due), and so does a value that a damaged page passes off as a number. All
 * of it is looked for here first, by SQLite itself, which only throws.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import * as limits from "../limits.ts";

/** The outbox was written by a newer agent, which this one does not know how to read. */
export class NewerFormatError extends Error {
  /** The next number that it would give, or NaN. */
  readonly nextSequence: number;

  constructor({ format, known, nextSequence }: { format: number; known: number; nextSequence: number }) {
    super(
      `Cannot read the outbox because it was written by a newer agent: format is ${format}, this agent knows up to ` +
        `${known}`,
    );
    this.name = "NewerFormatError";
    this.nextSequence = nextSequence;
  }
}

/** What SQLite and KV say of a damaged file; everything else may pass. */
const damage =
  /malformed|not a database|no such (table|column|index)|unsupported file format|value encoding|deserializ|Cannot read the outbox/i;

/** Whether an error says that the file is damaged, rather than that it cannot be reached or written now. */
export function isDamage(error: unknown): boolean {
  return error instanceof Error && !(error instanceof NewerFormatError) && damage.test(error.message);
}

/**
 * Makes the file where it is missing, private and with small pages, and checks what Deno KV would end the process for.
 * Throws SQLite's error.
 */
export async function readyFile(path: string): Promise<void> {
  // SQLite gives its other files this one's mode.
  (await Deno.open(path, { create: true, write: true, mode: 0o600 })).close();
  const { size } = await Deno.stat(path);
  using file = new DatabaseSync(path);
  if (size === 0) {
    // Deno KV leaves it as it is, and would set the same journal.
    file.exec(`pragma page_size = ${limits.outboxPageBytes}; pragma journal_mode = wal`);
    return;
  }
  // One page without a table: it was made, and a crash came before Deno KV's first commit.
  const isUnused = size === file.prepare("pragma page_size").get()?.page_size &&
    file.prepare("select 1 from sqlite_master limit 1").get() === undefined;
  if (isUnused) return;
  for (const table of ["queue", "queue_running"]) {
    const [row] = file.prepare(`pragma quick_check('${table}')`).all();
    const answer = Object.values(row ?? {})[0];
    if (answer !== "ok") throw new Error(`database disk image is malformed: ${answer}`);
    // Wake-ups of an earlier version: with none there, nothing is written behind the agent's back.
    if (file.prepare(`select 1 from ${table} limit 1`).get() !== undefined) file.exec(`delete from ${table}`);
  }
  // Deno KV takes a number's eight bytes for granted. Values themselves are not read for this.
  if (file.prepare("select 1 from kv where v_encoding = 2 and length(v) <> 8 limit 1").get() !== undefined) {
    throw new Error("database disk image is malformed: a number is not eight bytes long");
  }
  file.prepare("select version from data_version where k = 0").get();
  file.prepare("select expiration_ms from kv where expiration_ms >= 0 order by expiration_ms limit 1").get();
}

const sidecars = ["", "-wal", "-shm"];

/** Where a file goes that is set aside now: `outbox.kv.damaged-20261121T082300Z`. */
export function damagedPath(path: string, now: Date): string {
  return `${path}.damaged-${now.toISOString().replace(/[-:]|\.\d+/g, "")}`;
}

/** Renames a database with the files that belong to it. */
export async function moveDatabase(from: string, to: string): Promise<void> {
  // The main file last: as long as it is there, the move is not done.
  for (const suffix of sidecars.toReversed()) {
    try {
      await Deno.rename(from + suffix, to + suffix);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** Removes a database with the files that belong to it. */
export async function removeDatabase(path: string): Promise<void> {
  for (const suffix of sidecars) {
    try {
      await Deno.remove(path + suffix);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/** Removes the oldest of the files that were set aside, beyond their number and `maxBytes` together. The last one stays. */
export async function boundDamaged(path: string, maxBytes: number): Promise<void> {
  const names: string[] = [];
  const prefix = `${basename(path)}.damaged-`;
  for await (const { name } of Deno.readDir(dirname(path))) {
    if (name.startsWith(prefix) && !name.endsWith("-wal") && !name.endsWith("-shm")) names.push(name);
  }
  let bytes = 0;
  for (const [index, name] of names.sort().reverse().entries()) {
    const file = join(dirname(path), name);
    bytes += (await Deno.stat(file)).size;
    if (index > 0 && (index >= limits.quarantinedFilesMax || bytes > maxBytes)) await removeDatabase(file);
  }
}

/**
 * The doctor's look at the buffer: private, writable, sound, and with room for what it may hold. An agent that runs on
 * it is left alone.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { denoMachine } from "../../collectors/system/deno_machine.ts";
import { errorMessage } from "../../log.ts";
import { BufferInUseError, claimBufferDirectory } from "../../transport/buffer_directory.ts";
import type { Check, Finding, Mend, Patient } from "./check.ts";
import { quote } from "../quote.ts";

const name = "buffer";
const probeBytes = 64 * 1024;
const sqliteHead = "SQLite format 3\0";

/** The buffer can be used as it is configured. */
export const bufferCheck: Check = {
  name,
  async run(patient) {
    const { path } = patient.config.buffer;
    const before = await Deno.stat(path).catch(() => null);
    try {
      // For this moment only: an agent that starts meanwhile would find it taken.
      (await claimBufferDirectory(path))[Symbol.dispose]();
      await writeProbe(join(path, "doctor"));
      const damage = await damageOf(join(path, "outbox.kv"));
      if (damage !== null) return [damage];
    } catch (error) {
      if (!(error instanceof BufferInUseError)) {
        return [{ name, state: "FAIL", text: `${path}: ${errorMessage(error)}`, mend: mendOf(error, patient) }];
      }
      return await roomFindings(patient, `${path}, where an agent is running`);
    } finally {
      // Made by the attempt: as if nobody had looked.
      if (before === null) await Deno.remove(path, { recursive: true }).catch(() => {});
    }
    if (before !== null && ((before.mode ?? 0) & 0o077) !== 0) {
      const mend = { kind: "shell" as const, command: `chmod 0700 ${quote(path)}` };
      return [{ name, state: "warn", text: `Other users can look into ${path}`, mend }];
    }
    return before === null
      ? [{ name, state: "ok", text: `${path} can be made` }]
      : await roomFindings(patient, `${path} can be written`);
  },
};

async function writeProbe(path: string): Promise<void> {
  try {
    await Deno.writeFile(path, new Uint8Array(probeBytes));
  } finally {
    await Deno.remove(path).catch(() => {});
  }
}

/** An outbox that is no database; what is damaged further inside only reading all of it would tell. */
async function damageOf(path: string): Promise<Finding | null> {
  const head = new Uint8Array(sqliteHead.length);
  try {
    using file = await Deno.open(path);
    const bytes = await file.read(head);
    if (bytes === null || new TextDecoder().decode(head) === sqliteHead) return null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  const mend = {
    kind: "advice" as const,
    text: "start the agent: it takes over what is readable and sets the file aside",
  };
  return { name, state: "warn", text: `${path} is damaged: it is no database`, mend };
}

/** Room for a full buffer beside what is in it already. */
async function roomFindings({ config }: Patient, text: string): Promise<Finding[]> {
  const { path, maxBytes } = config.buffer;
  const space = await denoMachine.fileSystem(path);
  const free = Number(space.blocksAvailable * space.blockBytes);
  const held = await Deno.stat(join(path, "outbox.kv")).then(({ size }) => size, () => 0);
  const inMb = (bytes: number) => Math.floor(bytes / 1024 / 1024);
  if (free + held >= maxBytes) return [{ name, state: "ok", text: `${text}, ${inMb(free)} MB free` }];
  // Not the last byte: the same file system may hold the server's data.
  const value = String(Math.max(1, Math.floor(inMb(free + held) / 2)));
  return [{
    name,
    state: "warn",
    text: `${path} may grow to ${inMb(maxBytes)} MB, and its file system has ${inMb(free)} MB left`,
    mend: { kind: "setting", section: "buffer", key: "max_size_mb", value },
  }];
}

function mendOf(error: unknown, { config, surroundings }: Patient): Mend {
  const { path } = config.buffer;
  const [folder, user] = [quote(path), quote(surroundings.user)];
  if (error instanceof Deno.errors.PermissionDenied) {
    return { kind: "shell", command: `install -d -m 0700 -o ${user} ${folder} && chown -R ${user} ${folder}` };
  }
  if (error instanceof Deno.errors.NotADirectory || error instanceof Deno.errors.AlreadyExists) {
    return { kind: "setting", section: "buffer", key: "path", value: `${dirname(path)}/bitville-buffer` };
  }
  return { kind: "advice", text: `make room on the file system of ${path}, or set buffer.path to another` };
}

/**
 * The doctor's look at the server's logs: whether the agent reads what the server writes, and in a form that tells enough.
 *
 * @module
 */

import { posix } from "node:path";
import { folderOf, isLiveLog } from "../../collectors/logs/log_choice.ts";
import { listLogFiles } from "../../collectors/logs/log_files.ts";
import { adviseLogging, readServerLogging, type ServerLogging } from "../../collectors/logs/server_logging.ts";
import { logFolder } from "../permissions.ts";
import { type Check, databaseCheck, type Finding, type Mend, type Patient } from "./check.ts";
import { quote } from "../quote.ts";

const name = "logs";

/** The group of Debian's logs has had this number on every Debian. */
const admGid = 4;

/** Files can be read, and are those of the server. */
export const logFilesCheck: Check = {
  name,
  async run(patient) {
    const { logPath } = patient.config.collection;
    if (logPath === "") return [{ name, state: "ok", text: "collection.log_path is empty: logs are not collected" }];
    const folder = logFolder(logPath);
    try {
      const isFollowed = { configured: logPath, currentFile: null };
      const files = (await listLogFiles(await folderOf(logPath))).filter(({ path }) => isLiveLog(path, isFollowed));
      const latest = files.toSorted((one, other) => other.mtimeMs - one.mtimeMs)[0];
      if (latest === undefined) return [await emptyFolder(folder, patient)];
      (await Deno.open(latest.path)).close();
      return [{ name, state: "ok", text: `${latest.path} can be read` }];
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [await emptyFolder(folder, patient)];
      if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
      const text = `${patient.surroundings.user} may not read ${folder}`;
      return [{ name, state: "FAIL", text, mend: await rightMend(folder, patient) }];
    }
  },
};

/** What the server says of its logs fits what is read. */
export const logSettingsCheck: Check = databaseCheck("log settings", async (patient) => {
  const { logPath } = patient.config.collection;
  if (logPath === "") return [];
  const logging = await readServerLogging(patient.database, patient.signal);
  const findings = adviseLogging(logging).map((advice): Finding => ({
    name: "log settings",
    state: advice.kind === "no_file" || advice.kind === "not_collected" ? "FAIL" : "warn",
    text: advice.problem,
    mend: {
      kind: "sql",
      statements: advice.mend.replace(/ *--.*$/, "").split(";").map((one) => one.trim()).filter((one) => one !== ""),
      database: null,
      ...(advice.kind === "not_collected" ? { restart: true } : {}),
    },
  }));
  const other = otherFolder(logging, logPath);
  if (other !== null) {
    const text = `The server writes its logs to ${other}, and the agent reads ${logFolder(logPath)}`;
    findings.push({ name: "log settings", state: "FAIL", text, mend: logPathMend(other) });
  }
  if (findings.length > 0) return findings;
  const formats = logging.formats.join(", ");
  return [{ name: "log settings", state: "ok", text: `${formats}, log_line_prefix = '${logging.prefix}'` }];
});

/** The server's own folder where that is another one; what it hands to another program is nobody's to tell. */
function otherFolder({ collects, folder, currentFile }: ServerLogging, logPath: string): string | null {
  if (!collects) return null;
  const written = currentFile === null ? folder : posix.dirname(currentFile);
  return written === null || written === logFolder(logPath) || sameFolder(written, logFolder(logPath)) ? null : written;
}

function sameFolder(one: string, other: string): boolean {
  try {
    const [first, second] = [Deno.statSync(one), Deno.statSync(other)];
    return first.ino === second.ino && first.dev === second.dev;
  } catch {
    return false;
  }
}

async function emptyFolder(folder: string, patient: Patient): Promise<Finding> {
  const logging = await readServerLogging(patient.database, patient.signal).catch(() => null);
  const written = logging?.collects ? logging.folder : null;
  const mend: Mend = written === null || written === folder
    ? { kind: "advice", text: "set collection.log_path to the folder that the server's log goes to, or leave it empty" }
    : logPathMend(written);
  const { logPath } = patient.config.collection;
  const text = `There is no log in ${folder}${logPath === folder ? "" : ` that fits ${logPath}`}`;
  return { name, state: "FAIL", text, mend };
}

function logPathMend(value: string): Mend {
  return { kind: "setting", section: "collection", key: "log_path", value };
}

/** Membership in the group that may read, or the right for the group, whichever is missing. */
async function rightMend(folder: string, { surroundings }: Patient): Promise<Mend> {
  const info = await Deno.stat(folder).catch(() => null);
  const files = await listLogFiles(folder).catch(() => []);
  const closed = await Promise.all(
    files.map(async ({ path }) => ((await Deno.stat(path)).mode ?? 0) & 0o040 ? [] : [path]),
  );
  if (info !== null && ((info.mode ?? 0) & 0o050) !== 0o050) {
    return { kind: "shell", command: `chmod g+rx ${quote(folder)}` };
  }
  if (closed.flat().length > 0) {
    return { kind: "shell", command: `chmod g+r ${closed.flat().map(quote).join(" ")}` };
  }
  const gid = info?.gid ?? null;
  const group = gid === null || gid === admGid ? "adm" : String(gid);
  return { kind: "shell", command: `usermod -aG ${group} ${quote(surroundings.user)}` };
}

/**
 * `deno task install`: puts the agent onto this server, or brings it up to date. Run again after the configuration has
 * changed an address or a path. Where it is installed already, by the package too, only what depends on this server
 * and its configuration is left to do.
 *
 * Usage: `deno task install [--dry-run] [--root DIR]`
 *
 * @module
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Config } from "../config.ts";
import { givenPath } from "../paths.ts";
import { codeFiles, codeFolders, isInstalled, projectPath } from "./code.ts";
import { dropInText, foreignBuffer, loadInstalledConfig } from "./drop_in.ts";
import { type Change, exists, fileChanges, type WantedFile } from "./files.ts";
import * as layout from "./layout.ts";
import { runProgram } from "../tasks/program.ts";
import { execute, isBooted, readAccounts } from "./system.ts";

const examplePath = join(projectPath, "systemd/postgres-agent.ini.example");

/** What is installed: the code, the unit, the command, the configuration unless there is one. */
export async function installedFiles(): Promise<WantedFile[]> {
  const from = (name: string) => ({ copyOf: join(projectPath, "systemd", name) });
  return [
    ...await codeFiles(),
    { path: layout.commandPath, mode: 0o755, content: from("command.sh") },
    { path: layout.unitPath, mode: 0o644, content: from("postgres-agent.service") },
    { path: layout.usersPath, mode: 0o644, content: encode(layout.sysusersText()) },
    { path: layout.foldersPath, mode: 0o644, content: encode(layout.tmpfilesText()) },
    { path: layout.configurationPath, mode: 0o640, content: { copyOf: examplePath }, keep: true },
  ];
}

/** Makes the changes, or only tells them. Answers with the exit code. */
export async function install(
  options: { root: string; dryRun: boolean; print: (line: string) => void },
): Promise<number> {
  const { root, dryRun, print } = options;
  const onServer = root === "/";
  if (onServer && !isInstalled && await exists(`/var/lib/dpkg/info/${layout.packageName}.list`)) {
    print(`Cannot install over the package ${layout.packageName}: upgrade it with apt, or remove it first`);
    return 1;
  }
  const files = isInstalled ? [] : await fileChanges(root, await installedFiles(), codeFolders);
  let count = await apply(files, options);
  if (onServer) {
    if (Deno.uid() !== 0 && !dryRun) {
      print("Cannot install because only root can: run it with sudo, or with --root DIR");
      return 1;
    }
    count += await apply(await accountChanges(), options);
    const { changes: units, notes } = await unitChanges();
    const changed = await apply(units, options);
    count += changed;
    if (!dryRun && (files.length > 0 || changed > 0)) await reload(print);
    for (const note of notes) print(note);
  }
  print(count === 0 ? "Nothing to change" : `${count} ${dryRun ? "changes to make" : "changes made"}`);
  return 0;
}

async function apply(
  changes: readonly Change[],
  { dryRun, print }: { dryRun: boolean; print: (line: string) => void },
): Promise<number> {
  for (const { text, make } of changes) {
    if (!dryRun) await make();
    print(dryRun ? `would ${text}` : text);
  }
  return changes.length;
}

/** The user, its group of logs, folders and modes: systemd's own tools make them from the files that declare them. */
async function accountChanges(): Promise<Change[]> {
  const changes: Change[] = [];
  const accounts = await readAccounts(layout.userName, layout.logGroup);
  if (accounts.uid === null || !accounts.isMember) {
    changes.push({
      text: `create user ${layout.userName}, a member of ${layout.logGroup} (systemd-sysusers ${layout.usersPath})`,
      make: () => execute("systemd-sysusers", layout.usersPath),
    });
  }
  const wrong = [];
  for (const managed of layout.managedPaths) {
    if (!await isAsManaged(managed, accounts)) wrong.push(managed.path);
  }
  if (wrong.length > 0) {
    const text = `set owner and mode of ${wrong.join(", ")} (systemd-tmpfiles --create ${layout.foldersPath})`;
    changes.push({ text, make: () => execute("systemd-tmpfiles", "--create", layout.foldersPath) });
  }
  return changes;
}

async function isAsManaged(
  managed: layout.ManagedPath,
  accounts: { uid: number | null; gid: number | null },
): Promise<boolean> {
  try {
    const { mode, uid, gid } = await Deno.stat(managed.path);
    return (mode! & 0o7777) === managed.mode && uid === (managed.owner === "root" ? 0 : accounts.uid) &&
      gid === (managed.group === "root" ? 0 : accounts.gid);
  } catch {
    return false;
  }
}

async function unitChanges(): Promise<{ changes: Change[]; notes: string[] }> {
  // A dry run on a bare server: what is about to be put there.
  const path = await exists(layout.configurationPath) ? layout.configurationPath : examplePath;
  const loaded = await loadInstalledConfig(path);
  if (loaded.kind === "refused") {
    const problems = loaded.problems.map(({ message }) => message);
    return { changes: [], notes: [...problems, `Correct ${layout.configurationPath} and run this again`] };
  }
  const { config } = loaded;
  const dropIn = { path: layout.dropInPath, mode: 0o644, content: encode(dropInText(config)) };
  const changes = await fileChanges("/", [dropIn]);
  const buffer = foreignBuffer(config);
  if (buffer !== null && !await exists(buffer)) {
    const { userName } = layout;
    const make = () => execute("install", "-d", "-m", "0700", "-o", userName, "-g", userName, buffer);
    changes.push({ text: `create ${buffer} for ${userName}`, make });
  }
  const enabled = `/etc/systemd/system/multi-user.target.wants/${layout.unitName}`;
  if (!await exists(enabled)) {
    changes.push({ text: `enable ${layout.unitName}`, make: () => execute("systemctl", "enable", layout.unitName) });
  }
  return { changes, notes: nextSteps(config) };
}

function nextSteps(config: Config): string[] {
  const isComplete = config.listener.url !== null && config.listener.projectId !== "";
  return isComplete ? [] : [
    `Next: set url and project_id under [listener] in ${layout.configurationPath}, write the key to ` +
    `${layout.credentialsPath}/listener_api_key, run "${layout.packageName} install" again, then ` +
    `"systemctl restart ${layout.packageName}"`,
  ];
}

/** Has systemd read the unit again; a running agent goes over to the new code. */
async function reload(print: (line: string) => void): Promise<void> {
  if (!await isBooted()) return;
  await execute("systemctl", "daemon-reload");
  await execute("systemctl", "try-restart", layout.unitName);
  print(`systemd has read the unit; the agent was restarted if it ran`);
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

const help = `Usage: deno task install [--dry-run] [--root DIR]
  --dry-run   tells every change and makes none
  --root DIR  fills a folder instead of the server`;

async function main(args: string[]): Promise<number> {
  const options = { "dry-run": { type: "boolean" }, root: { type: "string", default: "/" } } as const;
  const { root, "dry-run": dryRun = false } = parseArgs({ args, options }).values;
  if (root === "") throw new Error("Cannot install because --root must name a folder");
  return await install({ root: givenPath(root, (name) => Deno.env.get(name)), dryRun, print: console.log });
}

if (import.meta.main) Deno.exit(await runProgram(Deno.args, help, main));

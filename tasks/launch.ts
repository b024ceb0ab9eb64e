/**
 * Prints the command line that starts the agent under exactly the permissions its configuration needs, quoted for a
 * POSIX shell: `launch.sh` runs it. Deno cannot replace its own process, so a shell has to.
 *
 * @module
 */

import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import { type Config, loadConfig, type Problem, sourceWithoutFile } from "../config.ts";
import { createLog } from "../log.ts";
import { exitClean, exitConfiguration, exitFailure } from "./command.ts";
import { listenerUsage, readListenerArguments } from "./listener/arguments.ts";
import { listenerPermissions } from "./listener/permissions.ts";
import { agentPermissions } from "./permissions.ts";

/**
 * The agent promises 256 MB resident, and V8 sizes its heap by the machine's memory: on a large one it would let garbage
 * grow past that. 96 MB of old space leave the rest to Deno itself, SQLite and compressed documents; a semi-space of
 * 1 MB has rows that were only mapped collected at once instead of being promoted.
 */
const v8Flags = "--v8-flags=--max-old-space-size=96,--max-semi-space-size=1";

/**
 * Packages have been fetched by the time this has run: the agent itself loads no code from the network. Without the flag
 * an `import` would reach the registries whatever `--allow-net` says.
 */
const codeFlag = "--cached-only";

const usage = "Usage: deno task start|once [--config PATH]";

interface Arguments {
  command: "start" | "once";
  config?: string;
}

if (import.meta.main) Deno.exit(await launch(Deno.args));

async function launch(args: readonly string[]): Promise<number> {
  if (args[0] === "listener") return launchListener(args);
  const read = readArguments(args);
  if (read === null) return fail(usage);
  const loaded = await loadConfig({
    ...(read.config === undefined ? {} : { path: read.config }),
    environment: (name) => Deno.env.get(name),
    readTextFile: (path) => Deno.readTextFile(path),
    requires: read.command === "start" ? "listener" : "database",
  });
  if (loaded.kind === "refused") {
    report(loaded);
    return exitConfiguration;
  }
  try {
    console.log(commandLine(loaded.config, read).map(quote).join(" "));
    return exitClean;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function readArguments(args: readonly string[]): Arguments | null {
  const [command, ...rest] = args;
  if (command !== "start" && command !== "once") return null;
  const [option = "", value, ...excess] = rest;
  if (rest.length === 0) return { command };
  const config = option === "--config" ? value : /^--config=(.*)$/s.exec(option)?.[1];
  const tooMany = option === "--config" ? excess.length > 0 : rest.length > 1;
  return config === undefined || config === "" || tooMany ? null : { command, config: absolute(config) };
}

// `deno task` runs in the project's folder and leaves the caller's in INIT_CWD: a path is meant from there.
function absolute(path: string): string {
  return posix.resolve(Deno.env.get("INIT_CWD") ?? Deno.cwd(), path);
}

function commandLine(config: Config, read: Arguments): string[] {
  const root = projectFolder();
  const configPath = config.source === sourceWithoutFile ? null : posix.resolve(config.source);
  const logPathIsDirectory = isDirectory(config.collection.logPath);
  const permissions = agentPermissions(config, {
    command: read.command,
    root,
    configPath,
    ...(logPathIsDirectory === undefined ? {} : { logPathIsDirectory }),
  });
  const args = read.config === undefined ? [] : ["--config", read.config];
  return [
    Deno.execPath(),
    "run",
    ...permissions,
    codeFlag,
    v8Flags,
    posix.join(root, "main.ts"),
    read.command,
    ...args,
  ];
}

/** The listener has no configuration: its arguments tell where it listens and what it writes. */
function launchListener(args: readonly string[]): number {
  const read = readListenerArguments(args.slice(1), (name) => Deno.env.get(name));
  if (read === null) return fail(listenerUsage.trimEnd());
  const root = projectFolder();
  const command = [Deno.execPath(), "run", ...listenerPermissions(read, root), codeFlag, posix.join(root, "main.ts")];
  console.log([...command, ...args].map(quote).join(" "));
  return exitClean;
}

function projectFolder(): string {
  return fileURLToPath(new URL("..", import.meta.url)).replace(/(.)\/$/, "$1");
}

function isDirectory(path: string): boolean | undefined {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    // Not there yet, a glob, or not ours to look at: its name decides.
    return undefined;
  }
}

function report(refused: { problems: Problem[]; warnings: Problem[] }): void {
  const encoder = new TextEncoder();
  const log = createLog({ level: "info", write: (line) => void Deno.stderr.writeSync(encoder.encode(line)) });
  // Here only: a configuration that loads is read again by the agent, which logs its warnings.
  for (const warning of refused.warnings) log.warning("configuration_warning", { ...warning });
  for (const problem of refused.problems) log.error("configuration_refused", { ...problem });
}

function fail(message: string): number {
  console.error(message);
  return exitFailure;
}

/** As one word of a POSIX shell, whatever it holds. */
function quote(word: string): string {
  return /^[A-Za-z0-9_\-=+:,.\/@%]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

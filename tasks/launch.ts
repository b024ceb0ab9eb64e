/**
 * Prints the command line that starts the agent under exactly the permissions its configuration needs, quoted for a
 * POSIX shell: `launch.sh` runs it. Deno cannot replace its own process, so a shell has to.
 *
 * @module
 */

import { type Config, loadConfig, type Loaded, type Problem, sourceWithoutFile } from "../config.ts";
import { givenPath, join, resolve } from "../paths.ts";
import { readConfigArgument } from "./arguments.ts";
import { exitClean, exitConfiguration, exitFailure } from "./command.ts";
import { agentHelp, asksForHelp, refusalText } from "./help.ts";
import { notifySockets } from "./notify.ts";
import { agentPermissions, leastPermissions } from "./permissions.ts";
import { quote } from "./quote.ts";

/**
 * The agent promises 256 MB resident, and V8 sizes its heap by the machine's memory: on a large one it would let garbage
 * grow past that. 96 MB of old space leave the rest to Deno itself, SQLite and compressed documents. A semi-space of 2 MB
 * holds most of what a batch of log entries leaves behind: with 1 MB it is promoted, and collecting it takes a fourth of
 * the time that a log is read in (docs/performance.md). From the first cycle, whose objects live long, V8 would learn to
 * make such objects old at once; those of a log's entries then keep young ones alive until all garbage is collected, and
 * a log that has grown while the agent was away takes a fourth more CPU. `gc` is for `start.ts`.
 */
export const v8Flags =
  "--v8-flags=--max-old-space-size=96,--max-semi-space-size=2,--no-allocation-site-pretenuring,--expose-gc";

/**
 * Packages have been fetched by the time this has run: the agent itself loads no code from the network. Without the flag
 * an `import` would reach the registries whatever `--allow-net` says.
 */
const codeFlag = "--cached-only";

const commands = ["start", "once", "doctor"] as const;

interface Arguments {
  command: typeof commands[number];
  config?: string;
  /** Of the doctor. */
  json: boolean;
}

/** Named here and not where it is loaded: Deno would read all that it imports before every start. */
const doctorModule = "./launch_doctor.ts";

/** The folder of the agent's code. */
const root = resolve(import.meta.dirname!, "..");

if (import.meta.main) Deno.exit(await launch(Deno.args));

async function launch(args: readonly string[]): Promise<number> {
  const command = commands.find((one) => one === args[0]);
  if (command === undefined) return fail(`Usage: launch.sh ${commands.join("|")} [OPTION...]`);
  if (asksForHelp(args)) {
    // It is main.ts that tells: what is printed here is run.
    console.log([...commandLine(null, { command, json: false }), "--help"].map(quote).join(" "));
    return exitClean;
  }
  let read: Arguments;
  try {
    read = await readArguments(command, args.slice(1));
  } catch (error) {
    return fail(refusalText(error, agentHelp[command]));
  }
  let loaded = await load(read, read.command === "once" ? "database" : "listener");
  const problems = loaded.kind === "refused" ? loaded.problems : [];
  if (loaded.kind === "refused") {
    if (read.command !== "doctor") {
      await report(loaded);
      return exitConfiguration;
    }
    // The doctor says what is wrong, and looks at the rest if that can be had.
    loaded = await load(read, "database");
  }
  try {
    const config = loaded.kind === "loaded" ? loaded.config : null;
    const extra = read.command === "doctor" ? await doctorArguments(problems, read) : [];
    console.log([...commandLine(config, read), ...extra].map(quote).join(" "));
    return exitClean;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function load({ config }: Arguments, requires: "listener" | "database"): Promise<Loaded> {
  return loadConfig({
    ...(config === undefined ? {} : { path: config }),
    environment,
    readTextFile: (path) => Deno.readTextFile(path),
    requires,
  });
}

async function readArguments(command: Arguments["command"], args: string[]): Promise<Arguments> {
  const { config, json } = await readConfigArgument(args);
  if (json && command !== "doctor") throw new Error("Cannot use --json because only the doctor knows it");
  if (config === "") throw new Error("Cannot read the configuration because --config must name a file");
  return { command, json, ...(config === undefined ? {} : { config: givenPath(config, environment) }) };
}

function environment(name: string): string | undefined {
  return Deno.env.get(name);
}

function commandLine(config: Config | null, read: Arguments): string[] {
  const args = read.config === undefined ? [] : ["--config", read.config];
  return [
    Deno.execPath(),
    "run",
    ...(config === null ? leastPermissions(root) : permissionsOf(config, read)),
    codeFlag,
    v8Flags,
    join(root, "main.ts"),
    read.command,
    ...args,
  ];
}

function permissionsOf(config: Config, { command }: Arguments): string[] {
  const configPath = config.source === sourceWithoutFile ? null : resolve(Deno.cwd(), config.source);
  const logPathIsDirectory = isDirectory(config.collection.logPath);
  const notify = command === "start" ? notifySockets(environment) : null;
  return agentPermissions(config, {
    // The doctor gets what the agent gets, and tries that.
    command: command === "once" ? "once" : "start",
    root,
    configPath,
    ...(logPathIsDirectory === undefined ? {} : { logPathIsDirectory }),
    ...(notify === null ? {} : { notify }),
  });
}

/** What the doctor may not find out for itself under the agent's permissions. */
async function doctorArguments(problems: Problem[], read: Arguments): Promise<string[]> {
  const { given } = await import(doctorModule) as {
    given: (problems: Problem[], user: string) => Promise<object>;
  };
  const user = Deno.env.get("LAUNCHED_BY") ?? "root";
  return ["--given", JSON.stringify(await given(problems, user)), ...(read.json ? ["--json"] : [])];
}

function isDirectory(path: string): boolean | undefined {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    // Not there yet, a glob, or not ours to look at: its name decides.
    return undefined;
  }
}

async function report(refused: { problems: Problem[]; warnings: Problem[] }): Promise<void> {
  // Loaded only here: every start waits for this program.
  const { createLog } = await import("../log.ts");
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

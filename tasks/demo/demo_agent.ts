/**
 * Of the demo: the agent, as a user would start it: a process of its own, by `tasks/launch.sh` and from an INI file.
 *
 * @module
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { guard } from "./guard.ts";

/** From SIGTERM to SIGKILL: above what the agent takes to end what it is doing. */
const stopMs = 20_000;

/** What Deno needs to run what it has already fetched. No setting of a real agent may reach the demo's. */
const passedVariables = ["PATH", "HOME", "TMPDIR", "LANG", "DENO_DIR", "XDG_CACHE_HOME"];

export interface DemoAgentOptions {
  /** The INI file's text, made by {@link demoConfig} of the agent's own folder. */
  config: (folder: string) => string;
  environment: (name: string) => string | undefined;
  /** Takes each line that the agent logs. */
  showLine: (line: string) => void;
}

/** An agent that runs. Disposing of it stops it cleanly and removes its folder. */
export interface DemoAgent extends AsyncDisposable {
  readonly configPath: string;
  /** Resolves when it has ended and its last line has been shown. */
  readonly ended: Promise<Deno.CommandStatus>;
}

/** What the demo's agent is told. */
export interface DemoConfigOptions {
  folder: string;
  databasePort: number;
  database: string;
  logPath: string;
  listenerUrl: string;
  apiKey: string;
}

export function demoConfig(options: DemoConfigOptions): string {
  return `[database]
host = 127.0.0.1
port = ${options.databasePort}
name = ${options.database}
user = bitville_monitor

[collection]
log_path = ${options.logPath}

[listener]
url = ${options.listenerUrl}
api_key = ${options.apiKey}
project_id = demo

[buffer]
path = ${join(options.folder, "buffer")}
`;
}

/** Writes the configuration and starts the agent. */
export async function startDemoAgent(options: DemoAgentOptions): Promise<DemoAgent> {
  const folder = await Deno.makeTempDir({ prefix: "bitville-demo-" });
  const configPath = join(folder, "demo.ini");
  const pidFile = join(folder, "agent.pid");
  const guarding = guard({ folder, pidFile, processName: "deno", signal: "KILL" });
  // It holds the listener's key.
  await Deno.writeTextFile(configPath, options.config(folder), { mode: 0o600 });
  const child = spawnAgent(configPath, options.environment);
  await Deno.writeTextFile(pidFile, `${child.pid}\n`);
  const ended = Promise.all([child.status, showLines(child.stderr, options.showLine)]).then(([status]) => status);
  return {
    configPath,
    ended,
    async [Symbol.asyncDispose]() {
      await stop(child);
      await ended;
      await Deno.remove(folder, { recursive: true });
      await guarding[Symbol.asyncDispose]();
    },
  };
}

function spawnAgent(configPath: string, environment: (name: string) => string | undefined): Deno.ChildProcess {
  const launch = fileURLToPath(new URL("../launch.sh", import.meta.url));
  const env: Record<string, string> = { DENO: Deno.execPath() };
  for (const name of passedVariables) {
    const value = environment(name);
    if (value !== undefined) env[name] = value;
  }
  return new Deno.Command("sh", {
    args: [launch, "start", "--config", configPath],
    clearEnv: true,
    env,
    // In a session of its own: a Ctrl-C in the terminal is for the demo, and a second signal would cut its stop short.
    detached: true,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
}

async function stop(child: Deno.ChildProcess): Promise<void> {
  const overdue = setTimeout(() => send(child, "SIGKILL"), stopMs);
  send(child, "SIGTERM");
  await child.status;
  clearTimeout(overdue);
}

function send(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch (error) {
    // It has ended by itself.
    if (!(error instanceof Deno.errors.NotFound || error instanceof TypeError)) throw error;
  }
}

async function showLines(stream: ReadableStream<Uint8Array<ArrayBuffer>>, show: (line: string) => void): Promise<void> {
  let rest = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop() ?? "";
    lines.forEach(show);
  }
  if (rest !== "") show(rest);
}

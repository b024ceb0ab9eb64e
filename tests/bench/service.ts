/**
 * The agent as a service, beside a listener that keeps figures: what the benches measure.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { loadingCollectedMs } from "../../limits.ts";
import { AgentFolder, type Settings } from "../support/agent_folder.ts";
import { logLines, ownEnvironment } from "../support/agent_process.ts";
import type { LogLine } from "../support/agent_process.ts";
import { waitFor } from "../support/wait_for.ts";
import { agentRole } from "./load.ts";
import { pause } from "./processes.ts";
import type { SinkReport } from "./programs/sink.ts";
import { type BenchServer, rolesPassword } from "./server.ts";

export const projectRoot: string = fileURLToPath(new URL("../../", import.meta.url));
/** Beyond what any cycle, drain or log needs on a slow machine. */
const boundMs = 300_000;

/** A listener in a process of its own. */
export class Sink implements AsyncDisposable {
  readonly url: URL;
  readonly #process: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;

  private constructor(url: URL, process: Deno.ChildProcess, lines: ReadableStreamDefaultReader<string>) {
    this.url = url;
    this.#process = process;
    this.#lines = lines;
  }

  static async start(): Promise<Sink> {
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-net", programPath("sink.ts")],
      stdout: "piped",
    }).spawn();
    const lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    return new Sink(new URL((await lines.read()).value!.trim()), process, lines);
  }

  async report(): Promise<SinkReport> {
    return await (await fetch(this.url)).json();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lines.cancel();
    this.#process.kill();
    await this.#process.status;
  }
}

/** Where a program of the bench is. */
export function programPath(name: string): string {
  return `${projectRoot}tests/bench/programs/${name}`;
}

export interface ServiceOptions {
  server: BenchServer;
  /** Null: a listener that is never there. */
  sink: Sink | null;
  /** As `deno task start` does, or with ticks on command in its place, under `deno task` or alone. */
  command: "task start" | "fast under task" | "fast";
  settings?: Settings;
  /** Where Deno is, if not the one that the bench runs in. */
  deno?: string;
  /** The folder of an earlier service: its buffer is gone on with. */
  folder?: AgentFolder;
}

/** A running agent. */
export class Service implements AsyncDisposable {
  readonly folder: AgentFolder;
  /** The clock's time when it was started. */
  readonly startedAtMs: number;
  readonly #process: Deno.ChildProcess;
  readonly #options: ServiceOptions;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #reading: Promise<void>;
  #log = "";
  /** By event: when the first such line came, on this machine's clock. */
  readonly firstAtMs = new Map<string, number>();

  private constructor(process: Deno.ChildProcess, folder: AgentFolder, options: ServiceOptions) {
    this.startedAtMs = Date.now();
    this.#process = process;
    this.folder = folder;
    this.#options = options;
    this.#input = process.stdin.getWriter();
    this.#reading = this.#readLog();
  }

  static async start(options: ServiceOptions): Promise<Service> {
    const folder = options.folder ?? await createFolder(options);
    const { command, deno = Deno.execPath() } = options;
    const [program, ...args] = await commandOf(command, folder, deno);
    const process = new Deno.Command(program!, {
      args,
      cwd: projectRoot,
      clearEnv: true,
      env: { ...ownEnvironment(), DENO: deno },
      stdin: "piped",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    return new Service(process, folder, options);
  }

  get pid(): number {
    return this.#process.pid;
  }

  get log(): LogLine[] {
    return logLines(this.#log);
  }

  /** Begins to probe for bursts. */
  async startRecorder(): Promise<void> {
    await this.#input.write(new TextEncoder().encode("b"));
  }

  /** A minute passes. Resolves when its status has been delivered. */
  async tick(): Promise<void> {
    const { statuses } = await this.#options.sink!.report();
    await this.#input.write(new Uint8Array([10]));
    await this.cycles(statuses.length + 1);
  }

  /** Resolves when so many statuses have been delivered to its sink. */
  async cycles(count: number): Promise<SinkReport> {
    return await this.until(`${count} cycles`, async () => {
      const report = await this.#options.sink!.report();
      return report.statuses.length >= count && report;
    });
  }

  /** Resolves when the agent follows its logs and has collected what loading left. */
  async untilFollowing(): Promise<void> {
    await this.until("the log to be followed", () => this.firstAtMs.has("log_followed"));
    await pause(loadingCollectedMs + 500);
  }

  /** Waits; says what the agent said when it was in vain. */
  async until<T>(what: string, probe: () => T | Promise<T>): Promise<Exclude<T, null | undefined | false>> {
    try {
      return await waitFor(what, probe, { boundMs });
    } catch (cause) {
      throw new Error(`Waited in vain for ${what}; the agent said\n${this.#log.slice(-2_000)}`, { cause });
    }
  }

  /** Ends it and keeps its folder. */
  async stop(): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.#process.status;
    await this.#reading;
    await this.#input.close().catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => {});
    await this.folder[Symbol.asyncDispose]();
  }

  async #readLog(): Promise<void> {
    for await (const text of this.#process.stderr.pipeThrough(new TextDecoderStream())) {
      this.#log += text;
      for (const [, event] of text.matchAll(/"event":"(\w+)"/g)) {
        if (!this.firstAtMs.has(event!)) this.firstAtMs.set(event!, Date.now());
      }
    }
  }
}

/** A configuration for an agent on this server. */
export async function createFolder({ server, sink, settings = {} }: ServiceOptions): Promise<AgentFolder> {
  return await AgentFolder.create({
    database: server,
    listener: { url: sink?.url ?? new URL("http://127.0.0.1:8999/ingest/postgres") },
    settings: {
      ...settings,
      database: { name: server.database, user: agentRole, password: rolesPassword, sslmode: "disable" },
      logging: { level: "info", ...settings.logging },
    },
  });
}

/** What `launch.sh` gives the agent beside its command line. */
const launched = "MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=131072 DENO_NO_UPDATE_CHECK=1";

async function commandOf(command: ServiceOptions["command"], folder: AgentFolder, deno: string): Promise<string[]> {
  if (command === "task start") return [deno, "task", "start", "--config", folder.iniPath];
  const line = `exec env ${launched} ${await fastLine(folder, deno)}`;
  return command === "fast" ? ["sh", "-c", line] : [deno, "task", "--eval", `sh -c "${line}"`];
}

/** The line that `launch.sh start` would become, with the agent's program replaced. */
async function fastLine(folder: AgentFolder, deno: string): Promise<string> {
  const launch = ["run", "--no-prompt", "--allow-read", "--allow-env", `${projectRoot}tasks/launch.ts`, "start"];
  const { stdout, success } = await new Deno.Command(deno, {
    args: [...launch, "--config", folder.iniPath],
    env: ownEnvironment(),
    clearEnv: true,
  }).output();
  if (!success) throw new Error("Cannot make the agent's command line");
  const line = new TextDecoder().decode(stdout).trim();
  return line.replace(`${projectRoot}main.ts start`, `${programPath("fast_agent.ts")} start`);
}

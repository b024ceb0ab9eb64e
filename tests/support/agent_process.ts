/**
 * The agent in a process of its own, started as a user starts it, with everything it says.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { SystemUser } from "../../tasks/demo/embedded_postgres.ts";
import type { AgentFolder } from "./agent_folder.ts";
import { waitFor } from "./wait_for.ts";

/** The folder of the project. */
export const projectRoot: string = fileURLToPath(new URL("../../", import.meta.url));

/** Far beyond what any end takes; a process that needs longer is taken to hang. */
const endBoundMs = 60_000;

/** One line of the agent's log. */
export interface LogLine {
  time: string;
  level: string;
  event: string;
  [field: string]: unknown;
}

/** How a process ended, and all it said. */
export interface Ended {
  code: number;
  signal: Deno.Signal | null;
  stdout: string;
  stderr: string;
  /** From {@link AgentProcess.end} being called to the end. */
  waitedMs: number;
}

export interface AgentProcessOptions {
  /** Words behind `launch.sh`, before `--config`. */
  command?: string;
  /** Behind `--config FILE`. */
  args?: readonly string[];
  /** Variables beyond this process's own, of which those that configure the agent or the driver are left out. */
  environment?: Record<string, string>;
  /** Whom to run as, if not as this process's user. */
  user?: SystemUser;
  /** The project's folder, if it is a copy. */
  root?: string;
  /** A command that runs the one behind it, such as `unshare --mount`. */
  within?: readonly string[];
}

/** A running agent. Disposing of it kills it. */
export class AgentProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #stdout: Captured;
  readonly #stderr: Captured;
  readonly #ended: Promise<Deno.CommandStatus>;
  #hasEnded = false;

  private constructor(command: string, options: Deno.CommandOptions) {
    this.#child = new Deno.Command(command, { ...options, stdin: "null", stdout: "piped", stderr: "piped" }).spawn();
    this.#stdout = new Captured(this.#child.stdout);
    this.#stderr = new Captured(this.#child.stderr);
    this.#ended = this.#child.status.finally(() => this.#hasEnded = true);
  }

  /** `sh tasks/launch.sh start --config FILE`, or another command. */
  static start(folder: AgentFolder, options: AgentProcessOptions = {}): AgentProcess {
    const { command = "start", root = projectRoot, user, within = [] } = options;
    const launch = ["sh", `${root}tasks/launch.sh`, command, "--config", folder.iniPath, ...options.args ?? []];
    const [program, ...args] = [...within, ...launch];
    return new AgentProcess(program!, {
      args,
      cwd: folder.path,
      clearEnv: true,
      env: { ...ownEnvironment(), DENO: Deno.execPath(), ...options.environment },
      ...(user === undefined ? {} : { uid: user.uid, gid: user.gid }),
    });
  }

  /** `deno task start --config FILE` in a process group of its own, as a terminal starts it; the group is its pid. */
  static startTask(folder: AgentFolder): AgentProcess {
    return new AgentProcess(Deno.execPath(), {
      args: ["task", "start", "--config", folder.iniPath],
      cwd: projectRoot,
      clearEnv: true,
      env: { ...ownEnvironment(), DENO: Deno.execPath() },
      detached: true,
    });
  }

  /** A program of `tests/support/` with all permissions, in the agent's place. */
  static startProgram(folder: AgentFolder, program: string, args: readonly string[] = []): AgentProcess {
    return new AgentProcess(Deno.execPath(), {
      args: ["run", "--allow-all", `${projectRoot}tests/support/${program}`, folder.iniPath, ...args],
      cwd: folder.path,
      clearEnv: true,
      env: ownEnvironment(),
    });
  }

  /** Runs a command to its end. */
  static async run(folder: AgentFolder, options: AgentProcessOptions): Promise<Ended> {
    await using agent = AgentProcess.start(folder, options);
    return await agent.end();
  }

  get pid(): number {
    return this.#child.pid;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get stdout(): string {
    return this.#stdout.text;
  }

  get stderr(): string {
    return this.#stderr.text;
  }

  /** The whole lines of the log so far. What is no log line, such as a stack, is not among them. */
  get lines(): LogLine[] {
    return logLines(this.stderr);
  }

  /** The log lines of one event so far. */
  of(event: string): LogLine[] {
    return this.lines.filter((line) => line.event === event);
  }

  /** Waits for a log line; throws when the agent ends without it. Options: the how manyth, and which ones count. */
  async event(
    event: string,
    options: { nth?: number; where?: (line: LogLine) => boolean; boundMs?: number } = {},
  ): Promise<LogLine> {
    const { nth = 1, where = () => true } = options;
    const find = () => this.of(event).filter(where)[nth - 1];
    return await this.until(`${event} in the agent's log`, find, options);
  }

  /** Waits for anything while the agent runs; throws with all it said when that does not come. */
  async until<T>(
    what: string,
    probe: () => T | Promise<T>,
    options: { boundMs?: number } = {},
  ): Promise<Exclude<T, null | undefined | false>> {
    try {
      return await waitFor(what, async () => {
        const ended = this.#hasEnded;
        const value = await probe();
        if (ended && (value === undefined || value === null || value === false)) throw new Error("The agent ended");
        return value;
      }, options);
    } catch (cause) {
      throw new Error(`Waited in vain for ${what}; the agent said\n${lastLines(this.stderr)}`, { cause });
    }
  }

  kill(signal: Deno.Signal): void {
    if (!this.#hasEnded) this.#child.kill(signal);
  }

  /** Sends a signal, if one is given, and waits for the end; the output is whole then. */
  async end(signal?: Deno.Signal): Promise<Ended> {
    const startedMs = performance.now();
    if (signal !== undefined) this.kill(signal);
    await waitFor(`the end of ${this.pid}, which said\n${lastLines(this.stderr)}`, () => this.#hasEnded, {
      boundMs: endBoundMs,
    });
    const waitedMs = performance.now() - startedMs;
    const status = await this.#ended;
    await Promise.all([this.#stdout.finished, this.#stderr.finished]);
    return { code: status.code, signal: status.signal, stdout: this.stdout, stderr: this.stderr, waitedMs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.#ended;
    await Promise.all([this.#stdout.finished, this.#stderr.finished]);
  }
}

/** The end of a log, for the message of a test that fails. */
function lastLines(text: string): string {
  return text.trimEnd().split("\n").slice(-20).join("\n");
}

/** The whole lines of a log; what is no log line is left out. */
export function logLines(text: string): LogLine[] {
  return text.slice(0, text.lastIndexOf("\n") + 1).split("\n").flatMap((line) =>
    line.startsWith("{") ? parse(line) : []
  );
}

function parse(line: string): LogLine[] {
  try {
    return [JSON.parse(line)];
  } catch {
    return [];
  }
}

/** This process's environment without what would configure the agent or its driver. */
export function ownEnvironment(): Record<string, string> {
  const kept = Object.entries(Deno.env.toObject()).filter(([name]) => !/^(BITVILLE_|PG|INIT_CWD$)/.test(name));
  return { ...Object.fromEntries(kept), NO_COLOR: "1" };
}

/** A stream's text as far as it has come. */
class Captured {
  text = "";
  readonly finished: Promise<void>;

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.finished = this.#read(stream);
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const piece of stream.pipeThrough(new TextDecoderStream())) this.text += piece;
  }
}

/**
 * The soak's agent as a process: what it said it captured, and what the kernel says that it uses.
 *
 * @module
 */

import assert from "node:assert/strict";
import { v8Flags } from "../../tasks/launch.ts";
import { projectRoot } from "../support/agent_process.ts";
import { waitFor } from "../support/wait_for.ts";

/** As the real agent is started: what it uses is measured against that. */
const launchScript = await Deno.readTextFile(`${projectRoot}tasks/launch.sh`);
const allocatorSettings = Object.fromEntries(
  [...launchScript.matchAll(/\b(MALLOC_\w+)=(\S+)/g)].map(([, name, value]) => [name!, value!]),
);
assert(allocatorSettings.MALLOC_ARENA_MAX !== undefined, "launch.sh sets the allocator up");
/** Beyond a stop's own bounds. */
const endBoundMs = 60_000;

/** What a process uses. */
export interface Usage {
  rssBytes: number;
  openFiles: number;
}

/** What the agents' logs say of their captures: the type of each document, and what was done to the agent meanwhile. */
export class Captures {
  readonly #types = new Map<number, string>();
  readonly #faults: { name: string; from: number }[] = [];
  #last = 0;

  note(sequence: number, type: string): void {
    this.#types.set(sequence, type);
    this.#last = Math.max(this.#last, sequence);
  }

  /** Whatever is captured from now on is captured in this fault. */
  begin(fault: string): void {
    this.#faults.push({ name: fault, from: this.#last + 1 });
  }

  /** A kill may come between a capture and its line in the log. */
  typeOf(sequence: number): string {
    return this.#types.get(sequence) ?? "not logged";
  }

  faultAt(sequence: number): string {
    return this.#faults.findLast(({ from }) => from <= sequence)?.name ?? "none";
  }
}

/** A running agent of the soak. Disposing of it kills it. */
export class SoakProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #captures: Captures;
  readonly #read: Promise<void>;
  #status: Deno.CommandStatus | null = null;
  /** The end of its log, for the message of a soak that fails. */
  lastLines: string[] = [];

  constructor(iniPath: string, captures: Captures) {
    this.#captures = captures;
    this.#child = new Deno.Command(Deno.execPath(), {
      env: allocatorSettings,
      args: ["run", "--allow-all", v8Flags, `${projectRoot}tests/soak/soak_agent.ts`, iniPath],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#read = this.#readLog(this.#child.stderr);
    void this.#child.status.then((status) => this.#status = status);
  }

  get hasEnded(): boolean {
    return this.#status !== null;
  }

  kill(signal: Deno.Signal): void {
    if (!this.hasEnded) this.#child.kill(signal);
  }

  /** Sends a signal and waits for the end; answers with the exit code. */
  async end(signal: Deno.Signal): Promise<number> {
    this.kill(signal);
    await waitFor(`the agent's end, which said\n${this.lastLines.join("\n")}`, () => this.hasEnded, {
      boundMs: endBoundMs,
    });
    await this.#read;
    return this.#status!.code;
  }

  usage(): Usage {
    const status = Deno.readTextFileSync(`/proc/${this.#child.pid}/status`);
    const openFiles = [...Deno.readDirSync(`/proc/${this.#child.pid}/fd`)].length;
    return { rssBytes: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1_024, openFiles };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
  }

  async #readLog(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = "";
    for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#note(line);
    }
  }

  #note(line: string): void {
    this.lastLines = [...this.lastLines.slice(-19), line];
    if (!/"event":"document_(?:stored|held|too_large)"/.test(line)) return;
    const { sequence, type } = JSON.parse(line);
    if (typeof sequence === "number") this.#captures.note(sequence, type);
  }
}

/**
 * The other end of `listener_program.ts`: what a machine's agent has delivered.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { ownEnvironment } from "../support/agent_process.ts";
import { waitFor } from "../support/wait_for.ts";
import type { Machine } from "./machine.ts";

/** A document as it came, with the key it came with. */
export interface Delivered {
  id: string;
  sequence: number;
  type: string;
  timestamp: string;
  agent: { version: string };
  key: string;
  // deno-lint-ignore no-explicit-any -- the tests look into every type of document
  data: any;
}

/** Listens at 127.0.0.1 of a machine, as long as that boot lasts. */
export class MachineListener implements AsyncDisposable {
  static readonly port = 9900;
  readonly documents: Delivered[];
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reading: Promise<void>;
  #listens = false;

  private constructor(leader: number, documents: Delivered[]) {
    this.documents = documents;
    const program = fileURLToPath(new URL("listener_program.ts", import.meta.url));
    this.#child = new Deno.Command("nsenter", {
      args: [`--target=${leader}`, "--net", Deno.execPath(), "run", "-A", program, `${MachineListener.port}`],
      clearEnv: true,
      env: ownEnvironment(),
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#reading = this.#read();
  }

  /** Starts it; `documents` are those of an earlier boot. */
  static async start(machine: Machine, documents: Delivered[] = []): Promise<MachineListener> {
    const listener = new MachineListener(machine.leader, documents);
    await waitFor("the listener", () => listener.#listens);
    return listener;
  }

  /** Answers with this status from now on. */
  async answer(status: number): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${status}\n`));
  }

  /** The sequence number of the last document; 0 before the first. */
  get last(): number {
    return this.documents.at(-1)?.sequence ?? 0;
  }

  /** Waits for a document after the `after`th number that is of this type and fits. */
  wait(
    type: string,
    { after = 0, where = () => true, boundMs = 90_000 }: {
      after?: number;
      where?: (document: Delivered) => boolean;
      boundMs?: number;
    } = {},
  ): Promise<Delivered> {
    const fits = (one: Delivered) => one.sequence > after && one.type === type && where(one);
    return waitFor(`a document ${type}`, () => this.documents.find(fits), { boundMs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close().catch(() => undefined);
    await this.#child.status;
    await this.#reading;
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const piece of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "{}") this.#listens = true;
        else this.documents.push(JSON.parse(line));
      }
    }
  }
}

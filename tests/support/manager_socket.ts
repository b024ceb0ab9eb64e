/**
 * What systemd listens on for its services: a datagram socket that keeps the messages.
 *
 * @module
 */

import { join } from "node:path";
import { waitFor } from "./wait_for.ts";

/** Takes messages until it is disposed of. */
export class ManagerSocket implements AsyncDisposable {
  readonly folder: string;
  readonly messages: string[][] = [];
  readonly #socket: Deno.DatagramConn;
  readonly #reading: Promise<void>;
  #taken = 0;

  private constructor(folder: string) {
    this.folder = folder;
    this.#socket = Deno.listenDatagram({ path: this.path, transport: "unixpacket" });
    this.#reading = this.#read();
  }

  static async open(): Promise<ManagerSocket> {
    return new ManagerSocket(await Deno.makeTempDir({ prefix: "bitville-manager-" }));
  }

  get path(): string {
    return join(this.folder, "manager");
  }

  /** The next message in order; its lines. */
  async next(): Promise<string[]> {
    const message = await waitFor("a message", () => this.messages[this.#taken]);
    this.#taken += 1;
    return message;
  }

  /** The first message from now on that has a line which begins so. */
  async with(begin: string): Promise<string[]> {
    for (;;) {
      const message = await this.next();
      if (message.some((line) => line.startsWith(begin))) return message;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#reading;
    await Deno.remove(this.folder, { recursive: true });
  }

  async #read(): Promise<void> {
    for await (const [bytes] of this.#socket) this.messages.push(new TextDecoder().decode(bytes).split("\n"));
  }
}

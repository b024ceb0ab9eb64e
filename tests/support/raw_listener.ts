/**
 * A listener on bare TCP, for what no HTTP library would do: answers in pieces, of wrong length, without an end.
 *
 * @module
 */

import { systemClock } from "../../clock.ts";
import { waitFor } from "./wait_for.ts";

/** One connection to it. */
export class RawConnection {
  readonly #connection: Deno.TcpConn;
  /** What has been read of it, a character a byte. */
  request = "";
  bytesWritten = 0;

  constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  /** Reads once; false at the end. */
  async read(bytesMax = 1_000_000): Promise<boolean> {
    const buffer = new Uint8Array(bytesMax);
    const bytes = await this.#connection.read(buffer);
    for (const byte of buffer.subarray(0, bytes ?? 0)) this.request += String.fromCharCode(byte);
    return bytes !== null;
  }

  /** Reads until the whole of a request is there. */
  async readRequest(): Promise<void> {
    while (!this.#isWhole() && await this.read());
  }

  async write(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    for (let start = 0; start < bytes.length;) start += await this.#connection.write(bytes.subarray(start));
    this.bytesWritten += bytes.length;
  }

  /** Writes the text again and again until the other side has had enough. */
  async writeForEver(text: string): Promise<void> {
    for (;;) await this.write(text);
  }

  #isWhole(): boolean {
    const [head = "", ...rest] = this.request.split("\r\n\r\n");
    const [, length = ""] = /^content-length: (\d+)/im.exec(head) ?? [];
    return rest.length > 0 && rest.join("\r\n\r\n").length >= Number(length);
  }
}

/** Does to a connection what a test wants; it is closed at the end. */
export type Handle = (connection: RawConnection) => Promise<void>;

/** Listens on a free port until it is disposed of. */
export class RawListener implements AsyncDisposable {
  readonly connections: RawConnection[] = [];
  readonly #socket: Deno.TcpListener;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #ended: Promise<void>;

  constructor(handle: Handle) {
    this.#socket = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#ended = this.#accept(handle);
  }

  get port(): number {
    return this.#socket.addr.port;
  }

  url(scheme = "http"): URL {
    return new URL(`${scheme}://localhost:${this.port}/ingest/postgres`);
  }

  /** Waits until every connection so far was ended, by whoever. */
  async settled(): Promise<void> {
    await waitFor("the connections to end", () => this.#open.size === 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    for (const connection of this.#open) close(connection);
    await this.#ended;
  }

  async #accept(handle: Handle): Promise<void> {
    const handled: Promise<void>[] = [];
    try {
      for await (const connection of this.#socket) handled.push(this.#handle(connection, handle));
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted)) throw error;
    }
    await Promise.all(handled);
  }

  async #handle(connection: Deno.TcpConn, handle: Handle): Promise<void> {
    const raw = new RawConnection(connection);
    this.connections.push(raw);
    this.#open.add(connection);
    try {
      await handle(raw);
    } catch {
      // The other side has gone: that is what most of these tests are about.
    } finally {
      this.#open.delete(connection);
      close(connection);
    }
  }
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // Closed by the other way.
  }
}

/** A byte every `everyMs`, as a listener does that has all the time in the world. */
export async function dribble(connection: RawConnection, text: string, everyMs: number): Promise<void> {
  for (const character of text) {
    await connection.write(character);
    await systemClock.sleep(everyMs);
  }
}

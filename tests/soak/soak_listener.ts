/**
 * The listener of the soak: it stores documents by id as a good one does, and misbehaves in the mode that it is set to.
 * What it has stored is the ground truth.
 *
 * @module
 */

import { systemClock } from "../../clock.ts";
import type { StoredDocument } from "../support/ledger.ts";

/** How it answers. In some modes it stores the document and the agent cannot know. */
export type Mode = keyof typeof modes | "gone";

/** One request, and what can be done about it. */
interface Exchange {
  /** Bytes of the document. */
  bytes: number;
  store: () => void;
  write: (text: string) => Promise<void>;
}

/** Answers; the connection is kept only where it says so. */
type Answer = (exchange: Exchange) => Promise<"keep" | "close">;

const accepted = "HTTP/1.1 202 Accepted\r\n";
const empty = "content-length: 0\r\n\r\n";
/** Documents above this are refused for good where the mode says so. */
const bodyBytesMax = 30_000;

const modes = {
  well: take,
  silent: never,
  silent_after_storing: async (exchange: Exchange) => {
    exchange.store();
    return await never();
  },
  slow_status: async ({ write }: Exchange) => await dribble(`${accepted}${empty}`, write),
  slow_body: async ({ store, write }: Exchange) => {
    store();
    await write(`${accepted}content-length: 50\r\n\r\n`);
    return await dribble("x".repeat(50), write);
  },
  reset: () => Promise.resolve("close"),
  reset_after_storing: ({ store }: Exchange) => {
    store();
    return Promise.resolve("close");
  },
  short_length: async ({ store, write }: Exchange) => {
    store();
    await write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\naccepted");
    return "keep";
  },
  long_length: async ({ store, write }: Exchange) => {
    store();
    await write("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\naccepted");
    return "close";
  },
  endless_body: async ({ store, write }: Exchange) => {
    store();
    await write(`${accepted}content-length: 1000000000\r\n\r\n`);
    for (;;) await write("x".repeat(65_536));
  },
  endless_headers: async ({ write }: Exchange) => {
    await write(accepted);
    for (;;) await write(`x-filling: ${"y".repeat(1_000)}\r\n`);
  },
  too_large: async (exchange: Exchange) => {
    if (exchange.bytes <= bodyBytesMax) return await take(exchange);
    await exchange.write(`HTTP/1.1 413 Content Too Large\r\n${empty}`);
    return "close";
  },
  unavailable: async ({ write }: Exchange) => await answer("503 Service Unavailable", write),
  asks_for_time: async ({ write }: Exchange) => await answer("429 Too Many Requests\r\nretry-after: 1", write),
  asks_for_the_past: async ({ write }: Exchange) =>
    await answer("503 Service Unavailable\r\nretry-after: Sat, 01 Jan 2000 00:00:00 GMT", write),
  key_expired: async ({ write }: Exchange) => await answer("401 Unauthorized", write),
  redirect: async ({ write }: Exchange) => await answer("307 Temporary Redirect\r\nlocation: http://x.invalid/", write),
} satisfies Record<string, Answer>;

/** All modes but the good one. */
export const badModes: readonly Mode[] = [
  ...(Object.keys(modes) as Mode[]).filter((mode) => mode !== "well"),
  "gone",
];

async function take({ store, write }: Exchange): Promise<"keep"> {
  store();
  await write(`${accepted}${empty}`);
  return "keep";
}

async function answer(status: string, write: Exchange["write"]): Promise<"keep"> {
  await write(`HTTP/1.1 ${status}\r\n${empty}`);
  return "keep";
}

/** Ends when the other side does. */
function never(): Promise<"close"> {
  return new Promise(() => undefined);
}

async function dribble(text: string, write: Exchange["write"]): Promise<"close"> {
  for (const character of text) {
    await write(character);
    await systemClock.sleep(200);
  }
  return "close";
}

/** Listens on 127.0.0.1 until it is disposed of. */
export class SoakListener implements AsyncDisposable {
  /** What was stored, in order, doubles included; of statuses with their data. */
  readonly stored: StoredDocument[] = [];
  readonly #port: number;
  readonly #open = new Set<Deno.TcpConn>();
  #socket: Deno.TcpListener | null;
  #mode: Mode = "well";

  constructor() {
    this.#socket = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.#port = this.#socket.addr.port;
    void this.#accept(this.#socket);
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${this.#port}/ingest/postgres`);
  }

  /** Answers so from now on; connections from before are dropped. */
  set(mode: Mode): void {
    this.#mode = mode;
    for (const connection of this.#open) close(connection);
    if (mode === "gone") {
      this.#socket?.close();
      this.#socket = null;
    } else if (this.#socket === null) {
      this.#socket = Deno.listen({ hostname: "127.0.0.1", port: this.#port });
      void this.#accept(this.#socket);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.set("gone");
    return Promise.resolve();
  }

  async #accept(socket: Deno.TcpListener): Promise<void> {
    try {
      for await (const connection of socket) void this.#serve(connection);
    } catch {
      // Closed: it is gone.
    }
  }

  async #serve(connection: Deno.TcpConn): Promise<void> {
    this.#open.add(connection);
    try {
      const requests = new Requests(connection);
      for (;;) {
        const body = await requests.next();
        if (body === null || this.#mode === "gone") return;
        if (await modes[this.#mode](this.#exchange(connection, body)) === "close") return;
      }
    } catch {
      // The agent has hung up, or was killed.
    } finally {
      this.#open.delete(connection);
      close(connection);
    }
  }

  #exchange(connection: Deno.TcpConn, body: Uint8Array): Exchange {
    const write = async (text: string) => {
      const bytes = new TextEncoder().encode(text);
      for (let start = 0; start < bytes.length;) start += await connection.write(bytes.subarray(start));
    };
    return { bytes: body.length, store: () => this.#store(body), write };
  }

  #store(body: Uint8Array): void {
    const { id, sequence, type, data } = JSON.parse(new TextDecoder().decode(body));
    this.stored.push({ id, sequence, type, data: type === "agent_status" ? data : null });
  }
}

function close(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}

/** Reads one request's body after the other from a connection. */
class Requests {
  readonly #connection: Deno.TcpConn;
  #rest = new Uint8Array();

  constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  /** Null at the end of the connection. */
  async next(): Promise<Uint8Array | null> {
    const pieces = [this.#rest];
    let bytes = this.#rest.length;
    let size = sizeOf(this.#rest);
    while (size === null || bytes < size.all) {
      const buffer = new Uint8Array(65_536);
      const count = await this.#connection.read(buffer);
      if (count === null) return null;
      pieces.push(buffer.subarray(0, count));
      bytes += count;
      size ??= sizeOf(join(pieces));
    }
    const request = join(pieces);
    this.#rest = request.slice(size.all);
    return request.subarray(size.head, size.all);
  }
}

/** Bytes of a request's head, and of all of it; null while its head is not whole. */
function sizeOf(request: Uint8Array<ArrayBuffer>): { head: number; all: number } | null {
  const text = new TextDecoder("latin1").decode(request);
  const head = text.indexOf("\r\n\r\n") + 4;
  if (head < 4) return null;
  return { head, all: head + Number(/^content-length: *(\d+)/im.exec(text)?.[1] ?? 0) };
}

function join(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let offset = 0;
  for (const piece of pieces) {
    all.set(piece, offset);
    offset += piece.length;
  }
  return all;
}

/**
 * A real HTTP listener that answers on script, misbehaves on script, and remembers what reached it: the ground truth
 * of the delivery tests.
 *
 * @module
 */

import { gunzipSync } from "node:zlib";

/** One request as it arrived. */
export interface Received {
  headers: Headers;
  /** Its document, parsed. */
  document: {
    id: string;
    project: string;
    sequence: number;
    type: string;
    timestamp: string;
    data: Record<string, unknown>;
  };
  /** The port it came from: the same for requests over one connection. */
  clientPort: number;
  status: number;
  /** When it arrived, on the monotonic clock. */
  atMs: number;
}

/** What to do with a request; `status` is what is noted. */
export type Answer = (request: Request) => Response | Promise<Response>;

/** Where it listens, and with which certificate; without one it speaks plain HTTP. */
export interface ListenerOptions {
  hostname?: string;
  cert?: string;
  key?: string;
}

/** Listens on a free port of 127.0.0.1 until it is shut down. */
export class ScriptedListener implements AsyncDisposable {
  readonly received: Received[] = [];
  readonly #script: Answer[] = [];
  readonly #disposed = Promise.withResolvers<Response>();
  readonly #options: ListenerOptions;
  #server: Deno.HttpServer<Deno.NetAddr>;
  #port: number;
  /** For requests beyond the script. */
  answer: Answer = () => new Response(`{"status":"accepted"}`, { status: 202 });

  /** Does not answer: the request hangs until the listener is disposed of. */
  readonly hang: Answer = () => this.#disposed.promise;

  constructor(options: ListenerOptions = {}) {
    this.#options = options;
    this.#server = this.#serve(0, options);
    this.#port = this.#server.addr.port;
  }

  get url(): URL {
    const { hostname = "127.0.0.1", cert } = this.#options;
    // A certificate is for a name.
    const host = cert !== undefined ? "localhost" : hostname.includes(":") ? `[${hostname}]` : hostname;
    return new URL(`${cert === undefined ? "http" : "https"}://${host}:${this.#port}/ingest/postgres`);
  }

  get port(): number {
    return this.#port;
  }

  /** Documents that were answered with 2xx, in the order of arrival. */
  get accepted(): Received["document"][] {
    return this.received.filter(({ status }) => status >= 200 && status < 300).map(({ document }) => document);
  }

  /** The next answers. A number is a status without anything else. */
  script(...answers: (Answer | number)[]): void {
    for (const answer of answers) {
      this.#script.push(typeof answer === "number" ? () => new Response(null, { status: answer }) : answer);
    }
  }

  /** Goes away: the port refuses connections. */
  async close(): Promise<void> {
    await this.#server.shutdown();
  }

  /** Comes back on the same port, with another certificate if one is given. */
  reopen(options: ListenerOptions = this.#options): void {
    this.#server = this.#serve(this.#port, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.resolve(new Response(null, { status: 503 }));
    await this.close();
  }

  #serve(port: number, options: ListenerOptions): Deno.HttpServer<Deno.NetAddr> {
    return Deno.serve(
      { hostname: "127.0.0.1", ...options, port, onListen: () => undefined },
      (request, info) => this.#handle(request, info),
    );
  }

  async #handle(request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>): Promise<Response> {
    const body = new Uint8Array(await request.arrayBuffer());
    const json = request.headers.get("content-encoding") === "gzip" ? gunzipSync(body) : body;
    const document = JSON.parse(new TextDecoder().decode(json));
    const clientPort = info.remoteAddr.port;
    const received: Received = { headers: request.headers, document, clientPort, status: 0, atMs: performance.now() };
    this.received.push(received);
    const response = await (this.#script.shift() ?? this.answer)(request);
    received.status = response.status;
    return response;
  }
}

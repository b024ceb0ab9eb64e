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

/** Listens on a free port of 127.0.0.1 until it is shut down. */
export class ScriptedListener implements AsyncDisposable {
  readonly received: Received[] = [];
  readonly #script: Answer[] = [];
  readonly #disposed = Promise.withResolvers<Response>();
  #server: Deno.HttpServer<Deno.NetAddr>;
  #port: number;
  /** For requests beyond the script. */
  answer: Answer = () => new Response(`{"status":"accepted"}`, { status: 202 });

  /** Does not answer: the request hangs until the listener is disposed of. */
  readonly hang: Answer = () => this.#disposed.promise;

  constructor(options: { cert?: string; key?: string; hostname?: string } = {}) {
    this.#server = this.#serve({ port: 0, hostname: "127.0.0.1", ...options });
    this.#port = this.#server.addr.port;
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${this.#port}/ingest/postgres`);
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

  /** Comes back on the same port. */
  reopen(): void {
    this.#server = this.#serve({ port: this.#port, hostname: "127.0.0.1" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.resolve(new Response(null, { status: 503 }));
    await this.close();
  }

  #serve(options: Deno.ServeTcpOptions): Deno.HttpServer<Deno.NetAddr> {
    return Deno.serve({ ...options, onListen: () => undefined }, (request, info) => this.#handle(request, info));
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

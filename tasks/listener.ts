/**
 * The reference listener: what the agent posts to. For trying the agent and for tests, and to show what a listener has
 * to do: check the key, check the document, take each id once, and say so with the right answer (docs/documents.md).
 *
 * @module
 */

import { errorMessage } from "../log.ts";
import type { WireDocument } from "./listener_schemas.ts";
import { createValidator, type Validate } from "./listener_schemas.ts";
import { describeDocument, listenerUsage, readListenerArguments, welcome } from "./listener_lines.ts";
import { readDocument, Refusal, refuseHeaders } from "./listener_request.ts";
import { type CommandContext, exitClean, exitFailure } from "./command.ts";

/** The path of the agent's `listener.url`. */
export const ingestPath = "/ingest/postgres";

/** Ids that are remembered to recognise a second delivery: a day of six documents a minute. */
const rememberedIdsMax = 10_000;
/** Documents that are kept for whoever asks for {@link Listener.documents}. */
const keptDocumentsMax = 1_000;

export interface ListenerOptions {
  hostname?: string;
  /** Default: a free one. */
  port?: number;
  apiKey: string;
  /** Called once for each new document. When it throws, the answer is 500 and a second delivery is taken again. */
  onDocument?: (document: WireDocument) => void | Promise<void>;
  /** Default: the schemas of docs/schemas/. */
  validate?: Validate;
}

export interface Listener extends AsyncDisposable {
  /** What `listener.url` of an agent must be. */
  readonly url: string;
  readonly port: number;
  /** The last 1,000 new documents, oldest first. */
  readonly documents: readonly WireDocument[];
  /** Deliveries of ids that had been taken already. */
  readonly duplicates: number;
  /** The answers that were not 202. The last 1,000. */
  readonly refusals: readonly { status: number; reason: string }[];
  /** Finishes the requests that are under way. */
  shutdown(): Promise<void>;
}

/** Starts a listener. Throws when it cannot have the address. */
export function startListener(options: ListenerOptions): Listener {
  const { hostname = "127.0.0.1", port = 0 } = options;
  const intake = new Intake(options);
  const name = hostname.includes(":") ? `[${hostname}]` : hostname;
  const server = serve({ hostname, port, handler: (request) => intake.answer(request) });
  return {
    url: `http://${name}:${server.addr.port}${ingestPath}`,
    port: server.addr.port,
    documents: intake.documents,
    refusals: intake.refusals,
    get duplicates() {
      return intake.duplicates;
    },
    shutdown: () => server.shutdown(),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

function serve(options: { hostname: string; port: number; handler: (request: Request) => Promise<Response> }) {
  const { hostname, port, handler } = options;
  try {
    return Deno.serve({ hostname, port, onListen: () => {} }, handler);
  } catch (cause) {
    throw new Error(`Cannot listen at ${hostname}, port ${port}: ${errorMessage(cause)}`, { cause });
  }
}

/** What has been taken in so far. An id is remembered from before its document is handed on: no two at once. */
class Intake {
  readonly documents: WireDocument[] = [];
  readonly refusals: { status: number; reason: string }[] = [];
  duplicates = 0;
  readonly #options: ListenerOptions;
  readonly #validate: Validate;
  readonly #ids = new Set<string>();

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#validate = options.validate ?? createValidator();
  }

  async answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/health" && request.method === "GET") return Response.json({ status: "ok" });
    try {
      if (pathname !== ingestPath) throw new Refusal(404, `There is only ${ingestPath} and /health`);
      refuseHeaders(request, this.#options.apiKey);
      return await this.#take(await readDocument(request, this.#validate));
    } catch (error) {
      return await this.#refuse(request, error);
    }
  }

  async #refuse(request: Request, error: unknown): Promise<Response> {
    const { status, headers } = error instanceof Refusal ? error : new Refusal(500, "");
    const reason = errorMessage(error);
    keepLast(this.refusals, { status, reason });
    // The rest of a body that nobody will read.
    if (!request.bodyUsed) await request.body?.cancel();
    return Response.json({ status: "refused", reason }, { status, headers });
  }

  async #take(document: WireDocument): Promise<Response> {
    if (this.#ids.has(document.id)) {
      this.duplicates++;
      return Response.json({ status: "duplicate" }, { status: 202 });
    }
    this.#remember(document.id);
    try {
      await this.#options.onDocument?.(document);
    } catch (error) {
      this.#ids.delete(document.id);
      throw error;
    }
    keepLast(this.documents, document);
    return Response.json({ status: "accepted" }, { status: 202 });
  }

  #remember(id: string): void {
    this.#ids.add(id);
    const [oldest] = this.#ids;
    if (this.#ids.size > rememberedIdsMax && oldest !== undefined) this.#ids.delete(oldest);
  }
}

function keepLast<T>(list: T[], item: T): void {
  list.push(item);
  if (list.length > keptDocumentsMax) list.shift();
}

/** `deno task listener`: listens until it is stopped, and prints what comes in. */
export async function run(context: CommandContext): Promise<number> {
  const read = readListenerArguments(context.args);
  if (read === null) {
    context.printError(listenerUsage);
    return exitFailure;
  }
  const { host, port, apiKey, json } = read;
  await using listener = startListener({
    hostname: host,
    port,
    apiKey,
    onDocument: (document) => context.print(json ? `${JSON.stringify(document)}\n` : describeDocument(document)),
  });
  const say = json ? context.printError : context.print;
  await say(welcome(listener.url, apiKey));
  if (!context.stop.aborted) {
    await new Promise((resolve) => context.stop.addEventListener("abort", resolve, { once: true }));
  }
  return exitClean;
}

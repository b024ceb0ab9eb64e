/**
 * The reference listener: what the agent posts to. For trying the agent and for tests, to show what a listener has to do
 * (check the key, check the document, take each id once, answer when it is stored; docs/documents.md), and to see what
 * the agent knows: it serves a page of its own (docs/listener.md).
 *
 * @module
 */

import { join } from "node:path";
import { errorMessage } from "../../log.ts";
import { type CommandContext, exitClean } from "../command.ts";
import { readListenerArguments } from "./arguments.ts";
import { Database } from "./database.ts";
import { Intake } from "./intake.ts";
import { anyProject, type Key, Keys, parseKeys } from "./keys.ts";
import * as limits from "./limits.ts";
import { describeDocument, welcome } from "./lines.ts";
import { Live } from "./live.ts";
import { agents, type AgentSummary } from "./queries/agents.ts";
import { RateLimit } from "./rate_limit.ts";
import { retain } from "./retention.ts";
import { createValidator, type Validate, type WireDocument } from "./schemas.ts";
import { createServer, ingestPath } from "./server.ts";
import { Store } from "./store.ts";

export { listenerUsage as help } from "./arguments.ts";

/** How to listen. Needs a key: `apiKey` for all projects, or `keys`. */
export interface ListenerOptions {
  hostname?: string;
  /** Default: a free one. */
  port?: number;
  apiKey?: string;
  keys?: readonly Key[];
  /** The folder of the database, made when it is missing. Default: a database in memory, gone with the process. */
  dataFolder?: string;
  retention?: { keepDays?: number; megabytesMax?: number };
  /** Opens the page from other machines, for the user `bitville`. Default: the page is open to this machine alone. */
  pagePassword?: string;
  /** Called once for each new document. When it throws, the answer is 500 and a second delivery is taken again. */
  onDocument?: (document: WireDocument) => void | Promise<void>;
  /** Default: the schemas of docs/schemas/. */
  validate?: Validate;
  /** Told what went wrong beside the answers. */
  warn?: (line: string) => void;
  /** Of {@link limits}, for tests that want to reach them. */
  bounds?: { bodyMs?: number; bytesUnderWayMax?: number; rateBurst?: number; ratePerS?: number; liveEveryMs?: number };
}

/** A listener that runs. */
export interface Listener extends AsyncDisposable {
  /** What `listener.url` of an agent must be. */
  readonly url: string;
  /** Where its page is. */
  readonly pageUrl: string;
  readonly port: number;
  /** The last 1,000 new documents, oldest first. */
  readonly documents: readonly WireDocument[];
  /** Deliveries of ids that had been taken already. */
  readonly duplicates: number;
  /** The answers that were no success. The last 1,000. */
  readonly refusals: readonly { status: number; reason: string }[];
  /** The agents that have sent something, as the page shows them. */
  agents(): AgentSummary[];
  /** Forgets what is too old or too much now, as it does every minute. */
  retain(): Promise<void>;
  /** Finishes the requests that are under way. */
  shutdown(): Promise<void>;
}

/** Starts a listener. Throws when it cannot have the address or the database. */
export function startListener(options: ListenerOptions): Listener {
  const database = openDatabase(options.dataFolder);
  try {
    return new HttpListener(options, database);
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Stands in for a listener that is away: answers everything with 503 and when to come again. */
export function startStandIn(at: { port: number; retryAfterS: number; onRequest: () => void }): AsyncDisposable {
  const { port, retryAfterS, onRequest } = at;
  const handler = async (request: Request) => {
    if (request.method === "POST") onRequest();
    await request.body?.cancel();
    const headers = { "retry-after": String(retryAfterS) };
    return Response.json({ status: "refused", reason: "The listener is away" }, { status: 503, headers });
  };
  return serve({ hostname: "127.0.0.1", port, handler });
}

function openDatabase(folder: string | undefined): Database {
  if (folder === undefined) return new Database(":memory:");
  // Texts of queries: for its owner alone.
  Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  return new Database(join(folder, "listener.sqlite"));
}

class HttpListener implements Listener {
  readonly documents: WireDocument[] = [];
  readonly refusals: { status: number; reason: string }[] = [];
  duplicates = 0;
  readonly #options: ListenerOptions;
  readonly #database: Database;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #intake: Intake;
  readonly #live: Live;
  readonly #stopping = new AbortController();
  readonly #retaining: ReturnType<typeof setInterval>;
  #retention: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | null = null;

  constructor(options: ListenerOptions, database: Database) {
    const { hostname = "127.0.0.1", port = 0, bounds = {}, warn = () => {} } = options;
    this.#options = options;
    this.#database = database;
    this.#live = new Live(bounds.liveEveryMs);
    this.#intake = new Intake({
      store: new Store(database),
      warn,
      onDocument: (document) => this.#onDocument(document),
      onStored: (stored) => this.#live.add(stored),
    });
    const app = this.#createApp();
    this.#server = serve({ hostname, port, handler: (request, info) => app.fetch(request, info) });
    this.#retaining = setInterval(() => void this.retain(), limits.retentionEveryMs);
  }

  #createApp() {
    const { keys, apiKey, bounds = {} } = this.#options;
    const all = [...keys ?? [], ...apiKey === undefined ? [] : [{ project: anyProject, secret: apiKey }]];
    return createServer({
      database: this.#database,
      live: this.#live,
      stop: this.#stopping.signal,
      intake: this.#intake,
      nowMs: () => Date.now(),
      keys: new Keys(all),
      rateLimit: new RateLimit({
        perS: bounds.ratePerS ?? limits.rateDocumentsPerS,
        burst: bounds.rateBurst ?? limits.rateBurstDocuments,
        nowMs: () => performance.now(),
      }),
      validate: this.#options.validate ?? createValidator(),
      pagePassword: this.#options.pagePassword ?? null,
      onDuplicate: () => void this.duplicates++,
      onRefusal: (refusal) => keepLast(this.refusals, refusal),
      ...bounds.bodyMs === undefined ? {} : { bodyMs: bounds.bodyMs },
      ...bounds.bytesUnderWayMax === undefined ? {} : { bytesUnderWayMax: bounds.bytesUnderWayMax },
    });
  }

  get port(): number {
    return this.#server.addr.port;
  }

  get pageUrl(): string {
    const { hostname = "127.0.0.1" } = this.#options;
    return `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${this.port}/`;
  }

  get url(): string {
    return new URL(ingestPath, this.pageUrl).href;
  }

  agents(): AgentSummary[] {
    return agents(this.#database, Date.now());
  }

  retain(): Promise<void> {
    const { keepDays = limits.retentionDaysDefault, megabytesMax = limits.databaseMbDefault } =
      this.#options.retention ?? {};
    const options = { keepMs: keepDays * 86_400_000, bytesMax: megabytesMax * 1024 * 1024 };
    const run = () => retain(this.#database, options, { nowMs: Date.now(), signal: this.#stopping.signal });
    return this.#retention = this.#retention.then(run).catch((error) =>
      this.#options.warn?.(`Cannot forget what is too old: ${errorMessage(error)}`)
    );
  }

  shutdown(): Promise<void> {
    return this.#stopped ??= this.#shutdown();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  async #shutdown(): Promise<void> {
    clearInterval(this.#retaining);
    this.#stopping.abort();
    this.#live.close();
    await this.#server.shutdown();
    this.#intake.flush();
    await this.#retention;
    this.#database.close();
  }

  async #onDocument(document: WireDocument): Promise<void> {
    await this.#options.onDocument?.(document);
    keepLast(this.documents, document);
  }
}

type Handler = (request: Request, info: Deno.ServeHandlerInfo) => Response | Promise<Response>;

function serve({ hostname, port, handler }: { hostname: string; port: number; handler: Handler }) {
  try {
    return Deno.serve({ hostname, port, onListen: () => {} }, handler);
  } catch (cause) {
    throw new Error(`Cannot listen at ${hostname}, port ${port}: ${errorMessage(cause)}`, { cause });
  }
}

function keepLast<T>(list: T[], item: T): void {
  list.push(item);
  if (list.length > limits.keptDocumentsMax) list.shift();
}

/** `deno task listener`: listens until it is stopped, and prints what comes in. Throws for what it cannot do. */
export async function run(context: CommandContext): Promise<number> {
  const read = readListenerArguments(context.args, context.environment);
  const { host, port, apiKey, keysFile, pagePasswordFile, data, keepDays, megabytesMax, json } = read;
  await using listener = startListener({
    ...{ hostname: host, port, dataFolder: data, retention: { keepDays, megabytesMax } },
    ...keysFile === null ? { apiKey } : { keys: parseKeys(await readGiven("keys-file", keysFile)) },
    ...pagePasswordFile === null
      ? {}
      : { pagePassword: (await readGiven("page-password-file", pagePasswordFile)).trim() },
    // Whoever read the lines may be gone; documents are stored all the same.
    onDocument: (document) =>
      context.print(json ? `${JSON.stringify(document)}\n` : describeDocument(document)).catch(() => {}),
    warn: (line) => context.printError(`${line}\n`),
  });
  const say = json ? context.printError : context.print;
  const key = keysFile === null ? apiKey : `one of ${keysFile}`;
  await say(welcome({ url: listener.url, pageUrl: listener.pageUrl, key, data }));
  if (!context.stop.aborted) {
    await new Promise((resolve) => context.stop.addEventListener("abort", resolve, { once: true }));
  }
  return exitClean;
}

async function readGiven(option: string, path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new Error(`Cannot read the file of --${option}: ${errorMessage(cause)}`, { cause });
  }
}

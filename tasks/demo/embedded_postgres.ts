/**
 * Real PostgreSQL servers for the demo and the tests, from npm: nothing to install or prepare, any number at once.
 *
 * - A server lives in one temporary folder: its data, its socket, its log. Disposing of it removes the folder.
 * - It does not outlive this process, however that ends (`guard.ts`).
 * - It runs in a session of its own, so that Ctrl-C in a terminal reaches this process alone.
 * - It runs as this process's user or, when that is root, as `nobody`.
 *
 * Needs `--allow-run`, `--allow-sys`, and reading and writing in the temporary folder.
 *
 * @module
 */

import { join } from "node:path";
import { type ClientRow, withClient } from "./client.ts";
import { postgresBinaries, type PostgresVersion } from "./postgres_binaries.ts";
import { makeServerFolder, type ServerFolder } from "./server_folder.ts";
import { isRoot, type SystemUser, unprivilegedUser } from "./unprivileged_user.ts";

export { type PostgresVersion, postgresVersions } from "./postgres_binaries.ts";
export { isRoot, type SystemUser, unprivilegedUser } from "./unprivileged_user.ts";

/** From the start to the first connection. */
const readyMs = 60_000;
const readyPollMs = 20;
/** A fast stop becomes an immediate one after this long. */
const stopMs = 20_000;
/** A free port may be taken by somebody else before the server has it. */
const portAttemptsMax = 5;
const logTailLines = 30;

/** Fast, and safe enough for data that nobody keeps. */
const defaultSettings: Record<string, string> = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  shared_preload_libraries: "pg_stat_statements",
  listen_addresses: "127.0.0.1",
};

/** Only a shell can append a child's output to a file; `exec` leaves the server as our own child. */
const serverScript = `exec "$@" >>"$LOG_FILE" 2>&1`;

/** How to stop: `smart` waits for clients, `fast` ends them, `immediate` is a crash. */
export type StopMode = "smart" | "fast" | "immediate";

const stopSignals: Record<StopMode, Deno.Signal> = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" };

export interface EmbeddedPostgresOptions {
  version: PostgresVersion;
  /** Settings of postgresql.conf, beyond and before the defaults above. `ALTER SYSTEM` goes before both. */
  settings?: Record<string, string>;
  /** Lines of pg_hba.conf, before the two that trust everybody on the socket and on 127.0.0.1. */
  hba?: readonly string[];
  /** Default: a free one. */
  port?: number;
  /** Told what takes long. */
  progress?: (line: string) => void;
  /** Ends a start that is under way. */
  signal?: AbortSignal;
}

/** A running server. */
export interface EmbeddedPostgres extends AsyncDisposable {
  readonly version: PostgresVersion;
  readonly host: "127.0.0.1";
  readonly port: number;
  /** The superuser, who needs no password. */
  readonly user: "postgres";
  readonly socketDirectory: string;
  readonly dataDirectory: string;
  /** What the server writes on stderr; kept over restarts. */
  readonly logFile: string;
  /** The folder with `postgres`, `initdb` and `pg_ctl`. */
  readonly binDirectory: string;
  /** The postmaster's, or null while stopped. */
  readonly pid: number | null;
  /** Starts a stopped server, on the same port and data. */
  start(): Promise<void>;
  /** Stops and keeps the data. Default `fast`. */
  stop(mode?: StopMode): Promise<void>;
  restart(mode?: StopMode): Promise<void>;
  /** Sends the postmaster a signal, such as SIGHUP (reload) or SIGSTOP (hang: no new connections). */
  signal(signal: Deno.Signal): void;
  /** Runs statements as superuser on a connection of their own. Rows of the last one that has any. */
  query(text: string, options?: { database?: string; values?: unknown[] }): Promise<ClientRow[]>;
}

/** Makes a cluster and starts its server. Downloads the version's binaries the first time. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const binaries = await postgresBinaries(options.version, options);
  const server = await Server.create(join(binaries, "bin"), options);
  try {
    await server.initialize();
    await server.start(options.signal);
    return server;
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

class Server implements EmbeddedPostgres {
  readonly version: PostgresVersion;
  readonly host = "127.0.0.1";
  readonly user = "postgres";
  readonly binDirectory: string;
  readonly socketDirectory: string;
  readonly dataDirectory: string;
  readonly logFile: string;
  port: number;
  readonly #options: EmbeddedPostgresOptions;
  readonly #folder: ServerFolder;
  /** Whom to run as, if not as this process's user. */
  readonly #account: SystemUser | null;
  #process: Deno.ChildProcess | null = null;

  static async create(binDirectory: string, options: EmbeddedPostgresOptions): Promise<Server> {
    return new Server(await makeServerFolder(), binDirectory, options);
  }

  private constructor(folder: ServerFolder, binDirectory: string, options: EmbeddedPostgresOptions) {
    this.#options = options;
    this.#folder = folder;
    this.#account = isRoot() ? unprivilegedUser() : null;
    this.version = options.version;
    this.port = options.port ?? freePort();
    this.binDirectory = binDirectory;
    this.dataDirectory = folder.data;
    this.socketDirectory = folder.path;
    this.logFile = folder.log;
  }

  get pid(): number | null {
    return this.#process?.pid ?? null;
  }

  async initialize(): Promise<void> {
    this.#options.progress?.(`Initializing PostgreSQL ${this.version} in ${this.#folder.path}`);
    if (this.#account !== null) await Deno.chown(this.#folder.path, this.#account.uid, this.#account.gid);
    const flags = ["--no-sync", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"];
    const { success, stdout, stderr } = await new Deno.Command(join(this.binDirectory, "initdb"), {
      args: ["-D", this.dataDirectory, ...flags],
      ...this.#commandOptions(),
      stdout: "piped",
      stderr: "piped",
    }).output();
    if (!success) {
      const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
      throw new Error(`Cannot initialize PostgreSQL ${this.version}: ${lastLines(output)}`);
    }
    await this.#configure();
  }

  async start(signal?: AbortSignal): Promise<void> {
    if (this.#process !== null) throw new Error(`Cannot start PostgreSQL ${this.version} because it is running`);
    for (let attempt = 1;; attempt++) {
      signal?.throwIfAborted();
      const logBefore = await readIfThere(this.logFile);
      this.#process = this.#spawn();
      try {
        return await this.#waitUntilReady(this.#process, signal);
      } catch (cause) {
        await this.stop("immediate");
        signal?.throwIfAborted();
        const log = (await readIfThere(this.logFile)).slice(logBefore.length);
        const portTaken = /could not bind|already in use/.test(log);
        if (!portTaken || this.#options.port !== undefined || attempt === portAttemptsMax) {
          throw new Error(`Cannot start PostgreSQL ${this.version}: its log ends in\n${lastLines(log)}`, { cause });
        }
        this.port = freePort();
      }
    }
  }

  async stop(mode: StopMode = "fast"): Promise<void> {
    const process = this.#process;
    if (process === null) return;
    // A server that a test has halted would not hear of it.
    for (const name of ["SIGCONT", stopSignals[mode]] as const) this.signal(name);
    const overdue = setTimeout(() => this.signal("SIGQUIT"), stopMs);
    await process.status;
    clearTimeout(overdue);
    this.#process = null;
  }

  async restart(mode: StopMode = "fast"): Promise<void> {
    await this.stop(mode);
    await this.start();
  }

  signal(signal: Deno.Signal): void {
    try {
      this.#process?.kill(signal);
    } catch (error) {
      // It may have ended by itself.
      if (!(error instanceof Deno.errors.NotFound || error instanceof TypeError)) throw error;
    }
  }

  query(text: string, options: { database?: string; values?: unknown[] } = {}): Promise<ClientRow[]> {
    const { host, port, user } = this;
    const { database = "postgres", values } = options;
    return withClient({ host, port, user, database }, (ask) => ask(text, values));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("immediate");
    await this.#folder[Symbol.asyncDispose]();
  }

  async #configure(): Promise<void> {
    const { hba = [], settings } = this.#options;
    const rules = [...hba, "local all all trust", "host all all 127.0.0.1/32 trust"];
    await Deno.writeTextFile(join(this.dataDirectory, "pg_hba.conf"), rules.join("\n") + "\n");
    const all = { ...defaultSettings, unix_socket_directories: this.socketDirectory, ...settings };
    const lines = Object.entries(all).map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`);
    await Deno.writeTextFile(join(this.dataDirectory, "postgresql.conf"), lines.join(""), { append: true });
  }

  #spawn(): Deno.ChildProcess {
    const command = [join(this.binDirectory, "postgres"), "-D", this.dataDirectory, "-p", String(this.port)];
    return new Deno.Command("sh", {
      args: ["-c", serverScript, "sh", ...command],
      ...this.#commandOptions(),
      detached: true,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  #commandOptions(): Deno.CommandOptions {
    return {
      cwd: this.#folder.path,
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin", LC_ALL: "C", LOG_FILE: this.logFile },
      ...(this.#account === null ? {} : { uid: this.#account.uid, gid: this.#account.gid }),
    };
  }

  async #waitUntilReady(process: Deno.ChildProcess, signal: AbortSignal | undefined): Promise<void> {
    let ended = false;
    process.status.then(() => ended = true);
    for (const deadline = performance.now() + readyMs;;) {
      try {
        await this.query("SELECT 1");
        // The port could be another server's.
        if (!ended) return;
      } catch (cause) {
        if (performance.now() > deadline) throw cause;
      }
      if (ended) throw new Error("It ended before it was ready");
      signal?.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, readyPollMs));
    }
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

function lastLines(text: string): string {
  return text.trimEnd().split("\n").slice(-logTailLines).join("\n");
}

/**
 * A workload that behaves like a site in PHP: each request has a connection of its own and gives it the request's id as
 * `application_name`. What they do there is in `site_scripts.ts`.
 *
 * - A visitor has one connection at most, so the visitors' number bounds the connections.
 * - A request that fails is counted, and the next one comes: servers are restarted under the demo and in tests.
 *
 * @module
 */

import { setTimeout as pause } from "node:timers/promises";
import { withClient } from "./client.ts";
import { type SiteRequest, type SiteScript, siteScripts, siteTables } from "./site_scripts.ts";

/** The site's own role and database. */
export const siteName = "site";

/** The longest that a request waits for a lock. */
const lockTimeoutMs = 20_000;
/** After a failure, so that a stopped server is not asked without end. */
const failurePauseMs = 500;

/** A visitor whose time has not come looks again so often. */
const closedPauseMs = 100;

/** A server to work on. */
export interface SiteServer {
  host: string;
  port: number;
}

export interface WorkloadOptions extends SiteServer {
  /** From 0 to below 1: decides what is asked, how long it takes, and the requests' ids. */
  random: () => number;
  /** How long the slowest request takes. Default: 20 s. */
  slowMs?: number;
  /** Who visits. Default: {@link siteScripts}, 13 at once. */
  scripts?: readonly SiteScript[];
  /** Stops the workload, as {@link Workload.stop} does. */
  signal?: AbortSignal;
}

/** A workload that is running. */
export interface Workload extends AsyncDisposable {
  /** Requests that ended well. */
  readonly requests: number;
  /** Requests that ended with an error. */
  readonly failures: number;
  /** Ends all requests at once, on the server too. Never throws. */
  stop(): Promise<void>;
}

/** Makes the role, the database and the tables; what is there already stays. Connects as the superuser `postgres`. */
export async function seedSite(server: SiteServer): Promise<void> {
  await withClient({ ...server, user: "postgres", database: "postgres" }, async (ask) => {
    const [found] = await ask(
      `SELECT to_regrole('${siteName}') IS NOT NULL AS role,
        EXISTS (SELECT FROM pg_database WHERE datname = '${siteName}') AS database`,
    );
    if (!found?.role) await ask(`CREATE ROLE ${siteName} LOGIN`);
    if (!found?.database) await ask(`CREATE DATABASE ${siteName} OWNER ${siteName}`);
  });
  await withClient({ ...server, user: siteName, database: siteName }, async (ask) => {
    for (const statement of siteTables) await ask(statement);
  });
}

/** Starts all visitors. The site must have been seeded. */
export function startWorkload(options: WorkloadOptions): Workload {
  return new SiteWorkload(options);
}

class SiteWorkload implements Workload {
  requests = 0;
  failures = 0;
  readonly #options: WorkloadOptions;
  readonly #stopping = new AbortController();
  readonly #signal: AbortSignal;
  readonly #visitors: Promise<void>[];
  #stopped: Promise<void> | null = null;

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#signal = AbortSignal.any([this.#stopping.signal, ...options.signal === undefined ? [] : [options.signal]]);
    const scripts = options.scripts ?? siteScripts;
    this.#visitors = scripts.flatMap((script) => Array.from({ length: script.visitors }, () => this.#visit(script)));
  }

  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#visitors);
    await endSessions(this.#options).catch(() => {
      // The server is gone, and its sessions with it.
    });
  }

  async #visit(script: SiteScript): Promise<void> {
    while (!this.#signal.aborted) {
      if (script.when?.() === false) {
        await pause(closedPauseMs, null, { signal: this.#signal }).catch(() => {});
        continue;
      }
      const ok = await this.#request(script);
      if (this.#signal.aborted) return;
      if (ok) this.requests++;
      else this.failures++;
      const pauseMs = ok ? script.thinkMs * this.#options.random() : failurePauseMs;
      await pause(pauseMs, null, { signal: this.#signal }).catch(() => {});
    }
  }

  /** One connection from its start to its end; whether all went well. */
  async #request(script: SiteScript): Promise<boolean> {
    const { host, port, random, slowMs = 20_000 } = this.#options;
    const name = `bitville-${uuid(random)}`;
    // Some applications name themselves when they connect, others by a statement.
    const atStart = random() < 0.5;
    const connection = { host, port, user: siteName, database: siteName, lockTimeoutMs };
    const options = { ...connection, ...(atStart ? { applicationName: name } : {}), signal: this.#signal };
    try {
      await withClient(options, async (ask) => {
        if (!atStart) await ask(`SET application_name = '${name}'`);
        const request: SiteRequest = {
          query: ask,
          pause: (ms) => pause(ms, undefined, { signal: this.#signal }),
          random,
          slowMs,
        };
        await script.run(request);
      });
      return true;
    } catch {
      return false;
    }
  }
}

/** Ends what the site's requests left behind: a server does not notice that a client is gone until it writes to it. */
function endSessions(server: SiteServer): Promise<void> {
  const { host, port } = server;
  return withClient({ host, port, user: siteName, database: siteName }, async (ask) => {
    await ask(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()",
    );
  });
}

/** A random UUID (version 4) of the given randomness. */
export function uuid(random: () => number): string {
  const digits = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16));
  digits[12] = "4";
  digits[16] = "89ab"[Math.floor(random() * 4)]!;
  const text = digits.join("");
  return [[0, 8], [8, 12], [12, 16], [16, 20], [20, 32]].map(([from, to]) => text.slice(from, to)).join("-");
}

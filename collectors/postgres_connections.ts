/**
 * How the agent comes to its connections: how many, how they are made, and when it is time to try again.
 *
 * Invariants:
 *
 * - never more connections than configured, never more than five, and no more at once than are needed: a question waits
 *   a little for a connection that is in use before another one is made;
 * - after a failure to connect, nobody knocks again before the pause is over; who finds no connection slot on the
 *   server makes do with the connections that are there.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import { DatabaseError } from "./database.ts";
import * as errors from "./postgres_errors.ts";
import {
  connectionsMax,
  createPool,
  endPool,
  type Pool,
  type PoolClient,
  type PostgresOptions,
} from "./postgres_pool.ts";
import { tlsOptions } from "./postgres_tls.ts";
import { Slots } from "./slots.ts";

/** Who wants to know what happens to the connections. */
export interface ConnectionsListener {
  /** A new connection has been made. */
  gained(): void;
  /** One could not be made, or has ended while nobody used it. */
  lost(failure: DatabaseError): void;
}

/** How connections are made: begins with the best, and steps down when the other side cannot. */
interface Link {
  tls: boolean;
  startup: boolean;
}

/** The connections to one server. */
export class PostgresConnections {
  readonly #options: PostgresOptions;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #listener: ConnectionsListener;
  readonly #slots: Slots;
  /** How many there may be: as configured, or as many as a full server has given. */
  #most: number;
  #link: Link = { tls: true, startup: true };
  #pool: Pool | null = null;
  /** What ended a connection that somebody has in use, other than its question. */
  readonly #ended = new WeakMap<PoolClient, DatabaseError>();
  /** Connections made so far: whether a failure is still news. */
  #gained = 0;
  /** The last failure to connect, while the pause after it lasts. */
  #refusal: { error: DatabaseError; untilMs: number } | null = null;
  #pauseMs = limits.reconnectFirstMs;
  #closed = false;

  constructor(options: PostgresOptions, clock: Pick<Clock, "monotonicMs">, listener: ConnectionsListener) {
    this.#options = options;
    this.#clock = clock;
    this.#listener = listener;
    this.#slots = new Slots(1);
    this.#most = connectionsMax(options);
  }

  /** Connections open now. */
  get count(): number {
    return this.#pool?.totalCount ?? 0;
  }

  /** Whether connections are asked to use TLS. A server without it ends the asking, so that this is how they are. */
  get usesTls(): boolean {
    return this.#link.tls && this.#options.sslmode !== "disable" && !this.#options.host.startsWith("/");
  }

  /** Whether the other side took the limits as startup parameters. */
  get hasStartupLimits(): boolean {
    return this.#link.startup;
  }

  /** A connection of the caller's own until {@link release}. Throws {@link DatabaseError}. */
  async acquire(signal: AbortSignal | undefined): Promise<PoolClient> {
    for (;;) {
      await this.#acquireSlot();
      try {
        signal?.throwIfAborted();
        return await this.#connect();
      } catch (error) {
        const full = error instanceof DatabaseError && error.kind === "full" && this.count > 0;
        if (full) this.#most = this.count;
        if (full) this.#slots.resize(this.count);
        this.#slots.release();
        if (!full) throw error;
      }
    }
  }

  /** Takes a connection back; one that cannot be used again is ended. */
  release(client: PoolClient, options: { usable: boolean }): void {
    client.release(!options.usable);
    this.#slots.release();
    if (this.#slots.taken === 0) this.#slots.resize(1);
    const end = this.#ended.get(client);
    // The pool would replace it without a word, by one to a server that may be another.
    if (options.usable && end !== undefined) this.#listener.lost(end);
  }

  /**
   * Begins anew when no connection is left: a server that comes back may be another, with TLS or without a pooler. A
   * session that is left is of the server as it was, and there may be no other to be had from a server in trouble.
   */
  forget(): void {
    if (this.count > 0 || (this.#link.tls && this.#link.startup)) return;
    this.#link = { tls: true, startup: true };
    void this.#dropPool();
  }

  /** Ends all connections, those in use as well. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#dropPool(endPool);
  }

  /** Waits for a slot; for too long, and there is one more. */
  async #acquireSlot(): Promise<void> {
    const widen = setInterval(
      () => this.#slots.resize(Math.min(this.#slots.taken + 1, this.#most)),
      limits.connectionPatienceMs,
    );
    try {
      await this.#slots.acquire();
    } finally {
      clearInterval(widen);
    }
  }

  async #connect(): Promise<PoolClient> {
    for (;;) {
      this.#throwInPause();
      const link = this.#link;
      const gained = this.#gained;
      try {
        const certificates = await this.#readCertificates();
        this.#pool ??= this.#openPool(certificates);
        return await this.#pool.connect();
      } catch (error) {
        // Somebody else has found out meanwhile, or this is the one who does.
        if (link !== this.#link || this.#stepDown(error)) continue;
        const failure = errors.toDatabaseError(error, { phase: "connect", cancelled: this.#closed });
        // The server has answered another attempt meanwhile: this one met it on its way up or down.
        if (failure.kind === "unreachable" && gained !== this.#gained) throw failure;
        this.#refusal = { error: failure, untilMs: this.#clock.monotonicMs() + this.#pauseMs };
        this.#pauseMs = Math.min(this.#pauseMs * 2, limits.reconnectMaxMs);
        this.#listener.lost(failure);
        throw failure;
      }
    }
  }

  /** In the pause after a failure only what is there already may be used. */
  #throwInPause(): void {
    if (this.#refusal === null) return;
    if (this.#clock.monotonicMs() >= this.#refusal.untilMs) {
      this.#refusal = null;
      this.#most = connectionsMax(this.#options);
    } else if ((this.#pool?.idleCount ?? 0) === 0) {
      throw this.#refusal.error;
    }
  }

  async #readCertificates(): Promise<string | null> {
    const { sslrootcert } = this.#options;
    if (this.#pool !== null || sslrootcert === "" || !this.usesTls) return null;
    try {
      return await Deno.readTextFile(sslrootcert);
    } catch (cause) {
      throw new DatabaseError(`Cannot read the certificates of ${sslrootcert}`, { kind: "refused", cause });
    }
  }

  #openPool(certificates: string | null): Pool {
    if (this.#closed) throw new DatabaseError("The database is closed", { kind: "cancelled" });
    const tls = this.usesTls && tlsOptions(this.#options.sslmode, certificates);
    const pool = createPool(this.#options, { tls, startup: this.#link.startup });
    const ended = (error: Error) => {
      if (pool !== this.#pool || errors.isIdleTimeout(error)) return null;
      return errors.toDatabaseError(error, { phase: "query", cancelled: false });
    };
    pool.on("connect", (client: PoolClient) => {
      // While a connection is in use the pool does not listen for its end.
      client.on("error", (error) => {
        const failure = ended(error);
        if (failure !== null) this.#ended.set(client, failure);
      });
      this.#gained += 1;
      this.#refusal = null;
      this.#pauseMs = limits.reconnectFirstMs;
      this.#most = connectionsMax(this.#options);
      this.#listener.gained();
    });
    // An idle connection that the server ends; without a listener it would end the agent.
    pool.on("error", (error) => {
      const failure = ended(error);
      if (failure !== null) this.#listener.lost(failure);
    });
    return pool;
  }

  /** Whether there is a humbler way to try at once: without TLS where that is allowed, without startup parameters. */
  #stepDown(error: unknown): boolean {
    const refusedTls = errors.isTlsUnsupported(error) || errors.isHostEntryMissing(error);
    if (this.#options.sslmode === "prefer" && this.usesTls && refusedTls) {
      this.#link = { ...this.#link, tls: false };
    } else if (this.#link.startup && errors.isStartupParameterRefused(error)) {
      this.#link = { ...this.#link, startup: false };
    } else {
      return false;
    }
    void this.#dropPool();
    return true;
  }

  async #dropPool(end = (pool: Pool) => pool.end()): Promise<void> {
    const pool = this.#pool;
    this.#pool = null;
    if (pool !== null) await end(pool);
  }
}

/**
 * Takes documents in, each once, and answers when they are stored. Invariants:
 *
 * - One commit holds many documents; whoever waits for one is answered after it, and not before.
 * - An id that is under way is not taken a second time: whoever brings it again waits for the first.
 *
 * @module
 */

import { compress } from "../../transport/gzip.ts";
import { errorMessage } from "../../log.ts";
import { extract } from "./extract.ts";
import type { Extract } from "./extract_shapes.ts";
import * as limits from "./limits.ts";
import type { Delivered } from "./request.ts";
import type { WireDocument } from "./schemas.ts";
import type { Prepared, Store } from "./store.ts";

/** What the answer to a delivery says. */
export type Taken = "accepted" | "duplicate";

export interface IntakeOptions {
  store: Store;
  /** Called once for each new document, before it is stored; when it throws, the document is not taken. */
  onDocument: (document: WireDocument) => void | Promise<void>;
  /** Called after each commit. */
  onStored: (stored: readonly { agentId: number; type: string }[]) => void;
  /** Told what went wrong and lost nothing. */
  warn: (line: string) => void;
}

interface Waiting {
  prepared: Prepared;
  done: PromiseWithResolvers<void>;
}

/** Gathers documents and writes them together. */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #underWay = new Map<string, Promise<void>>();
  #waiting: Waiting[] = [];
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** Resolves when the document is stored. Throws when it could not be: it may come again. */
  async take(delivered: Delivered): Promise<Taken> {
    const { id } = delivered.document;
    const other = this.#underWay.get(id);
    if (other !== undefined) {
      await other;
      return "duplicate";
    }
    if (this.#options.store.has(id)) return "duplicate";
    const storing = this.#handle(delivered).finally(() => this.#underWay.delete(id));
    this.#underWay.set(id, storing);
    await storing;
    return "accepted";
  }

  /** Writes what is waiting. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const batch = this.#waiting;
    this.#waiting = [];
    if (batch.length === 0) return;
    try {
      const agents = this.#options.store.write(batch.map(({ prepared }) => prepared));
      for (const { done } of batch) done.resolve();
      this.#options.onStored(
        batch.map(({ prepared }, index) => ({ agentId: agents[index]!, type: prepared.document.type })),
      );
    } catch (error) {
      for (const { done } of batch) done.reject(error);
    }
  }

  async #handle({ document, json, gzip }: Delivered): Promise<void> {
    await this.#options.onDocument(document);
    const receivedMs = Date.now();
    // An agent's clock may run ahead; what is of tomorrow would hide all that comes until then.
    const atMs = Math.min(Date.parse(document.timestamp), receivedMs + limits.clockAheadMs);
    const body = gzip ?? await compress(json);
    const prepared = { document, body, bytes: json.length, atMs, receivedMs, extract: this.#extract(document, atMs) };
    const done = Promise.withResolvers<void>();
    this.#waiting.push({ prepared, done });
    if (this.#waiting.length >= limits.batchDocumentsMax) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), limits.batchDelayMs);
    await done.promise;
  }

  /** A document is stored whatever the page can make of it. */
  #extract(document: WireDocument, atMs: number): Extract {
    try {
      return extract(document, atMs);
    } catch (error) {
      this.#options.warn(`Cannot show document ${document.id} on the page: ${errorMessage(error)}`);
      return { figures: null, moments: [], sightings: [], statements: [], log: [], losses: [] };
    }
  }
}

/**
 * Lets parts of the demo wait for documents as they arrive.
 *
 * @module
 */

import type { WireDocument } from "../listener/schemas.ts";

interface Waiter {
  fits: (document: WireDocument) => boolean;
  found: (document: WireDocument) => void;
}

/** Hands each document to whoever waits for one. */
export class Arrivals {
  readonly #waiters = new Set<Waiter>();
  readonly #options: { signal: AbortSignal; patienceMs: number };

  constructor(options: { signal: AbortSignal; patienceMs: number }) {
    this.#options = options;
  }

  add(document: WireDocument): void {
    for (const waiter of this.#waiters) {
      if (!waiter.fits(document)) continue;
      this.#waiters.delete(waiter);
      waiter.found(document);
    }
  }

  /** Resolves with the next one that fits. Throws when none has come in time, or at the signal. */
  next(what: string, fits: (document: WireDocument) => boolean): Promise<WireDocument> {
    const { signal, patienceMs } = this.#options;
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(overdue);
        signal.removeEventListener("abort", onAbort);
        this.#waiters.delete(waiter);
      };
      const onAbort = () => (end(), reject(signal.reason));
      const overdue = setTimeout(() => {
        end();
        reject(new Error(`Waited ${patienceMs / 1_000} s in vain for ${what}`));
      }, patienceMs);
      const waiter = { fits, found: (document: WireDocument) => (end(), resolve(document)) };
      this.#waiters.add(waiter);
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
  }
}

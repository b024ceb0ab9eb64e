/**
 * How much memory all bodies together may take, from their first byte until their document is stored.
 *
 * @module
 */

import { Refusal } from "./refusal.ts";

/** Counts the bytes of all bodies that are under way. */
export class BodyBudget {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Opens one body's share; disposing of it gives all back. */
  open(): BodyShare {
    let taken = 0;
    return {
      grow: (bytes) => {
        if (this.#bytes + bytes > this.#bytesMax) {
          throw new Refusal(503, "Too much is under way: come again", { "retry-after": "1" });
        }
        this.#bytes += bytes;
        taken += bytes;
      },
      [Symbol.dispose]: () => {
        this.#bytes -= taken;
        taken = 0;
      },
    };
  }
}

/** What one body has taken. */
export interface BodyShare extends Disposable {
  /** Takes more. Throws a {@link Refusal} when there is no more. */
  grow(bytes: number): void;
}

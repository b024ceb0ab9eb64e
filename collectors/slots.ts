/**
 * A bounded number of places, given out in the order in which they were asked for.
 *
 * @module
 */

/** Places for those that share something scarce. Whoever has one gives it back. */
export class Slots {
  #limit: number;
  #taken = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Places in use. */
  get taken(): number {
    return this.#taken;
  }

  /** Resolves when a place is free. */
  async acquire(): Promise<void> {
    if (this.#taken < this.#limit && this.#waiting.length === 0) {
      this.#taken += 1;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Gives a place back. */
  release(): void {
    this.#taken -= 1;
    this.#handOut();
  }

  /** Changes how many there are; what has been taken beyond that is let finish. */
  resize(limit: number): void {
    this.#limit = limit;
    this.#handOut();
  }

  #handOut(): void {
    while (this.#taken < this.#limit) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#taken += 1;
      next();
    }
  }
}

/**
 * A set of numbers that mostly follow each other, kept as ranges: small however many they are.
 *
 * @module
 */

/** The set. */
export class NumberRanges {
  /** In order, never touching each other. */
  #ranges: { from: number; to: number }[] = [];

  get isEmpty(): boolean {
    return this.#ranges.length === 0;
  }

  /** How many numbers are in it. */
  get size(): number {
    return this.#ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  }

  has(number: number): boolean {
    return this.#ranges.some(({ from, to }) => from <= number && number <= to);
  }

  add(number: number): void {
    if (this.has(number)) return;
    const touching = this.#ranges.filter(({ from, to }) => from <= number + 1 && number - 1 <= to);
    const from = Math.min(number, ...touching.map((range) => range.from));
    const to = Math.max(number, ...touching.map((range) => range.to));
    const others = this.#ranges.filter((range) => !touching.includes(range));
    this.#ranges = [...others, { from, to }].sort((one, other) => one.from - other.from);
  }

  /** The lowest number from `number` on that is not in the set. */
  nextOutside(number: number): number {
    const range = this.#ranges.find(({ from, to }) => from <= number && number <= to);
    return range === undefined ? number : range.to + 1;
  }

  /** All of them, in order. */
  *numbers(): Generator<number> {
    for (const { from, to } of this.#ranges) for (let number = from; number <= to; number++) yield number;
  }

  clear(): void {
    this.#ranges = [];
  }
}

/**
 * Parameters of the API: what a page asks for, bounded. Anything else is a 400 that says what is allowed.
 *
 * @module
 */

import { Refusal } from "./refusal.ts";

/** Reads parameters by name. */
export interface Parameters {
  (name: string): string | undefined;
}

/** A whole number; `otherwise` when it is absent. Throws a {@link Refusal}. */
export function readInteger(
  read: Parameters,
  name: string,
  bounds: { min: number; max: number; otherwise?: number },
): number {
  const { min, max, otherwise } = bounds;
  const text = read(name);
  if (text === undefined || text === "") {
    if (otherwise !== undefined) return otherwise;
    throw new Refusal(400, `${name} is missing`);
  }
  const value = /^-?\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (!(value >= min && value <= max)) {
    throw new Refusal(400, `${name} must be a whole number from ${min} to ${max}: current value is ${text}`);
  }
  return value;
}

/** One of some words, the first when it is absent. Throws a {@link Refusal}. */
export function readWord<T extends string>(read: Parameters, name: string, words: readonly T[]): T {
  const text = read(name) ?? words[0];
  const word = words.find((one) => one === text);
  if (word === undefined) {
    throw new Refusal(400, `${name} must be one of ${words.join(", ")}: current value is ${text}`);
  }
  return word;
}

/** A text of a bounded length; empty when it is absent. Throws a {@link Refusal}. */
export function readText(read: Parameters, name: string, charsMax: number): string {
  const text = read(name) ?? "";
  if (text.length > charsMax) throw new Refusal(400, `${name} may have ${charsMax} characters`);
  return text;
}

const timeMax = 8.64e15;

/** `from` and `to` in milliseconds; the last hour when they are absent. Throws a {@link Refusal}. */
export function readSpan(read: Parameters, nowMs: number): { fromMs: number; toMs: number } {
  const toMs = readInteger(read, "to", { min: 0, max: timeMax, otherwise: nowMs });
  const fromMs = readInteger(read, "from", { min: 0, max: timeMax, otherwise: toMs - 3_600_000 });
  if (fromMs >= toMs) throw new Refusal(400, "from must be before to");
  return { fromMs, toMs };
}

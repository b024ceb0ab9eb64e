/**
 * What reading a figure ended with, and the two rules that all figures of the machine share: what cannot be read has a
 * reason, and what is counted by a device and by the one below it is counted once.
 *
 * @module
 */

import { errorMessage } from "../../log_interface.ts";

/** A value, or why there is none: one sentence that may be shown to anybody. */
export type Reading<T> = { kind: "read"; value: T } | { kind: "unavailable"; reason: string };

/** A reading that succeeded. */
export function read<T>(value: T): Reading<T> {
  return { kind: "read", value };
}

/** A reading that did not. */
export function unavailable(reason: string): { kind: "unavailable"; reason: string } {
  return { kind: "unavailable", reason };
}

/** Why `path` could not be read, from what was thrown by Deno's own API or by node's. */
export function failureReason(path: string, error: unknown): string {
  return `Cannot read ${path} because ${causeOf(error)}`;
}

/** Whether what was thrown says that there is nothing at that path. */
export function isNotFound(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || codeOf(error) === "ENOENT";
}

function causeOf(error: unknown): string {
  if (isNotFound(error)) return "it does not exist";
  if (error instanceof Deno.errors.NotCapable) return "the agent's permissions do not cover it";
  if (error instanceof Deno.errors.PermissionDenied || codeOf(error) === "EACCES") return "the system forbids it";
  return errorMessage(error);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** Not negative, of decimal digits, as the kernel prints its counters (64 bits are 20 digits); else null. */
function parseCounter(text: string | undefined): bigint | null {
  return text !== undefined && /^\d{1,20}$/.test(text) ? BigInt(text) : null;
}

/** Several counters of one line; null when one of them is missing or no number. */
export function parseCounters(columns: readonly string[], positions: readonly number[]): bigint[] | null {
  const counters = positions.map((position) => parseCounter(columns[position]));
  return counters.some((counter) => counter === null) ? null : counters as bigint[];
}

/**
 * Adds counters of several devices, position by position. Beyond 2^53 the sum becomes the nearest number that JSON
 * carries: off by some bytes in nine million gigabytes.
 */
export function addCounters(devices: readonly { counters: readonly bigint[] }[]): number[] {
  const sums: bigint[] = [];
  for (const { counters } of devices) {
    for (const [position, counter] of counters.entries()) sums[position] = (sums[position] ?? 0n) + counter;
  }
  return sums.map(Number);
}

/**
 * Where a device stands: on its `own`; built `upon` others, whose traffic passes through them as well; or of no
 * interest, because its bytes never leave the machine or are always counted elsewhere (`never`).
 */
export type Layer = "own" | "upon" | "never";

/** What is asked of devices to count each byte once. */
export interface Layered {
  counters: readonly bigint[];
  layer: Layer;
}

/**
 * The devices to add up, so that each byte is counted once: those on their own. Where none of these is in sight or all
 * of them stand still while one above them moves, as in a container that is shown a part of the machine, the one above
 * counts; of several it cannot be told whether one is built upon the other, and nothing is counted.
 */
export function countedOnce<T extends Layered>(
  devices: readonly T[],
  list: { path: string; of: string },
): Reading<T[]> {
  const own = devices.filter(({ layer }) => layer === "own");
  const upon = devices.filter(({ layer, counters }) => layer === "upon" && isUsed(counters));
  if (own.some(({ counters }) => isUsed(counters)) || (own.length > 0 && upon.length === 0)) return read(own);
  if (upon.length === 1) return read(upon);
  const what = upon.length === 0
    ? `lists no ${list.of}`
    : `lists several of a kind that is built upon another ${list.of}, which may count the same bytes`;
  return unavailable(`Cannot use ${list.path} because it ${what}`);
}

/** Whether anything has ever been counted. */
export function isUsed(counters: readonly bigint[]): boolean {
  return counters.some((counter) => counter > 0n);
}

/** Two decimals: what a percentage and a load average are worth. */
export function round(value: number): number {
  return Math.round(value * 100) / 100;
}

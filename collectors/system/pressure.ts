/**
 * How much of the time tasks stood still for want of CPU, memory or I/O: the kernel's pressure stall information (PSI,
 * Documentation/accounting/psi.rst), the only files of /proc that Deno opens to a process without all permissions.
 *
 * @module
 */

import { failureReason, isNotFound, read, type Reading, unavailable } from "./reading.ts";

/** What tasks wait for. */
export const pressureResources = ["cpu", "memory", "io"] as const;
/** One of {@link pressureResources}. */
export type PressureResource = (typeof pressureResources)[number];

/** Shares of the last 10, 60 and 300 seconds in percent, and microseconds since boot. */
export interface Stall {
  avg10: number;
  avg60: number;
  avg300: number;
  total: number;
}

/** At least one task waited (`some`); all that were not idle did (`full`). */
export interface Pressure {
  some: Stall;
  /** Null for the CPU before Linux 5.13. */
  full: Stall | null;
}

/** The file of one resource. All of them are among what the agent may read. */
export function pressurePath(resource: PressureResource): string {
  return `/proc/pressure/${resource}`;
}

/** Reads a text of such a file. */
export function readPressure(text: string, path: string): Reading<Pressure> {
  const stalls = new Map<string, Stall>();
  for (const line of text.split("\n")) {
    const match = /^(some|full) avg10=(\d+\.\d+) avg60=(\d+\.\d+) avg300=(\d+\.\d+) total=(\d{1,20})$/.exec(
      line.trim(),
    );
    if (match === null) continue;
    const [avg10, avg60, avg300, total] = match.slice(2).map(Number) as [number, number, number, number];
    stalls.set(match[1]!, { avg10, avg60, avg300, total });
  }
  const some = stalls.get("some");
  if (some === undefined) return unavailable(`Cannot use ${path} because it is not in the form of pressure stalls`);
  return read({ some, full: stalls.get("full") ?? null });
}

/** Why there is no such file, or why it cannot be opened. */
export function pressureFailure(path: string, error: unknown): string {
  if (isNotFound(error)) {
    return `Cannot read ${path} because this kernel has no pressure stall information, or hides it`;
  }
  const isOff = /\bEOPNOTSUPP\b|not supported|os error 95/i.test(String(error));
  if (isOff) return `Cannot read ${path} because pressure stall information is off: boot the kernel with psi=1`;
  return failureReason(path, error);
}

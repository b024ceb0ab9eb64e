/// <reference lib="dom" />
/**
 * One colour a kind of wait, the same in every view: a reader who has learnt that red is a lock reads it everywhere.
 *
 * @module
 */

/** Hue, saturation and lightness, for light and dark grounds alike. @type {Record<string, [number, number, number]>} */
const kinds = {
  CPU: [150, 45, 46],
  IO: [212, 62, 56],
  Lock: [4, 70, 56],
  LWLock: [330, 45, 52],
  BufferPin: [182, 48, 42],
  Client: [215, 10, 62],
  IPC: [264, 48, 62],
  Timeout: [46, 70, 48],
  Extension: [80, 35, 44],
  Activity: [215, 10, 70],
  InjectionPoint: [300, 20, 50],
};

/** Idle in a transaction: no work, and a danger. */
export const idleColor = "hsl(30 78% 54%)";

/** What each kind of wait means, for those who meet it here first. @type {Record<string, string>} */
export const meanings = {
  CPU: "running: it waits for nothing",
  IO: "reading or writing files",
  Lock: "waiting for a lock that another session holds",
  LWLock: "waiting for a short internal lock of the server",
  BufferPin: "waiting for a page that another session is using",
  Client: "waiting for the application to send or take data",
  IPC: "waiting for another process of the server",
  Timeout: "sleeping, by pg_sleep or a delay of its own",
  Extension: "waiting inside an extension",
};

/** @param {string} event such as "Lock:tuple" or "CPU" */
export function kindOf(event) {
  return event.split(":")[0] ?? event;
}

/**
 * @param {string} event such as "Lock:tuple" or "CPU"
 * @param {number} [place] among the events of its kind: each next is lighter
 */
export function waitColor(event, place = 0) {
  const [hue, saturation, lightness] = kinds[kindOf(event)] ?? [0, 0, 55];
  return `hsl(${hue} ${saturation}% ${Math.min(82, lightness + place * 11)}%)`;
}

/** Of a log entry's level. @type {Record<string, string>} */
export const levelColors = {
  WARNING: "hsl(42 85% 48%)",
  ERROR: "hsl(4 70% 54%)",
  FATAL: "hsl(330 60% 45%)",
  PANIC: "hsl(290 60% 40%)",
};

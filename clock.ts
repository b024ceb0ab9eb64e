/**
 * Time and randomness, passed to whoever needs them so that tests own them. Wall time goes into records; the monotonic
 * clock measures and waits, and so does not jump when somebody sets the machine's clock.
 *
 * @module
 */

/** What the agent knows of time. */
export interface Clock {
  /** Wall time. */
  now(): Date;
  /** Milliseconds on a clock that never goes back; only differences mean anything. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once when the signal is aborted: whoever waits looks at the signal again. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep: sleepOnTimer,
};

/** A number in [0, 1), not for secrets. */
export function random(): number {
  return Math.random();
}

const randomBytes = new Uint8Array(256);
let randomUsed = randomBytes.length;

/**
 * One of 256 numbers in [0, 1), of the system's randomness, for ids. Asked for in advance: an id has sixteen of them, and
 * each question takes some microseconds.
 */
export function systemRandom(): number {
  if (randomUsed === randomBytes.length) {
    crypto.getRandomValues(randomBytes);
    randomUsed = 0;
  }
  return randomBytes[randomUsed++]! / 256;
}

function sleepOnTimer(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end, { once: true });
    function end() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    }
  });
}

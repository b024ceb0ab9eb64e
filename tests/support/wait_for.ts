/**
 * Waiting for what a test expects, instead of sleeping and hoping.
 *
 * @module
 */

const pollMs = 10;
/** Far beyond what any machine needs: only a test that fails waits for so long. */
const defaultBoundMs = 30_000;

/** Resolves to the first value of `probe` that is neither null, undefined nor false; throws, naming `what`, at the bound. */
export async function waitFor<T>(
  what: string,
  probe: () => T | Promise<T>,
  options: { boundMs?: number } = {},
): Promise<Exclude<T, null | undefined | false>> {
  const { boundMs = defaultBoundMs } = options;
  const deadlineMs = performance.now() + boundMs;
  for (;;) {
    const value = await probe();
    if (value !== null && value !== undefined && value !== false) {
      return value as Exclude<T, null | undefined | false>;
    }
    if (performance.now() > deadlineMs) throw new Error(`Waited ${boundMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

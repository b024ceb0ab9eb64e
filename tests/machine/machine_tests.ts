/**
 * The tests of one file on one machine: in their order, left out by name where none can be booted, and with one end.
 *
 * @module
 */

import { missing } from "./image.ts";

const lack = await missing();

/**
 * Has `setUp` run before the first test, if there is one to run; what it puts on the stack ends behind the last. Returns
 * what declares a test; `subject` begins its name.
 */
export function machineTests(
  subject: string,
  setUp: (ends: AsyncDisposableStack) => Promise<void>,
): (name: string, body: () => Promise<void>) => void {
  const ends = new AsyncDisposableStack();
  Deno.test.beforeAll(async () => {
    if (lack === null) await setUp(ends);
  });
  Deno.test.afterAll(() => ends.disposeAsync());
  const needs = lack === null ? "" : ` (needs ${lack})`;
  return (name, fn) => Deno.test({ name: `${subject}${name}${needs}`, ignore: lack !== null, fn });
}

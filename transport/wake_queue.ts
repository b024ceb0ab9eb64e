/**
 * Wake-ups for whoever drains the outbox, in a queue of Deno KV.
 *
 * The queue has a database of its own, in memory: the thread that serves a queue ends the whole process when a disk is
 * full or a page of the file is damaged (seen with Deno 2.9.6), and a wake-up that is lost with the process is not
 * missed, because every start drains.
 *
 * Invariants:
 *
 * - a message carries nothing; whoever hears it looks for itself;
 * - at most one is on its way: another would say the same;
 * - each takes a while, so that the documents of a cycle come to one: a message is half a millisecond of CPU. Who stores
 *   documents in this process tells the sender beside it, at once.
 *
 * @module
 */

import * as limits from "../limits.ts";

/** A queue that says "look again". */
export class WakeQueue {
  readonly #kv: Deno.Kv;
  readonly #delayMs: number;
  #isQueued = false;

  private constructor(kv: Deno.Kv, delayMs: number) {
    this.#kv = kv;
    this.#delayMs = delayMs;
  }

  /** Opens an empty queue. Close it. */
  static async open({ delayMs = limits.wakeDelayMs } = {}): Promise<WakeQueue> {
    return new WakeQueue(await Deno.openKv(":memory:"), delayMs);
  }

  /** Has `listen`'s handler called soon. */
  wake(): void {
    if (this.#isQueued) return;
    this.#isQueued = true;
    // Fails only when the queue has been closed meanwhile; then nobody listens.
    this.#kv.enqueue({ wake: true }, { ...deliveredOnce, delay: this.#delayMs }).catch(() => undefined);
  }

  /** Calls `handle` for wake-ups, once for those that come together; resolves when the queue is closed. */
  listen(handle: () => void): Promise<void> {
    return this.#kv.listenQueue(() => {
      // Before the call: what happens during it is worth another look.
      this.#isQueued = false;
      handle();
    });
  }

  close(): void {
    this.#kv.close();
  }
}

/** Or not at all. */
const deliveredOnce = { backoffSchedule: [], keysIfUndelivered: [] };

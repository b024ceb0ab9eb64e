/**
 * The demo's listener: the reference listener at an address that stays while it goes away and comes back.
 *
 * @module
 */

import { type Listener, type ListenerOptions, startListener, startStandIn } from "../listener/listener.ts";

/** Says when to come again, as a proxy does whose service is being restarted. */
const retryAfterS = 5;

/** A listener that can be away. Disposing of it stops whatever is there. */
export class DemoListener implements AsyncDisposable {
  readonly #options: ListenerOptions;
  #listener: Listener;
  #standIn: AsyncDisposable | null = null;

  /** Starts the listener, at a free port. */
  constructor(options: ListenerOptions & { dataFolder: string }) {
    this.#listener = startListener(options);
    this.#options = { ...options, port: this.#listener.port };
  }

  /** The listener that is there, or was last. */
  get current(): Listener {
    return this.#listener;
  }

  /** Stops the listener; at its address somebody asks to come again. Calls back for each delivery that does. */
  async away(onRefused: () => void): Promise<void> {
    const { port } = this.#listener;
    await this.#listener.shutdown();
    this.#standIn = startStandIn({ port, retryAfterS, onRequest: onRefused });
  }

  /** Starts it again, at the same address, with all that it had stored. */
  async back(): Promise<void> {
    await this.#standIn?.[Symbol.asyncDispose]();
    this.#standIn = null;
    this.#listener = startListener(this.#options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#standIn?.[Symbol.asyncDispose]();
    await this.#listener.shutdown();
  }
}

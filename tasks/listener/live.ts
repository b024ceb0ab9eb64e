/**
 * Tells pages what has arrived: which agents have sent which types, gathered over a moment. Pages then ask for what they
 * show; no document goes this way.
 *
 * @module
 */

import * as limits from "./limits.ts";

/** What has arrived, by agent. */
export type News = Record<number, string[]>;

/** Sends news to everybody who listens. */
export class Live {
  readonly #listeners = new Set<(news: News) => void>();
  readonly #everyMs: number;
  #news = new Map<number, Set<string>>();
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(everyMs = limits.liveEveryMs) {
    this.#everyMs = everyMs;
  }

  /** Listens until the function that it answers with is called. Null when there are too many already. */
  listen(listener: (news: News) => void): (() => void) | null {
    if (this.#listeners.size >= limits.livePagesMax) return null;
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  add(stored: readonly { agentId: number; type: string }[]): void {
    if (this.#listeners.size === 0) return;
    for (const { agentId, type } of stored) {
      const types = this.#news.get(agentId) ?? new Set();
      this.#news.set(agentId, types.add(type));
    }
    this.#timer ??= setTimeout(() => this.#tell(), this.#everyMs);
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#listeners.clear();
  }

  #tell(): void {
    this.#timer = null;
    const news = Object.fromEntries([...this.#news].map(([agentId, types]) => [agentId, [...types]]));
    this.#news = new Map();
    for (const listener of this.#listeners) listener(news);
  }
}

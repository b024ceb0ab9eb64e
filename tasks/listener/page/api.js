/// <reference lib="dom" />
/**
 * Asks the listener, and hears from it what has arrived.
 *
 * @module
 */

/**
 * @template T
 * @param {string} path below /api/
 * @param {AbortSignal} signal
 * @param {Record<string, string | number | null | undefined>} [parameters]
 * @returns {Promise<T>}
 */
export async function ask(path, signal, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  const answer = await fetch(`/api/${path}?${query}`, { signal, headers: { accept: "application/json" } });
  const body = await answer.json();
  if (!answer.ok) throw new ApiError(answer.status, String(body.reason ?? answer.statusText));
  return body;
}

/** The listener's answer when it is no success. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} reason
   */
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

/**
 * Calls back when documents have arrived, and when the connection comes and goes. The browser connects again by itself.
 *
 * @param {{ onNews: (news: Record<string, string[]>) => void, onState: (connected: boolean) => void }} callbacks
 */
export function listen({ onNews, onState }) {
  const source = new EventSource("/api/live");
  source.addEventListener("hello", () => onState(true));
  source.addEventListener("documents", (event) => onNews(JSON.parse(event.data)));
  source.addEventListener("error", () => {
    onState(false);
    // After an answer that is no stream, a browser gives up.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => listen({ onNews, onState }), 5_000);
  });
}

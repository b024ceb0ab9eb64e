/**
 * Documents over HTTP: one POST a document, over one kept connection. The only user of `fetch`.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import { errorMessage } from "../log.ts";
import type { Delivery, Outcome } from "./delivery.ts";
import { decompress } from "./gzip.ts";
import type { OutboxEntry } from "./outbox.ts";

/** Where documents go, and how. */
export interface HttpDeliveryOptions {
  url: URL;
  /** The Bearer token. It goes into the one header and nowhere else. */
  apiKey: string;
  /** For the whole exchange: connecting, sending, the answer. */
  timeoutMs: number;
  /** Whether to send documents as they are stored (gzip), which the listener must take. */
  compression: "none" | "gzip";
  /** PEM certificates to trust beside the well-known ones. */
  caCertificates: string[];
  userAgent: string;
  clock: Pick<Clock, "now">;
}

/** Makes a way to the listener. Close it. */
export function createHttpDelivery(options: HttpDeliveryOptions): Delivery {
  const client = Deno.createHttpClient({
    caCerts: options.caCertificates,
    poolMaxIdlePerHost: 1,
    poolIdleTimeout: limits.listenerIdleMs,
  });
  return {
    send: (entry, signal) => send(entry, { ...options, client, signal }),
    close: () => client.close(),
  };
}

async function send(
  entry: OutboxEntry,
  options: HttpDeliveryOptions & { client: Deno.HttpClient; signal: AbortSignal },
): Promise<Outcome> {
  try {
    const request = await createRequest(entry, options);
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs)]);
    // A redirect is not followed: it would carry the key to a place that nobody configured.
    const response = await fetch(options.url, { ...request, client: options.client, redirect: "manual", signal });
    const outcome = readAnswer(response, options.clock.now());
    await finishBody(response);
    return outcome;
  } catch (error) {
    return { kind: "retry", reason: reasonOf(error, options), status: null, retryAfterMs: null };
  }
}

async function createRequest(entry: OutboxEntry, options: HttpDeliveryOptions): Promise<RequestInit> {
  const headers = new Headers({
    "authorization": `Bearer ${options.apiKey}`,
    "content-type": "application/json",
    "idempotency-key": entry.id,
    "user-agent": options.userAgent,
  });
  if (options.compression === "none") {
    return { method: "POST", headers, body: await decompress(entry.gzip, limits.documentBytesMax) };
  }
  headers.set("content-encoding", "gzip");
  return { method: "POST", headers, body: entry.gzip };
}

function readAnswer(response: Response, now: Date): Outcome {
  const { status } = response;
  if (status >= 200 && status < 300) return { kind: "delivered" };
  const reason = status >= 300 && status < 400
    ? `The listener answered ${status}, a redirect, which is not followed: set listener.url to the final address`
    : `The listener answered ${status}`;
  if (status >= 400 && status < 500 && !retriedClientErrors.has(status)) return { kind: "rejected", reason, status };
  return { kind: "retry", reason, status, retryAfterMs: parseRetryAfter(response.headers.get("retry-after"), now) };
}

/** Of the 4xx, those that say nothing against the document itself. */
const retriedClientErrors: ReadonlySet<number> = new Set([401, 403, 408, 425, 429]);

/** Milliseconds to wait; null without the header or with a wrong one. Seconds or an HTTP date (RFC 9110, 10.2.3). */
export function parseRetryAfter(value: string | null, now: Date): number | null {
  if (value === null) return null;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1_000 : Date.parse(value) - now.getTime();
  if (!Number.isFinite(ms)) return null;
  return Math.min(Math.max(ms, 0), limits.retryAfterMaxMs);
}

/**
 * Reads what is left of the answer, so that the connection can be used again. The status has been read: whatever
 * happens to the body changes nothing about the outcome, or a listener with a wrong length would get the same
 * document for ever.
 */
async function finishBody(response: Response): Promise<void> {
  try {
    const reader = response.body?.getReader();
    for (let bytes = 0; reader !== undefined;) {
      const { done, value } = await reader.read();
      if (done) return;
      bytes += value.length;
      if (bytes > limits.answerBytesMax) return await reader.cancel();
    }
  } catch {
    // The connection is gone, or the time is up.
  }
}

/** What went wrong, in words that name the listener's host and never the key. */
function reasonOf(error: unknown, options: HttpDeliveryOptions): string {
  const { host } = options.url;
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return `No answer from ${host} within ${options.timeoutMs} ms`;
  }
  return `Cannot reach ${host}: ${errorMessage(error)}`.replaceAll(options.apiKey, "[secret]");
}

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
import { readTlsProblem } from "./tls_errors.ts";

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
  let body: Uint8Array<ArrayBuffer>;
  try {
    body = options.compression === "gzip"
      ? entry.gzip
      : entry.json ?? await decompress(entry.gzip, limits.documentBytesMax);
  } catch (error) {
    // Trying again would hold up all that is behind it for ever.
    return { kind: "rejected", reason: `Cannot decompress the document: ${errorMessage(error)}`, status: null };
  }
  using cut = new Cut(options.signal, options.timeoutMs);
  try {
    const { client, url: { href } } = options;
    const request = { method: "POST", headers: createHeaders(entry, options), body, client, signal: cut.signal };
    // A redirect is not followed: it would carry the key to a place that nobody configured.
    const response = await fetch(href, { ...request, redirect: "manual" });
    const outcome = readAnswer(response, options.clock.now());
    await finishBody(response, cut);
    return outcome;
  } catch (error) {
    return readFailure(error, options);
  }
}

/** What a listener said to a request without a document, or why it said nothing. */
export type ListenerAnswer =
  | {
    kind: "answer";
    status: number;
    /** Of its `Date` header; null without one. */
    date: Date | null;
    /** Where a redirect leads. */
    location: string | null;
  }
  /** `hint`: what to do about a certificate. */
  | { kind: "none"; reason: string; hint: string | null };

/** Asks as documents do, with the key and without a body: there is nothing that a listener could take. Never throws. */
export async function probeListener(options: HttpDeliveryOptions, stop: AbortSignal): Promise<ListenerAnswer> {
  using client = Deno.createHttpClient({ caCerts: options.caCertificates });
  const headers = { "authorization": `Bearer ${options.apiKey}`, "user-agent": options.userAgent };
  using cut = new Cut(stop, options.timeoutMs);
  try {
    const request = { method: "POST", headers, client, signal: cut.signal };
    const response = await fetch(options.url, { ...request, redirect: "manual" });
    await finishBody(response, cut);
    const date = dateOf(response);
    const location = response.headers.get("location");
    return { kind: "answer", status: response.status, date, location };
  } catch (error) {
    const { reason, refused } = readFailure(error, options);
    return { kind: "none", reason, hint: refused?.hint ?? null };
  }
}

function createHeaders(entry: OutboxEntry, options: HttpDeliveryOptions): Record<string, string> {
  return {
    "authorization": `Bearer ${options.apiKey}`,
    "content-type": "application/json",
    "idempotency-key": entry.id,
    "user-agent": options.userAgent,
    ...(options.compression === "gzip" ? { "content-encoding": "gzip" } : {}),
  };
}

/**
 * Cuts a request off: when the caller says so, or after a time, which can be set anew. One signal and one timer that ends
 * with the request, where `AbortSignal.any` and `timeout` make three signals, and a timer that wakes an idle process later.
 */
class Cut implements Disposable {
  readonly #controller = new AbortController();
  readonly #stop: AbortSignal;
  readonly #onStop = () => this.#controller.abort(this.#stop.reason);
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(stop: AbortSignal, timeoutMs: number) {
    this.#stop = stop;
    if (stop.aborted) this.#onStop();
    stop.addEventListener("abort", this.#onStop);
    this.within(timeoutMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** From now on, in place of the time that was set before. */
  within(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(timeIsUp), ms);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#stop.removeEventListener("abort", this.#onStop);
  }
}

const timeIsUp = new DOMException("The time is up", "TimeoutError");

function readAnswer(response: Response, now: Date): Outcome {
  const { status } = response;
  if (status >= 200 && status < 300) return { kind: "delivered" };
  const reason = status >= 300 && status < 400
    ? `The listener answered ${status}, a redirect, which is not followed: set listener.url to the final address`
    : `The listener answered ${status}`;
  if (status >= 400 && status < 500 && !retriedClientErrors.has(status)) return { kind: "rejected", reason, status };
  const retryAfterMs = parseRetryAfter(response.headers.get("retry-after"), dateOf(response) ?? now);
  const refused = status === 401 || status === 403 ? { what: "key", hint: keyHint } as const : null;
  return { kind: "retry", reason, status, retryAfterMs, refused };
}

const keyHint = "Check listener.api_key and project_id";

/** The listener's own clock: what it says of a date does not depend on whether ours is right. */
function dateOf({ headers }: Response): Date | null {
  const ms = parseHttpDate(headers.get("date") ?? "");
  return ms === null ? null : new Date(ms);
}

/** Of the 4xx, those that say nothing against the document itself. */
const retriedClientErrors: ReadonlySet<number> = new Set([401, 403, 408, 425, 429]);

/** Milliseconds to wait; null without the header or with a wrong one. Seconds or an HTTP date (RFC 9110, 10.2.3). */
export function parseRetryAfter(value: string | null, now: Date): number | null {
  if (value === null) return null;
  const dateMs = parseHttpDate(value);
  if (dateMs === null && !/^\d+$/.test(value.trim())) return null;
  const ms = dateMs === null ? Number(value) * 1_000 : dateMs - now.getTime();
  return Math.min(Math.max(ms, 0), limits.retryAfterMaxMs);
}

/** Milliseconds since 1970. The name of a day comes first: `Date.parse` itself takes "-5" for a date. */
function parseHttpDate(text: string): number | null {
  const ms = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? null : ms;
}

/**
 * Reads what is left of the answer, so that the connection can be used again; of a body that is long or slow it reads
 * no more and has the connection dropped. The status has been read: whatever happens to the body changes nothing about
 * the outcome, or a listener with a wrong length would get the same document for ever.
 */
async function finishBody(response: Response, cut: Cut): Promise<void> {
  const { body, headers } = response;
  const bytes = Number(headers.get("content-length") ?? Number.NaN);
  try {
    if (bytes === 0) return await body?.cancel();
    cut.within(limits.answerBodyMs);
    // A length is of what was sent: Deno unpacks an answer that is compressed, and a few bytes may become gigabytes.
    if (bytes <= limits.answerBytesMax && !headers.has("content-encoding")) await response.bytes();
    else await readSome(body);
  } catch {
    // The connection is gone, or the time is up.
  }
}

/** Of a body whose length is not known, or that is long. */
async function readSome(body: ReadableStream<Uint8Array> | null): Promise<void> {
  let bytes = 0;
  for await (const part of body ?? []) {
    bytes += part.length;
    if (bytes > limits.answerBytesMax) return;
  }
}

/** What went wrong, in words that name the listener's host and never the key, nor a query that may hold another. */
function readFailure(error: unknown, options: HttpDeliveryOptions): Outcome & { kind: "retry" } {
  const { host, href, origin, pathname } = options.url;
  const failure = { kind: "retry", status: null, retryAfterMs: null } as const;
  if (error === timeIsUp) {
    return { ...failure, reason: `No answer from ${host} within ${options.timeoutMs} ms`, refused: null };
  }
  const message = errorMessage(error).replaceAll(href, origin + pathname);
  const tls = readTlsProblem(message, host);
  const reason = (tls?.reason ?? `Cannot reach ${host}: ${message}`).replaceAll(options.apiKey, "[secret]");
  return { ...failure, reason, refused: tls?.isCertificate ? { what: "certificate", hint: tls.hint } : null };
}

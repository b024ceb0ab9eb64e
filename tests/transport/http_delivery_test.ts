/**
 * The delivery against a real HTTP server: what is sent, and how every kind of answer is read.
 *
 * @module
 */

import assert from "node:assert/strict";
import { systemClock } from "../../clock.ts";
import * as limits from "../../limits.ts";
import type { Delivery, Outcome } from "../../transport/delivery.ts";
import { compress } from "../../transport/gzip.ts";
import { createHttpDelivery, type HttpDeliveryOptions, parseRetryAfter } from "../../transport/http_delivery.ts";
import type { OutboxEntry } from "../../transport/outbox.ts";
import { draftOf, testSeal } from "../support/drafts.ts";
import { ScriptedListener } from "../support/scripted_listener.ts";

const apiKey = "sesame-9f2c";

async function entryOf(name: string, bytes = 0): Promise<OutboxEntry> {
  const { json, ...identity } = testSeal()(draftOf(name, bytes), 1);
  return { ...identity, gzip: await compress(json) };
}

function deliveryTo(url: URL, options: Partial<HttpDeliveryOptions> = {}): Delivery {
  const defaults = { timeoutMs: 5_000, compression: "none" as const, caCertificates: [], userAgent: "tests" };
  return createHttpDelivery({ ...defaults, url, apiKey, clock: systemClock, ...options });
}

async function sendOnce(url: URL, options: Partial<HttpDeliveryOptions> = {}): Promise<Outcome> {
  const delivery = deliveryTo(url, options);
  try {
    return await delivery.send(await entryOf("one"), new AbortController().signal);
  } finally {
    delivery.close();
  }
}

Deno.test("createHttpDelivery posts the document as stored, with the key, its id and its type", async () => {
  await using listener = new ScriptedListener();
  const delivery = deliveryTo(listener.url);
  const entry = await entryOf("one");
  assert.deepEqual(await delivery.send(entry, new AbortController().signal), { kind: "delivered" });
  delivery.close();
  const [received] = listener.received;
  assert.equal(received?.headers.get("authorization"), `Bearer ${apiKey}`);
  assert.equal(received?.headers.get("content-type"), "application/json");
  assert.equal(received?.headers.get("idempotency-key"), entry.id);
  assert.equal(received?.document.id, entry.id);
  assert.equal(received?.document.data.name, "one");
});

Deno.test("createHttpDelivery compresses only where it was told to", async () => {
  await using listener = new ScriptedListener();
  for (const compression of ["none", "gzip"] as const) await sendOnce(listener.url, { compression });
  const encodings = listener.received.map(({ headers }) => headers.get("content-encoding"));
  assert.deepEqual(encodings, [null, "gzip"]);
  assert.deepEqual(listener.received[0]?.document.data, listener.received[1]?.document.data);
});

Deno.test("createHttpDelivery sends the JSON that comes with a document, and unpacks it only without", async () => {
  await using listener = new ScriptedListener();
  const delivery = deliveryTo(listener.url);
  const { gzip: _, ...identity } = await entryOf("one");
  const json = new TextEncoder().encode(JSON.stringify({ ...identity, data: { name: "at hand" } }));
  const entry = { ...identity, json, gzip: new Uint8Array(1) };
  assert.deepEqual(await delivery.send(entry, new AbortController().signal), { kind: "delivered" });
  delivery.close();
  assert.equal(listener.received[0]?.document.data.name, "at hand");
});

Deno.test("createHttpDelivery rejects a document that cannot be decompressed, and does not send it", async () => {
  await using listener = new ScriptedListener();
  const delivery = deliveryTo(listener.url);
  const entry = await entryOf("one");
  entry.gzip.fill(0, 10);
  const outcome = await delivery.send(entry, new AbortController().signal);
  delivery.close();
  assert(outcome.kind === "rejected" && outcome.status === null);
  assert.match(outcome.reason, /^Cannot decompress the document: /);
  assert.equal(listener.received.length, 0);
});

Deno.test("createHttpDelivery keeps one connection for request after request", async () => {
  await using listener = new ScriptedListener();
  const delivery = deliveryTo(listener.url);
  const answers = [null, "{}", "x".repeat(limits.answerBytesMax), "stream"];
  for (const answer of [...answers, ...answers]) {
    listener.script(() => new Response(answer === "stream" ? new Blob([answer]).stream() : answer));
    const outcome = await delivery.send(await entryOf("one"), new AbortController().signal);
    assert.deepEqual(outcome, { kind: "delivered" });
  }
  delivery.close();
  assert.equal(listener.received.length, 8);
  assert.equal(new Set(listener.received.map(({ clientPort }) => clientPort)).size, 1);
});

Deno.test("createHttpDelivery waits for a body that stops short of its length no longer than for others", async () => {
  using socket = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const done = Promise.withResolvers<void>();
  const answering = (async () => {
    using connection = await socket.accept();
    await connection.read(new Uint8Array(10_000));
    await connection.write(new TextEncoder().encode("HTTP/1.1 202 Accepted\r\ncontent-length: 100\r\n\r\nshort"));
    await done.promise;
  })();
  const outcome = await sendOnce(new URL(`http://127.0.0.1:${socket.addr.port}/`), { timeoutMs: 600_000 });
  done.resolve();
  await answering;
  assert.deepEqual(outcome, { kind: "delivered" });
});

const readings: Record<Outcome["kind"], number[]> = {
  delivered: [200, 201, 202, 204],
  retry: [301, 302, 307, 401, 403, 408, 425, 429, 500, 502, 503, 504],
  rejected: [400, 404, 405, 409, 410, 413, 415, 422, 451],
};

for (const [kind, statuses] of Object.entries(readings)) {
  Deno.test(`createHttpDelivery reads ${statuses.join(", ")} as ${kind}`, async () => {
    await using listener = new ScriptedListener();
    for (const status of statuses) {
      listener.script(() => new Response(null, { status, headers: { location: listener.url.href } }));
      const outcome = await sendOnce(listener.url);
      assert.equal(outcome.kind, kind, `${status}`);
      if (outcome.kind !== "delivered") assert.equal(outcome.status, status);
    }
    assert.equal(listener.received.length, statuses.length, "a redirect is not followed");
  });
}

Deno.test("createHttpDelivery takes a refused connection for a reason to retry that names the host", async () => {
  const listener = new ScriptedListener();
  await listener.close();
  const outcome = await sendOnce(listener.url);
  assert(outcome.kind === "retry");
  assert.equal(outcome.status, null);
  assert.match(outcome.reason, new RegExp(`127\\.0\\.0\\.1:${listener.port}`));
  assert.match(outcome.reason, /refused/i);
});

Deno.test("createHttpDelivery gives up on a listener that does not answer within the time", async () => {
  await using listener = new ScriptedListener();
  const never = Promise.withResolvers<Response>();
  listener.script(() => never.promise);
  const outcome = await sendOnce(listener.url, { timeoutMs: 100 });
  never.resolve(new Response());
  assert(outcome.kind === "retry");
  assert.match(outcome.reason, /No answer from .* within 100 ms/);
});

Deno.test("createHttpDelivery retries when the listener closes before it has answered", async () => {
  using socket = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const closing = (async () => {
    for await (const connection of socket) {
      await connection.read(new Uint8Array(1_000));
      connection.close();
      return;
    }
  })();
  const outcome = await sendOnce(new URL(`http://127.0.0.1:${socket.addr.port}/`));
  await closing;
  assert.equal(outcome.kind, "retry");
});

Deno.test("createHttpDelivery believes a 2xx whose body breaks off or never ends", async () => {
  await using listener = new ScriptedListener();
  listener.script(
    () => new Response(new ReadableStream({ start: (controller) => controller.error(new Error("broken")) })),
    () => new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(10_000)) })),
  );
  assert.deepEqual(await sendOnce(listener.url), { kind: "delivered" });
  assert.deepEqual(await sendOnce(listener.url), { kind: "delivered" });
});

Deno.test("createHttpDelivery stops at the signal", async () => {
  await using listener = new ScriptedListener();
  const never = Promise.withResolvers<Response>();
  const arrived = Promise.withResolvers<void>();
  listener.script(() => {
    arrived.resolve();
    return never.promise;
  });
  const delivery = deliveryTo(listener.url);
  const abort = new AbortController();
  const sending = delivery.send(await entryOf("one"), abort.signal);
  await arrived.promise;
  abort.abort();
  assert.equal((await sending).kind, "retry");
  never.resolve(new Response());
  delivery.close();
});

Deno.test("createHttpDelivery sends nothing once the signal is aborted", async () => {
  await using listener = new ScriptedListener();
  const delivery = deliveryTo(listener.url);
  const outcome = await delivery.send(await entryOf("one"), AbortSignal.abort());
  delivery.close();
  assert.equal(outcome.kind, "retry");
  assert.equal(listener.received.length, 0);
});

Deno.test({
  name: "createHttpDelivery leaves no timer behind, and nothing on a signal that outlives its requests",
  sanitizeOps: true,
  async fn() {
    await using listener = new ScriptedListener();
    const signal = new CountingSignal();
    const delivery = deliveryTo(listener.url);
    listener.script(202, 503);
    for (let request = 0; request < 3; request++) {
      await delivery.send(await entryOf("one"), signal as unknown as AbortSignal);
    }
    delivery.close();
    assert.equal(listener.received.length, 3);
    assert.deepEqual([signal.added, signal.listeners.size], [3, 0]);
  },
});

/** A signal that nobody aborts, with who listens to it. */
class CountingSignal {
  readonly aborted = false;
  readonly listeners = new Set<unknown>();
  added = 0;

  addEventListener(_type: string, listener: unknown): void {
    this.added += 1;
    this.listeners.add(listener);
  }

  removeEventListener(_type: string, listener: unknown): void {
    this.listeners.delete(listener);
  }
}

Deno.test("createHttpDelivery never puts the key into a reason", async () => {
  const outcome = await sendOnce(new URL("http://127.0.0.1:1/"), { apiKey: "not\nallowed in a header" });
  assert(outcome.kind === "retry");
  assert(!outcome.reason.includes("not\nallowed"), outcome.reason);
});

Deno.test("createHttpDelivery names the listener in a reason without the query of its URL", async () => {
  const free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = free.addr as Deno.NetAddr;
  free.close();
  const outcome = await sendOnce(new URL(`http://127.0.0.1:${port}/ingest?token=hidden-7`));
  assert(outcome.kind === "retry");
  assert(outcome.reason.includes(`http://127.0.0.1:${port}/ingest)`), outcome.reason);
  assert(!outcome.reason.includes("hidden-7"), outcome.reason);
});

Deno.test("parseRetryAfter reads seconds and dates, within bounds", () => {
  const now = new Date("2026-11-21T03:00:00Z");
  const readings: [value: string | null, ms: number | null][] = [
    [null, null],
    ["7", 7_000],
    [" 0 ", 0],
    ["999999999", limits.retryAfterMaxMs],
    ["9".repeat(400), limits.retryAfterMaxMs],
    ["-5", null],
    ["-999999999999", null],
    ["1.5", null],
    ["1e3", null],
    ["soon", null],
    ["", null],
    ["Sat, 21 Nov 2026 03:00:30 GMT", 30_000],
    ["Saturday, 21-Nov-26 03:00:30 GMT", 30_000],
    ["Sat Nov 21 03:00:30 2026 GMT", 30_000],
    ["Sat, 21 Nov 2026 02:00:00 GMT", 0],
    ["Sun, 21 Nov 9999 02:00:00 GMT", limits.retryAfterMaxMs],
    ["Sat, 99 Nov 2026 99:00:00 GMT", null],
  ];
  for (const [value, ms] of readings) assert.equal(parseRetryAfter(value, now), ms, `${value}`);
});

Deno.test("createHttpDelivery measures a date in Retry-After by the listener's own clock", async () => {
  await using listener = new ScriptedListener();
  const date = "Sat, 21 Nov 2026 03:00:00 GMT";
  const headers = { date, "retry-after": "Sat, 21 Nov 2026 03:00:30 GMT" };
  listener.script(() => new Response(null, { status: 503, headers }));
  const clock = { ...systemClock, now: () => new Date("2026-11-21T04:00:00Z") };
  const outcome = await sendOnce(listener.url, { clock });
  assert(outcome.kind === "retry");
  assert.equal(outcome.retryAfterMs, 30_000);
});

Deno.test("createHttpDelivery tells with 401 and 403 that the key was refused, and what to check", async () => {
  await using listener = new ScriptedListener();
  for (const status of [401, 403]) {
    listener.script(status);
    const outcome = await sendOnce(listener.url);
    assert(outcome.kind === "retry");
    assert.deepEqual(outcome.refused, { what: "key", hint: "Check listener.api_key and project_id" });
  }
});

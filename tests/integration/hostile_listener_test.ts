/**
 * Listeners that misbehave as no HTTP library would: each takes a bounded time and memory, and none makes the delivery
 * believe what is not so.
 *
 * @module
 */

import assert from "node:assert/strict";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { systemClock } from "../../clock.ts";
import * as limits from "../../limits.ts";
import type { Outcome } from "../../transport/delivery.ts";
import { compress } from "../../transport/gzip.ts";
import { createHttpDelivery, type HttpDeliveryOptions } from "../../transport/http_delivery.ts";
import type { OutboxEntry } from "../../transport/outbox.ts";
import { draftOf, testSeal } from "../support/drafts.ts";
import { dribble, type Handle, RawListener } from "../support/raw_listener.ts";
import { ScriptedListener } from "../support/scripted_listener.ts";

const apiKey = "sesame-9f2c";
const timeoutMs = 1_500;
const accepted = "HTTP/1.1 202 Accepted\r\n";

interface Sent {
  outcome: Outcome;
  tookMs: number;
  grewBytes: number;
}

async function sendTo(
  url: URL,
  options: Partial<HttpDeliveryOptions> & { bytes?: number; times?: number } = {},
): Promise<Sent> {
  const { bytes = 0, times = 1, ...over } = options;
  const defaults = { timeoutMs, compression: "none" as const, caCertificates: [], userAgent: "tests" };
  const delivery = createHttpDelivery({ ...defaults, url, apiKey, clock: systemClock, ...over });
  const { json, ...identity } = testSeal()(draftOf("one", bytes), 1);
  const entry: OutboxEntry = { ...identity, gzip: await compress(json) };
  const [startedMs, rss] = [performance.now(), Deno.memoryUsage().rss];
  let outcome: Outcome | null = null;
  for (let time = 0; time < times; time++) outcome = await delivery.send(entry, new AbortController().signal);
  delivery.close();
  const tookMs = performance.now() - startedMs;
  return { outcome: outcome!, tookMs, grewBytes: Deno.memoryUsage().rss - rss };
}

/** Sends to a listener that does this to every connection. */
async function sendToRaw(handle: Handle, options = {}): Promise<Sent & { bytesWritten: number; requests: string[] }> {
  await using listener = new RawListener(handle);
  const sent = await sendTo(listener.url(), options);
  await listener.settled();
  const bytesWritten = Math.max(0, ...listener.connections.map((connection) => connection.bytesWritten));
  return { ...sent, bytesWritten, requests: listener.connections.map(({ request }) => request) };
}

/** Answers a whole request with this. */
function answering(text: string): Handle {
  return async (connection) => {
    await connection.readRequest();
    await connection.write(text);
  };
}

function assertRetry(outcome: Outcome, reason: RegExp): void {
  assert(outcome.kind === "retry", JSON.stringify(outcome));
  assert.match(outcome.reason, reason);
  assert(!outcome.reason.includes(apiKey), outcome.reason);
}

Deno.test("createHttpDelivery gives up in time on a listener that accepts and never answers", async () => {
  const { outcome, tookMs } = await sendToRaw(async (connection) => {
    while (await connection.read());
  });
  assertRetry(outcome, /^No answer from localhost:\d+ within 1500 ms$/);
  assert(tookMs < timeoutMs + 2_000, `${tookMs} ms`);
});

Deno.test("createHttpDelivery gives up in time on a listener whose status comes a byte at a time", async () => {
  const { outcome, tookMs } = await sendToRaw(async (connection) => {
    await connection.readRequest();
    await dribble(connection, `${accepted}content-length: 0\r\n\r\n`, 1_000);
  });
  assertRetry(outcome, /^No answer from localhost:\d+ within 1500 ms$/);
  assert(tookMs < timeoutMs + 2_000, `${tookMs} ms`);
});

Deno.test("createHttpDelivery believes a status whose body comes a byte a second, and waits for it a second", async () => {
  const { outcome, tookMs, bytesWritten } = await sendToRaw(async (connection) => {
    await connection.readRequest();
    await connection.write(`${accepted}content-length: 100\r\n\r\n`);
    await dribble(connection, "x".repeat(100), 400);
  }, { timeoutMs: 30_000 });
  assert.equal(outcome.kind, "delivered");
  assert(tookMs >= limits.answerBodyMs && tookMs < 10_000, `${tookMs} ms`);
  assert(bytesWritten < 100, "the connection is dropped");
});

for (
  const [length, body] of [["shorter", "content-length: 3\r\n\r\naccepted"], ["longer", "content-length: 99\r\n\r\nok"]]
) {
  Deno.test(`createHttpDelivery believes 200 with a Content-Length that is ${length} than the body, once`, async () => {
    await using listener = new RawListener(answering(`HTTP/1.1 200 OK\r\n${body}`));
    for (let time = 0; time < 3; time++) assert.equal((await sendTo(listener.url())).outcome.kind, "delivered");
    assert.equal(listener.connections.length, 3, "one request a document");
  });
}

Deno.test("createHttpDelivery is not led astray on a kept connection by what is left of a wrong length", async () => {
  await using listener = new RawListener(async (connection) => {
    for (;;) {
      connection.request = "";
      await connection.readRequest();
      if (connection.request === "") return;
      // The rest would be read as the answer to the next request.
      await connection.write(
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 400 Bad\r\ncontent-length: 0\r\n\r\n",
      );
    }
  });
  const { outcome } = await sendTo(listener.url(), { times: 4 });
  assert.equal(outcome.kind, "delivered");
});

Deno.test("createHttpDelivery reads a bounded part of an endless answer and drops the connection", async () => {
  const { outcome, tookMs, bytesWritten, grewBytes } = await sendToRaw(async (connection) => {
    await connection.readRequest();
    await connection.write(`${accepted}content-length: 1000000000\r\n\r\n`);
    await connection.writeForEver("x".repeat(65_536));
  }, { timeoutMs: 30_000 });
  assert.equal(outcome.kind, "delivered", "the status had come");
  assert(tookMs < 5_000, `${tookMs} ms`);
  assert(bytesWritten < 30_000_000, `${bytesWritten} bytes of 1 GB were taken`);
  assert(grewBytes < 64_000_000, `the memory grew by ${grewBytes}`);
});

Deno.test("createHttpDelivery reads a bounded part of a short answer that unpacks to a quarter of a gigabyte", async () => {
  const zeros = new Uint8Array(256 * 1024 * 1024);
  const packed = {
    br: brotliCompressSync(zeros, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
    gzip: gzipSync(zeros.subarray(0, limits.answerBytesMax * 1_000), { level: 9 }),
  };
  for (const [encoding, bytes] of Object.entries(packed)) {
    assert(bytes.length <= limits.answerBytesMax, `${encoding}: ${bytes.length} bytes`);
    await using listener = new ScriptedListener();
    listener.script(() => new Response(new Uint8Array(bytes), { headers: { "content-encoding": encoding } }));
    const { outcome, grewBytes } = await sendTo(listener.url);
    assert.equal(outcome.kind, "delivered", encoding);
    assert(grewBytes < 40_000_000, `${encoding}: the memory grew by ${grewBytes}`);
  }
});

for (
  const [what, text] of [
    ["headers without end", "x-filling: " + "y".repeat(1_000) + "\r\n"],
    ["a header without end", "y".repeat(1_000)],
  ] as const
) {
  Deno.test(`createHttpDelivery gives up on ${what}, within bounds`, async () => {
    const { outcome, bytesWritten, grewBytes } = await sendToRaw(async (connection) => {
      await connection.readRequest();
      await connection.write(`${accepted}x: `);
      await connection.writeForEver(text);
    });
    assertRetry(outcome, /^Cannot reach localhost:\d+: .*head is too large/);
    assert(bytesWritten < 30_000_000, `${bytesWritten} bytes were taken`);
    assert(grewBytes < 64_000_000, `the memory grew by ${grewBytes}`);
  });
}

Deno.test("createHttpDelivery gives up on interim answers without end, within the time", async () => {
  const { outcome, tookMs, grewBytes } = await sendToRaw(async (connection) => {
    await connection.readRequest();
    await connection.writeForEver("HTTP/1.1 100 Continue\r\n\r\n");
  });
  assertRetry(outcome, /./);
  assert(tookMs < timeoutMs + 2_000, `${tookMs} ms`);
  assert(grewBytes < 64_000_000, `the memory grew by ${grewBytes}`);
});

for (
  const [what, answer] of [["nothing", ""], ["half a status line", "HTTP/1.1 20"], [
    "another protocol",
    "SSH-2.0-x\r\n",
  ]]
) {
  Deno.test(`createHttpDelivery retries what was answered with ${what} and a closed connection`, async () => {
    const { outcome } = await sendToRaw(answering(answer!));
    assertRetry(outcome, /^Cannot reach localhost:\d+: /);
  });
}

Deno.test("createHttpDelivery reads the 413 of a listener that hangs up before it has read a large document", async () => {
  const { outcome, requests } = await sendToRaw(async (connection) => {
    await connection.read(1_000);
    await connection.write("HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
  }, { bytes: 5_000_000 });
  assert(requests[0]!.length < 10_000);
  assert(outcome.kind === "rejected" && outcome.status === 413, JSON.stringify(outcome));
});

Deno.test("createHttpDelivery gives up in time on a listener that reads a large document a byte at a time", async () => {
  const { outcome, tookMs } = await sendToRaw(async (connection) => {
    // Longer than the delivery waits; the rest of the document is never read.
    for (let read = 0; read < 30 && await connection.read(1); read++) await systemClock.sleep(100);
  }, { bytes: 5_000_000 });
  assertRetry(outcome, /^No answer from localhost:\d+ within 1500 ms$/);
  assert(tookMs < timeoutMs + 3_000, `${tookMs} ms`);
});

Deno.test("createHttpDelivery retries a name that does not resolve, and names it", async () => {
  const { outcome } = await sendTo(new URL("http://nowhere.invalid/ingest"), { timeoutMs: 20_000 });
  assertRetry(outcome, /nowhere\.invalid/);
});

Deno.test("createHttpDelivery reaches a listener on IPv6 alone", async () => {
  await using listener = new ScriptedListener({ hostname: "::1" });
  assert.equal(listener.url.hostname, "[::1]");
  assert.equal((await sendTo(listener.url)).outcome.kind, "delivered");
});

Deno.test("createHttpDelivery never speaks plain text to an https listener, whatever answers there", async () => {
  await using listener = new RawListener(async (connection) => {
    await connection.read();
    await connection.write("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    while (await connection.read());
  });
  for (let time = 0; time < 3; time++) {
    assertRetry((await sendTo(listener.url("https"))).outcome, /^Cannot reach localhost:\d+: .*does not speak TLS/);
  }
  await listener.settled();
  for (const { request } of listener.connections) {
    assert.equal(request.charCodeAt(0), 0x16, "a TLS handshake comes first");
    assert(!request.includes(apiKey) && !request.includes("POST"), "in plain text");
  }
});

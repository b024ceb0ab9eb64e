/**
 * TLS with the listener: whom the delivery trusts, which versions it speaks, and what it says of a certificate that is
 * wrong.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { systemClock } from "../../clock.ts";
import type { Delivery, Outcome } from "../../transport/delivery.ts";
import { compress } from "../../transport/gzip.ts";
import { createHttpDelivery } from "../../transport/http_delivery.ts";
import {
  type Certificates,
  issueCertificate,
  makeCertificates,
  opensslMissing,
  signOneself,
} from "../support/certificates.ts";
import { draftOf, testSeal } from "../support/drafts.ts";
import { RawListener } from "../support/raw_listener.ts";
import { type ListenerOptions, ScriptedListener } from "../support/scripted_listener.ts";
import { waitFor } from "../support/wait_for.ts";

const apiKey = "sesame-9f2c";
const localhost = ["DNS:localhost", "IP:127.0.0.1"];

/** A folder with a CA; everything in it goes with it. */
class Authority implements AsyncDisposable {
  readonly folder: string;
  readonly server: Certificates;

  private constructor(folder: string, server: Certificates) {
    this.folder = folder;
    this.server = server;
  }

  static async create(): Promise<Authority> {
    const folder = await Deno.makeTempDir({ prefix: "bitville-tls-" });
    return new Authority(folder, await makeCertificates(folder, localhost));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

function pem({ key, certificate }: Certificates): ListenerOptions {
  return { key: Deno.readTextFileSync(key), cert: Deno.readTextFileSync(certificate) };
}

function deliveryTo(url: URL, trusted: readonly string[]): Delivery {
  const caCertificates = trusted.map((path) => Deno.readTextFileSync(path));
  const options = { timeoutMs: 5_000, compression: "none", userAgent: "tests", clock: systemClock } as const;
  return createHttpDelivery({ ...options, url, apiKey, caCertificates });
}

async function send(delivery: Delivery): Promise<Outcome> {
  const { json, ...identity } = testSeal()(draftOf("one"), 1);
  const entry = { ...identity, gzip: await compress(json) };
  return await delivery.send(entry, new AbortController().signal);
}

/** Sends once to a listener with this certificate. */
async function sendTo(server: Certificates, trusted: readonly string[]): Promise<Outcome> {
  await using listener = new ScriptedListener(pem(server));
  const delivery = deliveryTo(listener.url, trusted);
  const outcome = await send(delivery);
  delivery.close();
  assert.equal(listener.received.length, outcome.kind === "delivered" ? 1 : 0);
  return outcome;
}

function test(sentence: string, body: (authority: Authority) => Promise<void>): void {
  Deno.test({
    name: `createHttpDelivery ${sentence}${opensslMissing === null ? "" : ` (${opensslMissing})`}`,
    ignore: opensslMissing !== null,
    fn: async () => {
      await using authority = await Authority.create();
      await body(authority);
    },
  });
}

test("trusts what the authority of listener.ca_file has issued", async ({ server }) => {
  assert.equal((await sendTo(server, [server.ca])).kind, "delivered");
});

test("trusts a server that has signed its certificate itself when that is in listener.ca_file", async ({ folder }) => {
  const alone = await signOneself(folder, { name: "alone", names: localhost, isServer: true });
  assert.equal((await sendTo(alone, [alone.certificate])).kind, "delivered");
});

interface Wrong {
  what: string;
  make: (authority: Authority) => Certificates | Promise<Certificates>;
  trusts: (authority: Authority) => string[];
  reason: RegExp;
  hint: RegExp;
}

const wrongOnes: Wrong[] = [
  {
    what: "of an unknown authority",
    make: ({ server }) => server,
    trusts: () => [],
    reason: /: nobody who is trusted has issued it$/,
    hint: /listener\.ca_file/,
  },
  {
    what: "that it has signed itself",
    make: ({ folder }) => signOneself(folder, { name: "self", names: localhost, isServer: true }),
    trusts: ({ server }) => [server.ca],
    reason: /: nobody who is trusted has issued it$/,
    hint: /listener\.ca_file/,
  },
  {
    what: "that is one of an authority",
    make: ({ folder }) => signOneself(folder, { name: "self", names: localhost, isServer: false }),
    trusts: ({ folder }) => [join(folder, "self.pem")],
    reason: /: it is that of an authority, not of a server$/,
    hint: /CA:FALSE/,
  },
  {
    what: "for another name",
    make: ({ folder }) => issueCertificate(folder, { name: "other", names: ["DNS:elsewhere.example"] }),
    trusts: ({ server }) => [server.ca],
    reason: /: it is for another name, elsewhere\.example$/,
    hint: /listener\.url/,
  },
  {
    what: "that has expired",
    make: ({ folder }) => issueCertificate(folder, { name: "old", names: localhost, days: -1 }),
    trusts: ({ server }) => [server.ca],
    reason: /: it has expired$/,
    hint: /renewed/,
  },
];

for (const { what, make, trusts, reason, hint } of wrongOnes) {
  test(`refuses a listener with a certificate ${what}, and says which and what to do`, async (authority) => {
    const server = await make(authority);
    const outcome = await sendTo(server, trusts(authority));
    assert(outcome.kind === "retry", JSON.stringify(outcome));
    assert.match(outcome.reason, /^Cannot trust the certificate of localhost:\d+: /);
    assert.match(outcome.reason, reason);
    assert.equal(outcome.refused?.what, "certificate");
    assert.match(outcome.refused?.hint ?? "", hint);
    assert(!JSON.stringify(outcome).includes(apiKey));
  });
}

test("sends on over its connection when the certificate was changed, and not over a new one", async ({ folder, server }) => {
  const other = await issueCertificate(folder, { name: "other", names: ["DNS:elsewhere.example"] });
  await using listener = new ScriptedListener(pem(server));
  const delivery = deliveryTo(listener.url, [server.ca]);
  for (let time = 0; time < 2; time++) assert.equal((await send(delivery)).kind, "delivered");
  assert.equal(new Set(listener.received.map(({ clientPort }) => clientPort)).size, 1);
  await listener.close();
  listener.reopen(pem(other));
  const outcomes = await Promise.all([send(delivery), send(delivery)]);
  for (const outcome of outcomes) assert(outcome.kind === "retry" && outcome.refused?.what === "certificate");
  assert.equal(listener.received.length, 2);
  await listener.close();
  listener.reopen(pem(await issueCertificate(folder, { name: "renewed", names: localhost })));
  assert.equal((await send(delivery)).kind, "delivered");
  delivery.close();
});

/** Puts OpenSSL's own server, which speaks one version of TLS, in front of a script for one request. */
async function sendToVersion(version: string, { certificate, key, ca }: Certificates): Promise<Outcome> {
  const port = await freePort();
  const child = new Deno.Command("openssl", {
    args: ["s_server", "-quiet", "-accept", `${port}`, "-cert", certificate, "-key", key, ...version.split(" ")],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  try {
    await waitFor("OpenSSL's server", () => accepts(port));
    const answering = answerOnce(child);
    const delivery = deliveryTo(new URL(`https://localhost:${port}/`), [ca]);
    const outcome = await send(delivery);
    delivery.close();
    child.kill("SIGKILL");
    await answering;
    return outcome;
  } finally {
    await child.status;
  }
}

async function answerOnce(child: Deno.ChildProcess): Promise<void> {
  let request = "";
  const writer = child.stdin.getWriter();
  for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
    request += piece;
    if (!/^POST .*\r\n\r\n.*\}\}$/s.test(request)) continue;
    await writer.write(new TextEncoder().encode("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n"));
    request = "";
  }
  await writer.close().catch(() => undefined);
}

async function freePort(): Promise<number> {
  await using listener = new RawListener(() => Promise.resolve());
  return listener.port;
}

async function accepts(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}

for (const version of ["-tls1_2", "-tls1_3"]) {
  test(`speaks TLS with a listener that knows ${version} alone`, async ({ server }) => {
    assert.equal((await sendToVersion(version, server)).kind, "delivered");
  });
}

test("does not speak TLS 1.1, and says so", async ({ server }) => {
  const outcome = await sendToVersion("-tls1_1 -cipher DEFAULT@SECLEVEL=0", server);
  assert(outcome.kind === "retry");
  assert.match(outcome.reason, /^Cannot reach localhost:\d+: it speaks neither TLS 1\.2 nor TLS 1\.3$/);
});

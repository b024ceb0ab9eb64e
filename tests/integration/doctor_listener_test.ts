// The doctor and listeners that answer in every way, or not at all.
import assert from "node:assert/strict";
import { join } from "node:path";
import { AgentFolder } from "../support/agent_folder.ts";
import { makeCertificates, opensslMissing } from "../support/certificates.ts";
import { carryOut, findingOf, found, runDoctor } from "../support/doctor.ts";
import { sharedPostgres } from "../support/shared_postgres.ts";

const postgres = sharedPostgres();

/** A listener that answers as it is told, and remembers what it was asked. */
class Listener implements AsyncDisposable {
  readonly requests: { method: string; key: string | null; body: string }[] = [];
  answer: () => Response = () => new Response(null, { status: 400 });
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(options: { cert?: string; key?: string } = {}) {
    const listen = { port: 0, hostname: "127.0.0.1", onListen: () => {}, ...options };
    this.#server = Deno.serve(listen, async (request) => {
      const { method, headers } = request;
      this.requests.push({ method, key: headers.get("authorization"), body: await request.text() });
      return this.answer();
    });
  }

  get port(): number {
    return this.#server.addr.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

function makeFolder(url: string): Promise<AgentFolder> {
  return AgentFolder.create({ database: postgres(), listener: { url: new URL(url) } });
}

Deno.test("doctor asks the listener once, with the key and without a document", async () => {
  await using listener = new Listener();
  await using folder = await makeFolder(`http://127.0.0.1:${listener.port}/ingest`);
  const report = await runDoctor(folder);
  assert.match(found(report, "listener")[0]!, /^ok .* answers 400 .*does not refuse the key/);
  assert.deepEqual(listener.requests, [{ method: "POST", key: "Bearer integration-key-b7f2c1", body: "" }]);
});

/** Statuses, and what is said of them; the listener is mended by itself. */
const statuses: Record<number, ["ok" | "warn" | "FAIL", RegExp]> = {
  202: ["ok", /does not refuse the key/],
  304: ["FAIL", /a redirect, which is not followed/],
  401: ["FAIL", /the key is refused/],
  403: ["FAIL", /the key is refused/],
  404: ["FAIL", /nothing takes documents there/],
  405: ["FAIL", /nothing takes documents there/],
  408: ["warn", /in trouble/],
  422: ["ok", /does not refuse the key/],
  429: ["warn", /in trouble/],
  503: ["warn", /in trouble/],
};

Deno.test("doctor reads every answer of a listener", async () => {
  await using listener = new Listener();
  await using folder = await makeFolder(`http://127.0.0.1:${listener.port}/ingest`);
  for (const [status, [state, text]] of Object.entries(statuses)) {
    listener.answer = () => new Response(null, { status: Number(status) });
    const report = await runDoctor(folder);
    const finding = report.findings.find(({ name }) => name === "listener");
    assert.equal(finding?.state, state, status);
    assert.match(finding.text, text);
    assert.equal(finding.mend === null, state === "ok");
  }
});

Deno.test("doctor tells of a key that is refused, and takes the right one", async () => {
  await using listener = new Listener();
  await using folder = await makeFolder(`http://127.0.0.1:${listener.port}/ingest`);
  const keyFile = join(folder.path, "key");
  await Deno.writeTextFile(keyFile, "wrong", { mode: 0o600 });
  await folder.set({ listener: { api_key: undefined, api_key_file: keyFile } });
  listener.answer = () => {
    const right = listener.requests.at(-1)?.key === "Bearer right";
    return new Response(null, { status: right ? 422 : 401 });
  };
  const { mend } = findingOf(await runDoctor(folder), "listener", "FAIL");
  assert.deepEqual(mend, { kind: "advice", text: `write the listener's key to ${keyFile}` });
  await Deno.writeTextFile(keyFile, "right");
  assert.match(found(await runDoctor(folder), "listener")[0]!, /^ok /);
});

Deno.test("doctor tells where a redirect leads, and that is the mend", async () => {
  await using listener = new Listener();
  await using folder = await makeFolder(`http://127.0.0.1:${listener.port}/old`);
  const location = `http://127.0.0.1:${listener.port}/new`;
  listener.answer = () => new Response(null, { status: 308, headers: { location } });
  const finding = findingOf(await runDoctor(folder), "listener", "FAIL");
  assert.deepEqual(finding.mend, { kind: "setting", section: "listener", key: "url", value: location });
  await carryOut(finding, { folder });
  listener.answer = () => new Response(null, { status: 400 });
  assert.match(found(await runDoctor(folder), "listener")[0]!, /^ok /);
});

Deno.test("doctor tells of a listener that is not there", async () => {
  const listener = new Listener();
  await using folder = await makeFolder(`http://127.0.0.1:${listener.port}/ingest`);
  await listener[Symbol.asyncDispose]();
  const { text, mend } = findingOf(await runDoctor(folder), "listener", "FAIL");
  assert.match(text, /Cannot reach 127\.0\.0\.1:\d+/);
  assert.match(mend?.kind === "advice" ? mend.text : "", /start the listener, or open the way/);
});

Deno.test("doctor tells of a listener without TLS where https was said", async () => {
  await using listener = new Listener();
  await using folder = await makeFolder(`http://127.0.0.1:${listener.port}/ingest`);
  await folder.set({ listener: { url: `https://127.0.0.1:${listener.port}/ingest` } });
  await carryOut(findingOf(await runDoctor(folder), "listener", "FAIL"), { folder });
  assert.match(found(await runDoctor(folder), "listener")[0]!, /^ok /);
});

Deno.test({
  name: `doctor tells of a listener whose certificate nobody knows${opensslMissing ? ` (${opensslMissing})` : ""}`,
  ignore: opensslMissing !== null,
  async fn() {
    await using folder = await makeFolder("http://127.0.0.1:8999/ingest");
    const { ca, key, certificate } = await makeCertificates(folder.path, ["IP:127.0.0.1"]);
    const [cert, privateKey] = await Promise.all([certificate, key].map((path) => Deno.readTextFile(path)));
    await using listener = new Listener({ cert: cert!, key: privateKey! });
    await folder.set({ listener: { url: `https://127.0.0.1:${listener.port}/ingest` } });
    const { text, mend } = findingOf(await runDoctor(folder), "listener", "FAIL");
    assert.match(text, /certificate/);
    assert.match(mend?.kind === "advice" ? mend.text : "", /Set listener\.ca_file/);
    await folder.set({ listener: { url: `https://127.0.0.1:${listener.port}/ingest`, ca_file: ca } });
    assert.match(found(await runDoctor(folder), "listener")[0]!, /^ok /);
  },
});

Deno.test("doctor tells of a listener whose clock is another", async () => {
  await using listener = new Listener();
  await using folder = await makeFolder(`http://127.0.0.1:${listener.port}/ingest`);
  const date = new Date(Date.now() - 3_600_000).toUTCString();
  listener.answer = () => new Response(null, { status: 400, headers: { date } });
  assert.match(findingOf(await runDoctor(folder), "clock", "warn").text, /listener's are 3[56]\d\d s apart/);
  listener.answer = () => new Response(null, { status: 400 });
  assert.deepEqual(
    (await runDoctor(folder)).findings.filter(({ name }) => name === "clock").map(({ state }) => state),
    ["ok"],
  );
});

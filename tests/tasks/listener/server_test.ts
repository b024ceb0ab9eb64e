/**
 * What the listener does under load, in bad company, and over its own restarts.
 *
 * @module
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { WireDocument } from "../../../tasks/listener/schemas.ts";
import { type Listener, startListener } from "../../../tasks/listener/listener.ts";
import { GeneratedAgent } from "../../support/generated_documents.ts";
import { seededRandom } from "../../support/seeded_random.ts";
import { waitFor } from "../../support/wait_for.ts";
import { withFolder } from "../../support/with_folder.ts";

const apiKey = "test-key";
const nowMs = Date.now();

function agentOf(host: string, project = "tests"): GeneratedAgent {
  return new GeneratedAgent({ host, project, random: seededRandom(1), sessions: 2, statements: 2, entries: 1 });
}

async function post(listener: Listener, document: WireDocument, options: { key?: string; body?: BodyInit } = {}) {
  const answer = await fetch(listener.url, {
    method: "POST",
    headers: {
      "authorization": `Bearer ${options.key ?? apiKey}`,
      "content-type": "application/json",
      "idempotency-key": document.id,
    },
    body: options.body ?? JSON.stringify(document),
  });
  return { status: answer.status, retryAfter: answer.headers.get("retry-after"), text: await answer.text() };
}

Deno.test("a fleet that delivers at once, each document twice, is stored once each", async () => {
  await withFolder(async (folder) => {
    const listener = startListener({ apiKey, dataFolder: folder });
    const agents = Array.from({ length: 40 }, (_, index) => agentOf(`db${index}`));
    const documents = agents.flatMap((agent) => [...agent.cycle(nowMs - 60_000), ...agent.cycle(nowMs)]);
    const answers = await Promise.all([...documents, ...documents].map((document) => post(listener, document)));
    const said = answers.map(({ status, text }) => `${status} ${text}`);
    const count = (text: string) => said.filter((one) => one === text).length;
    assert.equal(
      count('202 {"status":"accepted"}'),
      documents.length,
      said.find((one) => !one.startsWith("202")) ?? "all",
    );
    assert.equal(count('202 {"status":"duplicate"}'), documents.length);
    assert.equal(listener.duplicates, documents.length);
    assert.deepEqual(new Set(listener.agents().map(({ missing }) => missing)), new Set([0]));
    await listener.shutdown();
    using file = new DatabaseSync(`${folder}/listener.sqlite`);
    assert.equal(file.prepare("SELECT count(*) AS c FROM document").get()!.c, documents.length);
  });
});

Deno.test("what was answered is there after a restart, and known again", async () => {
  await withFolder(async (folder) => {
    const document = agentOf("db1").cycle(nowMs)[0]!;
    {
      await using listener = startListener({ apiKey, dataFolder: folder });
      assert.equal((await post(listener, document)).text, '{"status":"accepted"}');
    }
    await using listener = startListener({ apiKey, dataFolder: folder });
    assert.equal((await post(listener, document)).text, '{"status":"duplicate"}');
    const answer = await fetch(`${listener.pageUrl}api/documents/${document.id}`);
    assert.deepEqual(await answer.json(), document);
    assert.equal(listener.agents()[0]!.host, "db1");
  });
});

Deno.test("a file that is no database is refused by its name", async () => {
  await withFolder((folder) => {
    Deno.writeTextFileSync(
      `${folder}/listener.sqlite`,
      "This is no database, and long enough to be seen as none. ".repeat(99),
    );
    const start = () => startListener({ apiKey, dataFolder: folder });
    assert.throws(start, /Cannot open the listener's database .*listener\.sqlite: /);
    return Promise.resolve();
  });
});

Deno.test("a key delivers its own project's documents, and 403 says so", async () => {
  const keys = [{ project: "shop", secret: "k1" }, { project: "blog", secret: "k2" }];
  await using listener = startListener({ keys });
  const [shop] = agentOf("db1", "shop").cycle(nowMs);
  assert.equal((await post(listener, shop!, { key: "k1" })).status, 202);
  assert.equal((await post(listener, shop!, { key: "k2" })).status, 403);
  assert.equal((await post(listener, shop!, { key: "k3" })).status, 401);
});

Deno.test("a key that delivers too fast is told when to come again", async () => {
  await using listener = startListener({ apiKey, bounds: { rateBurst: 2, ratePerS: 0.001 } });
  const documents = agentOf("db1").cycle(nowMs);
  const answers = [];
  for (const document of documents.slice(0, 3)) answers.push(await post(listener, document));
  assert.deepEqual(answers.map(({ status }) => status), [202, 202, 429]);
  assert.ok(Number(answers[2]!.retryAfter) >= 1);
});

Deno.test("bodies beyond what the memory may take are told to come again, and then taken", async () => {
  const released = Promise.withResolvers<void>();
  const [first, second] = agentOf("db1").cycle(nowMs) as [WireDocument, WireDocument];
  const bytesUnderWayMax = JSON.stringify(first).length + 100;
  let handled = 0;
  const onDocument = () => ++handled === 1 ? released.promise : undefined;
  await using listener = startListener({ apiKey, bounds: { bytesUnderWayMax }, onDocument });
  const underWay = post(listener, first);
  try {
    await waitFor("the first body", () => handled === 1);
    const refused = await post(listener, second);
    assert.deepEqual([refused.status, refused.retryAfter], [503, "1"]);
  } finally {
    released.resolve();
  }
  assert.equal((await underWay).status, 202);
  assert.equal((await post(listener, second)).status, JSON.stringify(second).length > bytesUnderWayMax ? 503 : 202);
});

Deno.test("a body that does not come is given up", async () => {
  await using listener = startListener({ apiKey, bounds: { bodyMs: 50 } });
  const headers = `Authorization: Bearer ${apiKey}\r\nContent-Type: application/json\r\nContent-Length: 100`;
  assert.equal(await rawStatus(listener.port, `POST /ingest/postgres HTTP/1.1\r\nHost: h\r\n${headers}\r\n\r\n{`), 408);
});

Deno.test("the page is for this machine under its own name, unless there is a password", async () => {
  await using open = startListener({ apiKey });
  const ask = (url: string, headers: Record<string, string> = {}) =>
    fetch(url, { headers }).then(async (answer) => (await answer.body?.cancel(), answer.status));
  assert.equal(await ask(open.pageUrl), 200);
  assert.equal(await hostStatus(open.port, "evil.example"), 403);
  assert.equal(await hostStatus(open.port, `localhost:${open.port}`), 200);
  await using locked = startListener({ apiKey, pagePassword: "open sesame" });
  assert.equal(await ask(`${locked.pageUrl}api/agents`), 401);
  const authorization = `Basic ${btoa("bitville:open sesame")}`;
  assert.equal(await ask(`${locked.pageUrl}api/agents`, { authorization }), 200);
  assert.equal(await ask(`${locked.pageUrl}health`), 200);
  assert.equal((await post(locked, agentOf("db1").cycle(nowMs)[0]!)).status, 202);
});

/** As a browser asks that was led here under another name; fetch does not let the header be set. */
function hostStatus(port: number, host: string): Promise<number> {
  return rawStatus(port, `GET /api/agents HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
}

/** The status of the answer to these bytes. */
async function rawStatus(port: number, request: string): Promise<number> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode(request));
  const answer = new Uint8Array(64);
  await connection.read(answer);
  return Number(/^HTTP\/1\.1 (\d+)/.exec(new TextDecoder().decode(answer))?.[1]);
}

Deno.test("live news names the agents and the types that have come, and ends with the listener", async () => {
  const listener = startListener({ apiKey, bounds: { liveEveryMs: 20 } });
  const answer = await fetch(`${listener.pageUrl}api/live`);
  assert.equal(answer.headers.get("content-type"), "text/event-stream");
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = (await reader.read()).value ?? "";
  assert.match(text, /event: hello/);
  await post(listener, agentOf("db1").cycle(nowMs)[0]!);
  while (!text.includes("event: documents")) text += (await reader.read()).value ?? "";
  assert.match(text, /data: \{"1":\["pg_stat_activity"\]\}/);
  await listener.shutdown();
  while (!(await reader.read()).done);
});

Deno.test("ready says whether documents can be stored", async () => {
  await using listener = startListener({ apiKey });
  const answer = await fetch(`${listener.pageUrl}ready`);
  assert.deepEqual([answer.status, await answer.json()], [200, { status: "ready" }]);
});

/**
 * The reference listener over real HTTP, and the schemas that it checks with.
 *
 * @module
 */

import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import type { CommandContext } from "../../../tasks/command.ts";
import { type Listener, run, startListener } from "../../../tasks/listener/listener.ts";

const apiKey = "test-key";
const id = "01KB0000000000000000000000";

type Data = Record<string, unknown>;

const session = {
  pid: 4711,
  datname: "site",
  usename: "site",
  application_name: "bitville-0b1d3f60-5b7e-4c2f-9a51-6f0a7f3f7a10",
  client_addr: null,
  backend_start: "2026-11-21T05:00:00.000Z",
  xact_start: null,
  query_start: null,
  state_change: null,
  state: "active",
  wait_event_type: null,
  wait_event: null,
  backend_type: "client backend",
  leader_pid: null,
  query_id: "-9223372036854775808",
  query: "SELECT 1",
  backend_xmin_age: null,
  query_ms: 0,
  xact_ms: 1.5,
  correlation_id: "0b1d3f60-5b7e-4c2f-9a51-6f0a7f3f7a10",
  correlation_state: "live",
};

function activity(changes: Data = {}, sessionChanges: Data = {}): Data {
  const sessions = [{ ...session, ...sessionChanges }];
  return { sessions, count: 1, with_correlation: 1, total_backends: 1, by_state: { active: 1 }, ...changes };
}

function documentOf(changes: Data = {}): Data {
  const agent = { version: "0.1.0" };
  const timestamp = "2026-11-21T05:00:00.000Z";
  const origin = { id, project: "tests", host: "db1", sequence: 1, timestamp, agent };
  return { ...origin, type: "pg_stat_activity", data: activity(), ...changes };
}

interface Post {
  document?: unknown;
  body?: BodyInit;
  headers?: Record<string, string>;
  method?: string;
  path?: string;
}

async function post(listener: Listener, options: Post = {}): Promise<{ status: number; answer: Data }> {
  const { document = documentOf(), headers, method = "POST", path = "/ingest/postgres" } = options;
  const response = await fetch(new URL(path, listener.url), {
    method,
    headers: {
      "authorization": `Bearer ${apiKey}`,
      "content-type": "application/json",
      "idempotency-key": String((document as Data).id),
      ...headers,
    },
    ...(method === "POST" ? { body: options.body ?? JSON.stringify(document) } : {}),
  });
  return { status: response.status, answer: await response.json() };
}

Deno.test("startListener takes a document once, and says so the second time", async () => {
  const seen: string[] = [];
  await using listener = startListener({ apiKey, onDocument: (document) => void seen.push(document.id) });
  assert.deepEqual(await post(listener), { status: 202, answer: { status: "accepted" } });
  assert.deepEqual(await post(listener), { status: 202, answer: { status: "duplicate" } });
  assert.deepEqual(seen, [id]);
  assert.deepEqual(listener.documents, [documentOf()]);
  assert.equal(listener.duplicates, 1);
});

Deno.test("startListener takes gzip", async () => {
  await using listener = startListener({ apiKey });
  const body = new Uint8Array(gzipSync(JSON.stringify(documentOf())));
  assert.equal((await post(listener, { body, headers: { "content-encoding": "gzip" } })).status, 202);
});

Deno.test("startListener takes a document again after its handling has failed", async () => {
  let failures = 1;
  const onDocument = () => {
    if (failures-- > 0) throw new Error("The disk is full");
  };
  await using listener = startListener({ apiKey, onDocument });
  assert.equal((await post(listener)).status, 500);
  assert.deepEqual(await post(listener), { status: 202, answer: { status: "accepted" } });
});

Deno.test("startListener refuses with the answers of docs/documents.md", async (t) => {
  await using listener = startListener({ apiKey });
  const large = new Uint8Array(21 * 1024 * 1024).fill(0x20);
  const cases: [string, Post, number][] = [
    ["another path", { path: "/elsewhere" }, 404],
    ["another method", { method: "PUT" }, 405],
    ["no key", { headers: { authorization: "" } }, 401],
    ["a wrong key", { headers: { authorization: "Bearer test-kez" } }, 401],
    ["a longer key", { headers: { authorization: `Bearer ${apiKey}1` } }, 401],
    ["another type", { headers: { "content-type": "text/plain" } }, 415],
    ["another encoding", { headers: { "content-encoding": "br" } }, 415],
    ["no gzip", { headers: { "content-encoding": "gzip" } }, 400],
    ["no JSON", { body: "{" }, 400],
    ["no UTF-8", { body: new Uint8Array([0x22, 0xff, 0x22]) }, 400],
    ["a large body", { body: large }, 413],
    ["a body that grows", {
      body: new Uint8Array(gzipSync(large)),
      headers: { "content-encoding": "gzip" },
    }, 413],
    ["a large body without a length", { body: new Blob([large]).stream() }, 413],
    ["another id in the header", { headers: { "idempotency-key": "01KB0000000000000000000001" } }, 422],
    ["a document that breaks the schema", { document: documentOf({ sequence: "1" }) }, 422],
  ];
  for (const [what, request, status] of cases) {
    await t.step(what, async () => assert.equal((await post(listener, request)).status, status));
  }
  assert.deepEqual(listener.documents, []);
  assert.deepEqual(await post(listener, { method: "GET", path: "/health" }), { status: 200, answer: { status: "ok" } });
});

Deno.test("startListener holds documents against the schemas", async (t) => {
  await using listener = startListener({ apiKey });
  const cases: [string, Data, RegExp | null][] = [
    ["an unknown type with any data", { type: "later_type", data: { anything: [1] } }, null],
    ["an unknown type without data", { type: "later_type", data: 1 }, /\/data must be object/],
    ["a small id", { id: id.toLowerCase() }, /\/id must match pattern/],
    ["seconds only", { timestamp: "2026-11-21T05:00:00Z" }, /\/timestamp must match pattern/],
    ["a long project", { project: "p".repeat(65) }, /\/project must NOT have more than 64/],
    ["a field that nobody knows", { extra: 1 }, /additional properties \(extra\)/],
    ["a session's extra field", { data: activity({}, { extra: 1 }) }, /\/data\/sessions\/0 .*\(extra\)/],
    ["a rounded query_id", { data: activity({}, { query_id: 1 }) }, /query_id must be string,null/],
    ["a negative duration", { data: activity({}, { query_ms: -1 }) }, /query_ms must be >= 0/],
    ["an id without a state", { data: activity({}, { correlation_state: null }) }, /correlation_state must be string/],
    ["no id and no state", { data: activity({}, { correlation_id: null, correlation_state: null }) }, null],
    ["an idle session", { data: activity({}, { state: "idle" }) }, /state must NOT be valid/],
    ["no sessions", { data: activity({ sessions: [], count: 0 }) }, null],
    ["no by_state", { data: activity({ by_state: undefined }) }, /required property 'by_state'/],
    ["a state of a later PostgreSQL", { data: activity({ by_state: { "day dreaming": 1 } }) }, null],
  ];
  for (const [index, [what, changes, problem]] of cases.entries()) {
    await t.step(what, async () => {
      const document = documentOf({ id: `01KB00000000000000000000${10 + index}`, ...changes });
      const { status, answer } = await post(listener, { document });
      if (problem === null) assert.deepEqual([status, answer], [202, { status: "accepted" }]);
      else {
        assert.equal(status, 422);
        assert.match(String(answer.reason), problem);
      }
    });
  }
});

Deno.test("startListener says which address it cannot have", async () => {
  await using listener = startListener({ apiKey });
  const { port } = listener;
  assert.throws(() => startListener({ apiKey, port }), new RegExp(`Cannot listen at 127.0.0.1, port ${port}`));
});

/** What main.ts hands to a command, as far as the listener uses it. */
function contextOf(given: Pick<CommandContext, "args" | "print" | "printError" | "stop">): CommandContext {
  return {
    environment: () => undefined,
    onHangup: () => {},
    usage: () => ({ rssBytes: 0, cpuS: 0 }),
    version: "0.0.0",
    ...given,
  };
}

/** Runs the command until it has printed what `post` made it print. */
async function runListener(
  args: string[],
  use: (url: string) => Promise<void>,
): Promise<{ code: number; out: string }> {
  const stop = new AbortController();
  const welcomed = Promise.withResolvers<string>();
  let out = "";
  const take = (text: string) => {
    const url = /^url = (.*)$/m.exec(text)?.[1];
    if (url !== undefined) welcomed.resolve(url);
  };
  const print = (text: string) => Promise.resolve(void (out += text, take(text)));
  const code = run(contextOf({ args, print, printError: take, stop: stop.signal }));
  await use(await welcomed.promise);
  stop.abort();
  return { code: await code, out };
}

Deno.test("run prints a line a document, and whole documents with --json", async () => {
  for (const args of [[], ["--json"]]) {
    const folder = await Deno.makeTempDir({ prefix: "bitville-listener-" });
    const { code, out } = await runListener(
      ["--port", "0", `--api-key=${apiKey}`, "--data", folder, ...args],
      async (url) => {
        assert.equal((await post({ url } as Listener)).status, 202);
      },
    );
    assert.equal(code, 0);
    await Deno.remove(folder, { recursive: true });
    const last = out.trimEnd().split("\n").at(-1)!;
    if (args.length > 0) assert.deepEqual(JSON.parse(last), documentOf());
    else {
      assert.equal(
        last,
        "2026-11-21T05:00:00.000Z  db1/tests  pg_stat_activity  #1  count 1  with_correlation 1  " +
          `correlation_id ${session.correlation_id}`,
      );
    }
  }
});

Deno.test("run throws for arguments that make no sense and files that it cannot read", async () => {
  const cases: [string[], RegExp][] = [
    [["--port", "x"], /Cannot use --port/],
    [["--porto", "1"], /Unknown option '--porto'/],
    [["--port=0", "--data=/nowhere", "--keys-file=/nowhere"], /Cannot read the file of --keys-file: No such file/],
    [
      ["--port=0", "--data=/nowhere", "--page-password-file=/nowhere"],
      /Cannot read the file of --page-password-file: No such file/,
    ],
  ];
  const print = () => Promise.resolve();
  for (const [args, problem] of cases) {
    await assert.rejects(run(contextOf({ args, print, printError: () => {}, stop: AbortSignal.abort() })), problem);
  }
});

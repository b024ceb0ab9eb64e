/**
 * The agent as a user runs it, against a real server, and a listener that misbehaves: what arrives, in which order and
 * how often.
 *
 * @module
 */

import assert from "node:assert/strict";
import { AgentFolder, apiKey, type Settings } from "../support/agent_folder.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { assertComplete } from "../support/deliveries.ts";
import { type Answer, type Received, ScriptedListener } from "../support/scripted_listener.ts";
import { openSession } from "../support/sessions.ts";
import { sharedPostgres } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait_for.ts";

const postgres = sharedPostgres();
/** Until the next whole minute, and what an agent on a slow machine needs then. */
const tickBoundMs = 75_000;

interface Setup {
  listener: ScriptedListener;
  folder: AgentFolder;
}

/** Runs a test with a listener and a folder of its own. */
async function withListener(settings: Settings, body: (setup: Setup) => Promise<void>): Promise<void> {
  await using listener = new ScriptedListener();
  await using folder = await AgentFolder.create({ database: postgres(), listener, settings });
  await body({ listener, folder });
}

/** Waits until all that the agent has stored has been accepted or set aside. */
async function drained(agent: AgentProcess, { listener }: Setup, expected: { atLeast: number }): Promise<void> {
  await agent.until("everything to arrive", () => {
    const stored = agent.of("document_stored").map((line) => Number(line.sequence));
    // A document may arrive before the agent has said that it is stored.
    const accepted = new Set(listener.accepted.map(({ sequence }) => sequence));
    const settled = accepted.size + agent.of("document_rejected").length;
    return settled >= Math.max(expected.atLeast, ...stored, ...accepted);
  });
}

interface Session {
  application_name: string;
  correlation_id: string | null;
  correlation_state: string | null;
}

function sessionsOf({ document }: Received): Session[] {
  return (document.data.sessions ?? []) as Session[];
}

/** Waits for a document with this id on one of its sessions; answers with the request and the session. */
function correlated(listener: ScriptedListener, id: string, options = {}): Promise<{ received: Received } & Session> {
  return waitFor(
    `a document with ${id}`,
    () =>
      listener.received.flatMap((received) => sessionsOf(received).map((session) => ({ ...session, received })))
        .find((session) => session.correlation_id === id),
    options,
  );
}

Deno.test("start delivers the sessions of the first look with the id of the request behind each", async () => {
  const id = crypto.randomUUID();
  await using _session = await openSession(postgres(), `bitville-${id}`);
  await withListener({}, async ({ listener, folder }) => {
    await using agent = AgentProcess.start(folder);
    const session = await correlated(listener, id);
    assert.equal(session.correlation_state, "live");
    const { headers, document } = session.received;
    assert.equal(document.type, "pg_stat_activity");
    assert.equal(headers.get("authorization"), `Bearer ${apiKey}`);
    assert.equal(headers.get("content-type"), "application/json");
    assert.equal(headers.get("idempotency-key"), document.id);
    await agent.end("SIGTERM");
    assert.equal(agent.stdout, "", "stdout is for documents, not for the log");
    assert(!agent.stderr.includes(apiKey), "the key is in the log");
  });
});

Deno.test("start looks again at the whole minute and delivers a request that began after the first look", async () => {
  await withListener({}, async ({ listener, folder }) => {
    await using agent = AgentProcess.start(folder);
    await agent.event("collection_complete", { where: (line) => line.collector === "pg_stat_activity" });
    const id = crypto.randomUUID();
    await using _session = await openSession(postgres(), `bitville-${id}`);
    const { received } = await correlated(listener, id, { boundMs: tickBoundMs });
    const second = new Date(received.document.timestamp).getUTCSeconds();
    assert(second < 10, `collected at second ${second}`);
    await drained(agent, { listener, folder }, { atLeast: 2 });
    assertComplete(listener);
  });
});

Deno.test("start sends compressed documents when compression is gzip", async () => {
  await withListener({ listener: { compression: "gzip" } }, async (setup) => {
    await using agent = AgentProcess.start(setup.folder);
    await drained(agent, setup, { atLeast: 1 });
    assert.equal(setup.listener.received[0]?.headers.get("content-encoding"), "gzip");
  });
});

Deno.test("start keeps documents over restarts while the listener is down and delivers all in order", async () => {
  await withListener({}, async (setup) => {
    const { listener, folder } = setup;
    await listener.close();
    for (let restart = 1; restart <= 3; restart++) {
      await using agent = AgentProcess.start(folder);
      await agent.event("document_stored");
      await agent.event("delivery_failed");
      assert.equal((await agent.end("SIGTERM")).code, 0);
    }
    await using agent = AgentProcess.start(folder);
    await agent.event("delivery_failed");
    listener.reopen();
    await drained(agent, setup, { atLeast: 4 });
    const flushed = await agent.event("buffer_flush_complete");
    assert(Number(flushed.flushed_count) >= 4);
    assertComplete(listener);
  });
});

Deno.test("start gives up the oldest documents when the buffer is full, and counts them", async () => {
  await withListener({ buffer: { max_size_mb: 1 } }, async (setup) => {
    const { listener, folder } = setup;
    listener.answer = listener.hang;
    await folder.fill(20, 100_000);
    await using agent = AgentProcess.start(folder);
    const eviction = await agent.event("buffer_eviction_complete");
    assert.equal(eviction.level, "error");
    await listener[Symbol.asyncDispose]();
    listener.answer = () => new Response(null, { status: 202 });
    listener.reopen();
    await agent.event("buffer_flush_complete");
    const evicted = agent.of("buffer_eviction_complete").reduce((sum, line) => sum + Number(line.evicted_count), 0);
    const accepted = listener.accepted.map(({ sequence }) => sequence).sort((one, other) => one - other);
    const captured = Math.max(...accepted);
    assert.equal(accepted.length + evicted, captured, "captured = delivered + evicted");
    assert.deepEqual(accepted.slice(1), accepted.slice(1).map((_, index) => accepted[1]! + index), "no gap after it");
  });
});

const retried: { answer: string; script: (listener: ScriptedListener) => (Answer | number)[]; settings?: Settings }[] =
  [
    { answer: "500", script: () => [500, 500] },
    { answer: "503", script: () => [503] },
    { answer: "408 and 425", script: () => [408, 425] },
    { answer: "nothing within the timeout", script: ({ hang }) => [hang], settings: { listener: { timeout_s: 1 } } },
  ];

for (const { answer, script, settings = {} } of retried) {
  Deno.test(`start sends a document again under the same id after ${answer}`, async () => {
    await withListener(settings, async (setup) => {
      const { listener, folder } = setup;
      const answers = script(listener);
      listener.script(...answers);
      await using agent = AgentProcess.start(folder);
      await drained(agent, setup, { atLeast: 1 });
      const attempts = listener.received.slice(0, answers.length + 1);
      assert.equal(new Set(attempts.map(({ document }) => document.id)).size, 1);
      assertComplete(listener);
      assert.equal(agent.of("delivery_failed").filter(({ level }) => level === "warning").length, 1, "said once");
    });
  });
}

Deno.test("start sends a document again after the listener closed the connection in the middle of its answer", async () => {
  await withListener({}, async (setup) => {
    const { listener, folder } = setup;
    await listener.close();
    const raw = Deno.listen({ hostname: "127.0.0.1", port: listener.port });
    const torn = tearAnswer(raw);
    await using agent = AgentProcess.start(folder);
    const id = await torn;
    listener.reopen();
    await drained(agent, setup, { atLeast: 1 });
    assert.equal(listener.received[0]?.document.id, id);
    assertComplete(listener);
  });
});

/** Takes one request, answers half a status line and hangs up; answers with the request's Idempotency-Key. */
async function tearAnswer(raw: Deno.Listener): Promise<string | undefined> {
  const connection = await raw.accept();
  raw.close();
  let request = "";
  const buffer = new Uint8Array(65_536);
  while (!/\r\n\r\n./s.test(request)) {
    request += new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
  }
  await connection.write(new TextEncoder().encode("HTTP/1.1 20"));
  connection.close();
  return /^idempotency-key: (\S+)/im.exec(request)?.[1];
}

Deno.test("start waits after 429 for as long as Retry-After says", async () => {
  await withListener({}, async (setup) => {
    const { listener, folder } = setup;
    listener.script(() => new Response(null, { status: 429, headers: { "retry-after": "2" } }));
    await using agent = AgentProcess.start(folder);
    await drained(agent, setup, { atLeast: 1 });
    const [first, second] = listener.received;
    assert.equal(first?.document.id, second?.document.id);
    const pauseMs = (second?.atMs ?? 0) - (first?.atMs ?? 0);
    assert(pauseMs >= 2_000, `it came again after ${pauseMs} ms`);
  });
});

Deno.test("start says once that its key is refused, goes on trying and says that it is taken again", async () => {
  await withListener({}, async (setup) => {
    const { listener, folder } = setup;
    listener.script(401, 403, 401);
    await using agent = AgentProcess.start(folder);
    await drained(agent, setup, { atLeast: 1 });
    await agent.event("listener_key_accepted");
    assert.equal(agent.of("listener_key_refused").length, 1);
    assert.equal(agent.of("listener_key_refused")[0]?.level, "error");
    assert(!agent.stderr.includes(apiKey), "the key is in the log");
    assertComplete(listener);
  });
});

Deno.test("start sets aside what the listener refuses for good and goes on with the next", async () => {
  await withListener({}, async (setup) => {
    const { listener, folder } = setup;
    await folder.fill(3);
    listener.script(400, 202, 422);
    await using agent = AgentProcess.start(folder);
    await drained(agent, setup, { atLeast: 4 });
    const rejected = agent.of("document_rejected");
    assert.deepEqual(rejected.map(({ status, level }) => [status, level]), [[400, "error"], [422, "error"]]);
    const accepted = listener.accepted.map(({ sequence }) => sequence);
    assert(!rejected.some(({ sequence }) => accepted.includes(Number(sequence))));
    assert.equal(new Set(listener.received.map(({ document }) => document.id)).size, listener.received.length);
  });
});

Deno.test("start does not follow a redirect and sends the document again to the same place", async () => {
  await using elsewhere = new ScriptedListener();
  await withListener({}, async (setup) => {
    const { listener, folder } = setup;
    const headers = { location: elsewhere.url.href };
    listener.script(
      () => new Response(null, { status: 302, headers }),
      () => new Response(null, { status: 308, headers }),
    );
    await using agent = AgentProcess.start(folder);
    await drained(agent, setup, { atLeast: 1 });
    assert.deepEqual(elsewhere.received, []);
    assert.match(String((await agent.event("delivery_failed")).reason), /redirect/);
    assertComplete(listener);
  });
});

/** A root of its own for files such as /etc/hosts takes root, and a kernel that lets it. */
const unshareMissing = await canUnshare() ? null : "skipped: only root can give a process an /etc/hosts of its own";

async function canUnshare(): Promise<boolean> {
  try {
    const args = ["--mount", "mount", "--bind", "/etc/hosts", "/etc/hosts"];
    return (await new Deno.Command("unshare", { args, stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

Deno.test({
  name: `start delivers when the listener's name resolves again${
    unshareMissing === null ? "" : ` (${unshareMissing})`
  }`,
  ignore: unshareMissing !== null,
  fn: async () => {
    await withListener({}, async (setup) => {
      const { listener, folder } = setup;
      const hosts = `${folder.path}/hosts`;
      const ownHosts = await Deno.readTextFile("/etc/hosts");
      await Deno.writeTextFile(hosts, ownHosts);
      await folder.set({ listener: { url: `http://listener.test:${listener.port}/ingest/postgres` } });
      const script = `mount --bind "${hosts}" /etc/hosts && exec "$@"`;
      await using agent = AgentProcess.start(folder, { within: ["unshare", "--mount", "sh", "-c", script, "sh"] });
      const failed = await agent.event("delivery_failed");
      assert.match(String(failed.reason), /^Cannot reach listener\.test:\d+: .*dns error/);
      await Deno.writeTextFile(hosts, `${ownHosts}127.0.0.1 listener.test\n`);
      await drained(agent, setup, { atLeast: 1 });
      assertComplete(listener);
    });
  },
});

Deno.test("start reaches a listener on IPv6 alone", async () => {
  await using listener = new ScriptedListener({ hostname: "::1" });
  await using folder = await AgentFolder.create({ database: postgres(), listener });
  await using agent = AgentProcess.start(folder);
  await drained(agent, { listener, folder }, { atLeast: 1 });
  assertComplete(listener);
});

Deno.test("start opens the circuit after five failures in a row and goes on collecting", async () => {
  await withListener({}, async ({ listener, folder }) => {
    listener.answer = () => new Response(null, { status: 503 });
    await using agent = AgentProcess.start(folder);
    const opened = await agent.event("circuit_open_buffering");
    assert.equal(listener.received.length, 5);
    assert(Number(opened.buffered_records) >= 1);
    const ended = await agent.end("SIGTERM");
    assert.equal(ended.code, 0);
    const { records } = await folder.inspect();
    assert.equal(records, agent.of("document_stored").length);
  });
});

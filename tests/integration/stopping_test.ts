/**
 * How the agent ends: by signal, while something hangs, and when another one is there already.
 *
 * @module
 */

import assert from "node:assert/strict";
import { AgentFolder, type Settings } from "../support/agent_folder.ts";
import { AgentProcess, type Ended } from "../support/agent_process.ts";
import { assertComplete, assertTwoLines } from "../support/deliveries.ts";
import { ScriptedListener } from "../support/scripted_listener.ts";
import { agentSessions } from "../support/sessions.ts";
import { sharedPostgres } from "../support/shared_postgres.ts";
import { waitFor } from "../support/wait_for.ts";

const postgres = sharedPostgres();
/** With nothing that hangs, on a slow machine. */
const promptMs = 5_000;
/** The graces of limits.ts for collectors, for a request and for closing, all used up. */
const graceMs = 20_000;

/** The listener may hang for as long as it likes. */
const patient: Settings = { listener: { timeout_s: 60 } };

interface Setup {
  listener: ScriptedListener;
  folder: AgentFolder;
}

async function withListener(settings: Settings, body: (setup: Setup) => Promise<void>): Promise<void> {
  await using listener = new ScriptedListener();
  await using folder = await AgentFolder.create({ database: postgres(), listener, settings });
  await body({ listener, folder });
}

function assertClean(ended: Ended, boundMs: number): void {
  assert.equal(ended.code, 0, ended.stderr);
  assert(ended.waitedMs < boundMs, `it took ${ended.waitedMs} ms`);
  assert.match(ended.stderr, /"event":"agent_stopped"[^\n]*\n$/);
}

/** A new agent on the same folder delivers all that an earlier one left. */
async function assertAllDelivered({ folder }: Setup): Promise<void> {
  await using listener = new ScriptedListener();
  await folder.set({ listener: { url: listener.url.href } });
  const { records } = await folder.inspect();
  await using agent = AgentProcess.start(folder);
  const numbers = () => listener.accepted.map(({ sequence }) => sequence);
  // What is new may overtake what was left: all is there when more than that has come and no number between is missing.
  const isGapless = () => new Set(numbers()).size === Math.max(...numbers()) - Math.min(...numbers()) + 1;
  await agent.until("what was left", () => listener.accepted.length > records && isGapless());
  assertTwoLines(numbers());
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`start ends with 0 at ${signal}, says so, and leaves neither connections nor documents behind`, async () => {
    await withListener({}, async (setup) => {
      await using agent = AgentProcess.start(setup.folder);
      await agent.event("document_delivered");
      assertClean(await agent.end(signal), promptMs);
      assert.equal(agent.of("shutdown_signal_received")[0]?.signal, signal);
      await waitFor("the server to see it gone", async () => (await agentSessions(postgres())).length === 0);
      await assertAllDelivered(setup);
    });
  });
}

Deno.test("start delivers each document exactly once over clean stops in full flow", async () => {
  await withListener({}, async ({ listener, folder }) => {
    for (let stop = 1; stop <= 5; stop++) {
      await using agent = AgentProcess.startProgram(folder, "agent_with_fast_schedule.ts", ["--every=5"]);
      const before = listener.accepted.length;
      await agent.until("documents to flow", () => listener.accepted.length > before + 30);
      assertClean(await agent.end("SIGTERM"), promptMs);
    }
    await using agent = AgentProcess.startProgram(folder, "agent_with_fast_schedule.ts", ["--every=60000"]);
    await agent.event("document_stored");
    await agent.until("an empty buffer", () => {
      const stored = Math.max(...agent.of("document_stored").map(({ sequence }) => Number(sequence)));
      return listener.accepted.length >= stored;
    });
    assertComplete(listener);
  });
});

Deno.test("start ends with 0 at SIGTERM while the listener hangs, and the next one delivers", async () => {
  await withListener(patient, async (setup) => {
    setup.listener.answer = setup.listener.hang;
    await using agent = AgentProcess.start(setup.folder);
    await agent.until("a request", () => setup.listener.received.length > 0);
    assertClean(await agent.end("SIGTERM"), graceMs);
    await assertAllDelivered(setup);
  });
});

Deno.test("start ends with 0 at SIGTERM while it waits to try again", async () => {
  await withListener({}, async (setup) => {
    setup.listener.answer = () => new Response(null, { status: 503, headers: { "retry-after": "600" } });
    await using agent = AgentProcess.start(setup.folder);
    await agent.event("delivery_failed");
    assertClean(await agent.end("SIGTERM"), promptMs);
    await assertAllDelivered(setup);
  });
});

Deno.test("start ends with 0 at SIGTERM while the database hangs", async () => {
  await withListener({}, async ({ folder }) => {
    // It still takes connections, and answers none.
    postgres().signal("SIGSTOP");
    try {
      await using agent = AgentProcess.start(folder);
      await agent.event("agent_starting");
      assertClean(await agent.end("SIGTERM"), graceMs);
    } finally {
      postgres().signal("SIGCONT");
    }
  });
});

Deno.test("start ends with 0 at SIGTERM while a statement of its own runs", async () => {
  await withListener({}, async ({ folder }) => {
    const args = ["--sleep=30000", "--collectors=1", "--every=60000"];
    await using agent = AgentProcess.startProgram(folder, "agent_with_fast_schedule.ts", args);
    await agent.until(
      "the statement",
      async () =>
        (await agentSessions(postgres())).some(({ state, query }) =>
          state === "active" && /pg_sleep/.test(String(query))
        ),
    );
    assertClean(await agent.end("SIGTERM"), graceMs);
    await waitFor("the server to see it gone", async () => (await agentSessions(postgres())).length === 0);
  });
});

Deno.test("start ends at once with 1 at a second signal, and loses nothing by it", async () => {
  await withListener(patient, async (setup) => {
    setup.listener.answer = setup.listener.hang;
    await using agent = AgentProcess.start(setup.folder);
    await agent.until("a request", () => setup.listener.received.length > 0);
    agent.kill("SIGTERM");
    const { time } = await agent.event("shutdown_signal_received");
    // What follows the first one at once counts as the same.
    await agent.until("a pause", () => Date.now() - Date.parse(time) > 1_000);
    const ended = await agent.end("SIGTERM");
    assert.equal(ended.code, 1);
    assert(ended.waitedMs < 2_000, `it took ${ended.waitedMs} ms`);
    assert.deepEqual(agent.of("agent_stopped"), []);
    await assertAllDelivered(setup);
  });
});

Deno.test("start by deno task ends with 0 at Ctrl-C, which reaches the agent twice", async () => {
  await withListener(patient, async ({ listener, folder }) => {
    listener.answer = listener.hang;
    await using agent = AgentProcess.startTask(folder);
    await agent.until("a request", () => listener.received.length > 0);
    // As a terminal does: to all of the group.
    Deno.kill(-agent.pid, "SIGINT");
    assertClean(await agent.end(), graceMs);
  });
});

Deno.test("start ends with 1 and a clear line when another agent has the buffer, which goes on unharmed", async () => {
  await withListener({}, async (setup) => {
    const { listener, folder } = setup;
    await using first = AgentProcess.start(folder);
    await first.event("document_delivered");
    const second = await AgentProcess.run(folder, { command: "start" });
    assert.equal(second.code, 1);
    assert.match(second.stderr, /"event":"agent_start_failed"/);
    assert(second.stderr.includes(`Cannot use buffer folder \\"${folder.bufferPath}\\" because another agent`));
    assert.equal(first.hasEnded, false);
    assertClean(await first.end("SIGTERM"), promptMs);
    const before = assertComplete(listener);
    await using third = AgentProcess.start(folder);
    await third.until("another document", () => assertComplete(listener) > before);
  });
});

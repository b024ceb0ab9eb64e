/**
 * A database that is away, goes away and comes back, and what the agent takes of it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { AgentFolder, type Settings } from "../support/agent_folder.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { assertComplete } from "../support/deliveries.ts";
import { ScriptedListener } from "../support/scripted_listener.ts";
import { agentSessions } from "../support/sessions.ts";
import { sharedPostgres } from "../support/shared_postgres.ts";

const postgres = sharedPostgres();
/** Pauses between attempts to connect grow to 30 s. */
const reconnectBoundMs = 60_000;

interface Setup {
  agent: AgentProcess;
  listener: ScriptedListener;
}

/** Runs a test with an agent of many ticks. */
async function withFastAgent(
  options: { settings?: Settings; args: string[] },
  body: (setup: Setup) => Promise<void>,
): Promise<void> {
  await using listener = new ScriptedListener();
  await using folder = await AgentFolder.create({ database: postgres(), listener, settings: options.settings ?? {} });
  await using agent = AgentProcess.startProgram(folder, "agent_with_fast_schedule.ts", options.args);
  await body({ agent, listener });
  assert.equal((await agent.end("SIGTERM")).code, 0);
  assertComplete(listener);
}

/** Waits until the server has answered again, and documents flow again. */
async function back({ agent, listener }: Setup, verified: number): Promise<void> {
  await agent.event("connection_pool_verified", { nth: verified, boundMs: reconnectBoundMs });
  const before = listener.accepted.length;
  await agent.until("documents to flow", () => listener.accepted.length > before + 5);
}

Deno.test("start waits for a server that is down at the start, and says so once", async () => {
  await postgres().stop();
  await withFastAgent({ args: ["--every=50"] }, async ({ agent, listener }) => {
    await agent.event("database_unavailable");
    await agent.event("collection_failed", { nth: 10 });
    await postgres().start();
    await back({ agent, listener }, 1);
    const outage = agent.lines.filter(({ event }) => /^(database_|connection_)/.test(event));
    assert.deepEqual(outage.map(({ event }) => event), ["database_unavailable", "connection_pool_verified"]);
    assert.equal(outage[0]?.level, "warning");
    assert.equal(outage[0]?.reason, "unreachable");
  });
});

for (const mode of ["fast", "immediate"] as const) {
  Deno.test(`start goes on after the server was restarted (${mode}), and says once that it was away`, async () => {
    // Of two sessions one may answer once more when the other has been ended.
    const settings = { database: { pool_max_size: 1 } };
    await withFastAgent({ settings, args: ["--every=20"] }, async ({ agent, listener }) => {
      await back({ agent, listener }, 1);
      for (let restart = 1; restart <= 2; restart++) {
        await postgres().restart(mode);
        await back({ agent, listener }, restart + 1);
        assert.equal(agent.of("database_unavailable").length, restart);
        assert.equal(agent.of("connection_pool_verified").length, restart + 1);
      }
      assert.deepEqual(agent.lines.filter(({ level }) => level === "error"), []);
    });
  });
}

Deno.test("start goes on when an administrator ends its sessions", async () => {
  await withFastAgent({ args: ["--every=20"] }, async ({ agent, listener }) => {
    await back({ agent, listener }, 1);
    const ended = await postgres().query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'bitville-monitor'",
    );
    assert(ended.length > 0);
    await back({ agent, listener }, 2);
  });
});

Deno.test("start opens no more connections than configured, however many collectors wait", async () => {
  const args = ["--every=1", "--collectors=8", "--sleep=50"];
  await withFastAgent({ settings: { database: { pool_max_size: 2 } }, args }, async ({ agent, listener }) => {
    let most = 0;
    await agent.until("100 documents", async () => {
      most = Math.max(most, (await agentSessions(postgres())).length);
      return listener.accepted.length > 100;
    });
    assert.equal(most, 2);
  });
});

Deno.test("start opens its sessions under its own name, read only and with limits from the first statement on", async () => {
  const settings = { database: { statement_timeout_ms: 1234 } };
  await withFastAgent(
    { settings, args: ["--every=50", "--collectors=1", "--sleep=20"] },
    async ({ agent, listener }) => {
      const received = await agent.until(
        "a document of the session",
        () => listener.accepted.find(({ type }) => type === "session_0"),
      );
      assert.deepEqual(received.data.session, {
        user: "postgres",
        statement_timeout: "1234ms",
        lock_timeout: "500ms",
        idle_timeout: "10s",
        read_only: "on",
        slept: "",
      });
      const sessions = await agent.until("a session on the server", async () => {
        const sessions = await agentSessions(postgres());
        return sessions.some(({ query }) => String(query).startsWith("/* bitville-monitor: ")) && sessions;
      });
      assert(sessions.every(({ usename }) => usename === "postgres"));
    },
  );
});

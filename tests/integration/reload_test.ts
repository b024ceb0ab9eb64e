/**
 * SIGHUP: what the running agent takes over of its configuration, what it names as needing a restart, and that neither a
 * broken file nor a reload in full flow costs a document.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { AgentFolder, apiKey, password, type Settings } from "../support/agent_folder.ts";
import { AgentProcess, type AgentProcessOptions, type LogLine } from "../support/agent_process.ts";
import { assertComplete } from "../support/deliveries.ts";
import { ManagerSocket } from "../support/manager_socket.ts";
import { ScriptedListener } from "../support/scripted_listener.ts";
import { sharedPostgres } from "../support/shared_postgres.ts";

const postgres = sharedPostgres();

interface Setup {
  listener: ScriptedListener;
  folder: AgentFolder;
  agent: AgentProcess;
}

async function withAgent(
  options: { settings?: Settings; process?: AgentProcessOptions },
  body: (setup: Setup) => Promise<void>,
): Promise<void> {
  await using listener = new ScriptedListener();
  await using folder = await AgentFolder.create({ database: postgres(), listener, settings: options.settings ?? {} });
  await using agent = AgentProcess.start(folder, options.process ?? {});
  await agent.event("document_delivered");
  await body({ listener, folder, agent });
  const { stderr } = await agent.end("SIGTERM");
  assertComplete(listener);
  for (const secret of [apiKey, password, "another-key"]) assert(!stderr.includes(secret), secret);
}

/** Sends SIGHUP and waits for the `nth` line of this event. */
async function reload({ agent }: Setup, event = "reload_complete", nth = 1): Promise<LogLine> {
  agent.kill("SIGHUP");
  return await agent.event(event, { nth });
}

Deno.test("start takes over what SIGHUP finds changed, and says what", async () => {
  await withAgent({}, async (setup) => {
    const { listener, folder, agent } = setup;
    await folder.set({
      database: { statement_timeout_ms: 2000 },
      collection: { query_text: "none" },
      listener: { api_key: "another-key", project_id: "another", url: new URL("/other", listener.url).href },
      logging: { level: "info" },
    });
    const line = await reload(setup);
    assert.equal(line.level, "info");
    assert.deepEqual(line.changed, [
      "database.statement_timeout_ms",
      "listener.url",
      "listener.api_key",
      "listener.project_id",
      "collection.query_text",
      "logging.level",
    ]);
    assert.deepEqual(line.restart_needed, []);
    const taken = await agent.until(
      "a document with the new key",
      () => listener.received.find(({ headers }) => headers.get("authorization") === "Bearer another-key"),
    );
    const after = listener.received.slice(listener.received.indexOf(taken));
    assert(after.every(({ headers }) => headers.get("authorization") === "Bearer another-key"));
    await agent.until("a document of the new project", () => listener.accepted.at(-1)?.project === "another");
    const before = agent.stderr.length;
    await reload(setup, "reload_complete", 2);
    assert(!agent.stderr.slice(before).includes(`"level":"debug"`), "the new level holds");
  });
});

Deno.test("start names what needs a restart, takes over the rest, and keeps the old key from a new listener", async () => {
  await withAgent({}, async (setup) => {
    const { listener, folder, agent } = setup;
    await using elsewhere = new ScriptedListener();
    const keyFile = join(folder.path, "key");
    await Deno.writeTextFile(keyFile, "another-key\n");
    await folder.set({
      listener: { url: elsewhere.url.href, api_key: undefined, api_key_file: keyFile },
      buffer: { path: join(folder.path, "other"), max_size_mb: 50 },
      collection: { interval_s: 120 },
    });
    const line = await reload(setup);
    assert.equal(line.level, "warning");
    assert.deepEqual(line.changed, ["collection.interval_s", "buffer.max_size_mb"]);
    assert.deepEqual(line.restart_needed, ["listener.url", "listener.api_key", "listener.api_key_file", "buffer.path"]);
    assert.match(String(line.hint), /^Restart needed/);
    const before = listener.accepted.length;
    await agent.until("documents of the first cycle after it", () => listener.accepted.length > before);
    assert.deepEqual(elsewhere.received, []);
    assert(listener.received.every(({ headers }) => headers.get("authorization") === `Bearer ${apiKey}`));
    const again = await reload(setup, "reload_complete", 2);
    assert.deepEqual(again.changed, [], "what was taken over is in force");
    assert.equal((again.restart_needed as string[]).length, 4, "what was not is named again");
  });
});

Deno.test("start keeps its settings when SIGHUP finds a broken file, and says all that is wrong with it", async () => {
  await withAgent({}, async (setup) => {
    const { folder, agent, listener } = setup;
    await folder.set({ database: { port: "many" }, listener: { url: "no address" }, logging: { level: "error" } });
    const line = await reload(setup, "reload_refused");
    assert.equal(line.level, "error");
    assert.equal(line.problems, 2);
    const refused = agent.of("configuration_refused").map(({ message }) => String(message)).join("\n");
    assert.match(refused, /database\.port/);
    assert.match(refused, /listener\.url/);
    assert.deepEqual(agent.of("reload_complete"), []);
    await Deno.remove(folder.iniPath);
    await reload(setup, "reload_refused", 2);
    await folder.set({ collection: { query_text: "redacted" } });
    const before = listener.accepted.length;
    await reload(setup);
    await agent.until("documents after it", () => listener.accepted.length > before);
  });
});

Deno.test("start delivers each document exactly once over reloads, also one that is under way", async () => {
  await withAgent({}, async (setup) => {
    const { folder, agent, listener } = setup;
    for (let nth = 1; nth <= 5; nth++) {
      const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
      const { promise: answer, resolve: release } = Promise.withResolvers<Response>();
      listener.script(() => {
        ask();
        return answer;
      });
      await folder.set({
        listener: { timeout_s: 10 + nth },
        collection: { query_text: nth % 2 ? "redacted" : "full" },
      });
      await reload(setup, "reload_complete", 2 * nth - 1);
      await asked;
      await folder.set({ listener: { timeout_s: 30 + nth } });
      await reload(setup, "reload_complete", 2 * nth);
      release(new Response(null, { status: 202 }));
      await agent.until("what was stored", () => {
        const stored = Math.max(...agent.of("document_stored").map(({ sequence }) => Number(sequence)));
        return assertComplete(listener) >= stored;
      });
    }
  });
});

Deno.test("start keeps over a reload what its governor knows of a server that stays the same", async () => {
  await withAgent({}, async (setup) => {
    const { folder, agent, listener } = setup;
    const statuses = () => listener.accepted.filter(({ type }) => type === "agent_status");
    const governor = () => statuses().at(-1)?.data.governor as { since: string; reason: string | null } | undefined;
    const before = await agent.until("a status", governor);
    const count = statuses().length;
    await folder.set({ collection: { query_text: "redacted" } });
    await reload(setup);
    await agent.until("a status after it", () => statuses().length > count);
    const after = governor();
    // On a busy machine it may have taken a step, and then says why.
    assert(after?.since === before.since || after?.reason !== null, JSON.stringify({ before, after }));
  });
});

Deno.test("start speaks to systemd: READY after the first runs, a status, the watchdog, RELOADING and STOPPING", async () => {
  await using manager = await ManagerSocket.open();
  await using listener = new ScriptedListener();
  await using folder = await AgentFolder.create({ database: postgres(), listener });
  const environment = {
    NOTIFY_SOCKET: manager.path,
    RUNTIME_DIRECTORY: manager.folder,
    WATCHDOG_USEC: "3000000",
  };
  await using agent = AgentProcess.start(folder, { environment });
  const [, status] = await manager.with("READY=1");
  assert.match(
    status ?? "",
    /^STATUS=Last cycle .* 5 of 5 collectors well; \d+ documents \(\d+ KiB\) buffered; circuit/,
  );
  assert.equal(agent.of("collection_complete").some(({ collector }) => collector === "agent_status"), true);
  for (let beat = 0; beat < 3; beat++) await manager.with("WATCHDOG=1");
  await reload({ listener, folder, agent });
  await manager.with("RELOADING=1");
  await manager.with("READY=1");
  agent.kill("SIGTERM");
  await manager.with("STOPPING=1");
  assert.equal((await agent.end()).code, 0);
});

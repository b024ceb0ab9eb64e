/**
 * What an operator sees of a wrong configuration and of `once`: exit codes, messages, and what is left alone.
 *
 * @module
 */

import assert from "node:assert/strict";
import { AgentFolder, apiKey, password, type Settings } from "../support/agent_folder.ts";
import { AgentProcess, type Ended, logLines, ownEnvironment, projectRoot } from "../support/agent_process.ts";
import { ScriptedListener } from "../support/scripted_listener.ts";
import { openSession } from "../support/sessions.ts";
import { sharedPostgres } from "../support/shared_postgres.ts";

const postgres = sharedPostgres();
const once = { command: "once" };

/** Runs a command to its end, checks that no secret is in what it said, and that it made no buffer. */
async function runWithout(settings: Settings, command: string): Promise<Ended> {
  await using listener = new ScriptedListener();
  await using folder = await AgentFolder.create({ database: postgres(), listener, settings });
  const ended = await AgentProcess.run(folder, { command });
  for (const secret of [apiKey, password]) assert(!`${ended.stdout}${ended.stderr}`.includes(secret), secret);
  await assert.rejects(Deno.stat(folder.bufferPath), Deno.errors.NotFound);
  assert.deepEqual(listener.received, []);
  return ended;
}

function messages({ stderr }: Ended, event: string): string {
  return logLines(stderr).filter((line) => line.event === event).map((line) => String(line.message)).join("\n");
}

Deno.test("start refuses a wrong configuration with 78 and says all that is wrong with it at once", async () => {
  const ended = await runWithout({
    database: { port: "many", sslmode: "always" },
    listener: { url: "no address", project_id: undefined },
    collection: { interval_s: "often" },
    bufer: { path: "/tmp" },
    logging: { levle: "debug" },
  }, "start");
  assert.equal(ended.code, 78);
  assert.equal(ended.stdout, "");
  const refused = messages(ended, "configuration_refused");
  for (const name of ["database.port", "database.sslmode", "listener.url", "collection.interval_s"]) {
    assert.match(refused, new RegExp(`Cannot use ${name} because it must be `));
  }
  assert.match(refused, /Cannot start without listener\.project_id/);
  assert.match(refused, /current value is many/);
  const warned = messages(ended, "configuration_warning");
  assert.match(warned, /did you mean \[buffer\]\?/);
  assert.match(warned, /did you mean level\?/);
});

Deno.test("start refuses a configuration without a listener with 78 and names every way to set it", async () => {
  const ended = await runWithout({ listener: { url: undefined, api_key: undefined, project_id: undefined } }, "start");
  assert.equal(ended.code, 78);
  const refused = messages(ended, "configuration_refused");
  for (const variable of ["LISTENER_URL", "LISTENER_API_KEY", "LISTENER_API_KEY_FILE", "PROJECT_ID"]) {
    assert.match(refused, new RegExp(`BITVILLE_PG_${variable}\\b`));
  }
});

Deno.test("start refuses a configuration file that is not there with 78 and names it", async () => {
  await using folder = await AgentFolder.create({ database: postgres() });
  await Deno.remove(folder.iniPath);
  const ended = await AgentProcess.run(folder, { command: "start" });
  assert.equal(ended.code, 78);
  assert.match(messages(ended, "configuration_refused"), /agent\.ini because it does not exist/);
});

Deno.test("start refuses a listener's port that nothing can be sent to with 78", async () => {
  await using listener = new ScriptedListener();
  const settings = { listener: { url: "http://127.0.0.1:6000/ingest" } };
  await using folder = await AgentFolder.create({ database: postgres(), listener, settings });
  const ended = await AgentProcess.run(folder, { command: "start" });
  assert.equal(ended.code, 78);
  assert.match(messages(ended, "configuration_refused"), /listener\.url because .*6000: current value is http:/);
});

Deno.test("start takes the variables of the environment before the file", async () => {
  await using listener = new ScriptedListener();
  await using folder = await AgentFolder.create({
    database: postgres(),
    listener,
    settings: { listener: { url: "http://127.0.0.1:2/", project_id: "of-the-file" } },
  });
  const environment = { BITVILLE_PG_LISTENER_URL: listener.url.href, BITVILLE_PG_PROJECT_ID: "of-the-environment" };
  await using agent = AgentProcess.start(folder, { environment });
  await agent.event("document_delivered");
  const document: Record<string, unknown> = { ...listener.received[0]?.document };
  assert.equal(document.project, "of-the-environment");
});

Deno.test("start warns of what it does not know, and runs", async () => {
  await using listener = new ScriptedListener();
  const settings = { database: { pool_max_sise: 2 } };
  await using folder = await AgentFolder.create({ database: postgres(), listener, settings });
  await using agent = AgentProcess.start(folder);
  await agent.event("document_delivered");
  const warning = await agent.event("configuration_warning");
  assert.match(String(warning.message), /did you mean pool_max_size\?/);
});

Deno.test("once prints one document a line on stdout, without a listener, and keeps nothing", async () => {
  const id = crypto.randomUUID();
  await using _session = await openSession(postgres(), `bitville-${id}`);
  const ended = await runWithout({ listener: { url: undefined, api_key: undefined, project_id: undefined } }, "once");
  assert.equal(ended.code, 0, ended.stderr);
  const documents = ended.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert(ended.stdout.endsWith("\n"));
  assert.deepEqual(documents.map(({ sequence }) => sequence), documents.map((_, index) => index + 1));
  assert.equal(new Set(documents.map(({ type }) => type)).size, documents.length);
  const activity = documents.find(({ type }) => type === "pg_stat_activity");
  assert(JSON.stringify(activity.data.sessions).includes(`"correlation_id":"${id}"`));
});

Deno.test("once sends and buffers nothing where a listener is set", async () => {
  assert.equal((await runWithout({}, "once")).code, 0);
});

Deno.test("once ends with 1 when the database is down, and says what to check", async () => {
  using free = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = free.addr;
  free.close();
  const ended = await runWithout({ database: { port } }, "once");
  assert.equal(ended.code, 1);
  const unavailable = logLines(ended.stderr).find(({ event }) => event === "database_unavailable");
  assert.match(String(unavailable?.hint), /database\.host and database\.port/);
});

Deno.test("once ends with 1 soon after the first signal, whatever the database does", async () => {
  await using folder = await AgentFolder.create({ database: postgres() });
  // It still takes connections, and answers none.
  postgres().signal("SIGSTOP");
  try {
    await using agent = AgentProcess.start(folder, once);
    // It has no log line before its first answer: the kernel's list tells when it has become the agent.
    await agent.until(
      "the agent",
      async () => (await Deno.readTextFile(`/proc/${agent.pid}/cmdline`)).includes(`${projectRoot}main.ts\0once`),
    );
    const ended = await endedBySignal(agent);
    assert(ended.waitedMs < 3_000, `it took ${ended.waitedMs} ms`);
  } finally {
    postgres().signal("SIGCONT");
  }
});

/** Until it listens for signals, one ends it by itself; then it is to answer 1. */
async function endedBySignal(agent: AgentProcess): Promise<Ended> {
  await agent.until("its connection to the database", () => hasConnection(agent.pid));
  const ended = await agent.end("SIGINT");
  assert.deepEqual([ended.code, ended.signal], [1, null], ended.stderr);
  return ended;
}

async function hasConnection(pid: number): Promise<boolean> {
  const port = postgres().port.toString(16).toUpperCase().padStart(4, "0");
  const sockets = (await Deno.readTextFile("/proc/net/tcp")).split("\n").filter((line) =>
    line.trim().split(/\s+/)[2] === `0100007F:${port}`
  ).map((line) => `socket:[${line.trim().split(/\s+/)[9]}]`);
  for await (const { name } of Deno.readDir(`/proc/${pid}/fd`)) {
    const target = await Deno.readLink(`/proc/${pid}/fd/${name}`).catch(() => "");
    if (sockets.includes(target)) return true;
  }
  return false;
}

Deno.test("main ends with 1 and a list for a command that it does not know", async () => {
  for (const args of [["strat"], [], ["toString"]]) {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", `${projectRoot}main.ts`, ...args],
      clearEnv: true,
      env: ownEnvironment(),
    }).output();
    assert.equal(code, 1);
    assert.equal(stdout.length, 0);
    assert.match(new TextDecoder().decode(stderr), /Usage: deno task start\|once\|/);
  }
});

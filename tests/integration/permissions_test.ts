/**
 * What the running agent may do, proved from the outside: the flags are read from the kernel's list of a real agent's
 * arguments, and a program that tries to get further runs under the same ones.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { AgentFolder } from "../support/agent_folder.ts";
import { AgentProcess, ownEnvironment, projectRoot } from "../support/agent_process.ts";
import { ScriptedListener } from "../support/scripted_listener.ts";
import { sharedPostgres } from "../support/shared_postgres.ts";

const postgres = sharedPostgres();

/** The flags of a running agent, between `deno run` and its main file. */
async function flagsInForce(agent: AgentProcess): Promise<string[]> {
  const args = (await Deno.readTextFile(`/proc/${agent.pid}/cmdline`)).split("\0");
  assert.equal(args[1], "run");
  return args.slice(2, args.indexOf(`${projectRoot}main.ts`));
}

/** Starts an agent, waits until it works, and answers with its flags. */
async function flagsOf(folder: AgentFolder): Promise<string[]> {
  await using agent = AgentProcess.start(folder);
  await agent.event("document_delivered");
  const flags = await flagsInForce(agent);
  await agent.end("SIGTERM");
  return flags;
}

type Attempts = Record<string, [string, ...string[]]>;

/** Runs the probe under the flags; answers with what came of each attempt. */
async function probe(flags: string[], attempts: Attempts, cwd: string): Promise<Record<string, string>> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...flags, `${projectRoot}tests/support/stolen_agent.ts`, JSON.stringify(attempts)],
    cwd,
    clearEnv: true,
    env: { ...ownEnvironment(), SECRET_OF_ANOTHER: "1", BITVILLE_PG_LOG_LEVEL: "info", PGUSER: "probe" },
  }).output();
  const lines = new TextDecoder().decode(stdout).trim().split("\n");
  assert.equal(lines.length, Object.keys(attempts).length, new TextDecoder().decode(stderr));
  return Object.fromEntries(lines.map((line) => JSON.parse(line)).map(({ name, outcome }) => [name, outcome]));
}

/** The same outcome for every attempt. */
function each(attempts: Attempts, outcome: string): Record<string, string> {
  return Object.fromEntries(Object.keys(attempts).map((name) => [name, outcome]));
}

Deno.test("start runs under a closed list of flags, none of which opens everything", async () => {
  await using listener = new ScriptedListener();
  await using folder = await AgentFolder.create({ database: postgres(), listener });
  const flags = await flagsOf(folder);
  const allowed = flags.filter((flag) => /^--allow-|^-[A-Z]/.test(flag)).map((flag) => flag.split("=")[0]);
  assert.deepEqual(allowed.sort(), ["--allow-env", "--allow-net", "--allow-read", "--allow-sys", "--allow-write"]);
  assert(flags.includes("--no-prompt"));
  assert(flags.every((flag) => !flag.startsWith("--allow-") || /=./.test(flag)), "a flag without a list opens all");
  const of = (name: string) => flags.find((flag) => flag.startsWith(`--allow-${name}=`))?.split("=")[1]?.split(",");
  assert.deepEqual(of("net"), [`127.0.0.1:${postgres().port}`, `127.0.0.1:${listener.port}`]);
  assert.deepEqual(of("write"), [folder.bufferPath]);
});

Deno.test("start has no way to files, hosts, programs, libraries and variables that are not its own", async () => {
  await using listener = new ScriptedListener();
  await using elsewhere = new ScriptedListener();
  await using folder = await AgentFolder.create({ database: postgres(), listener });
  const outside = join(folder.path, "outside");
  await Deno.writeTextFile(outside, "{}");
  const flags = await flagsOf(folder);
  const forbidden: Attempts = {
    "reading the accounts": ["read", "/etc/passwd"],
    "reading the accounts through Node": ["readByNode", "/etc/passwd"],
    "reading beside its configuration": ["read", outside],
    "reading through a link out of its buffer": ["link", "/etc/passwd", join(folder.bufferPath, "link")],
    "reading its own environment from the kernel": ["read", "/proc/self/environ"],
    "importing a file of another place": ["importFile", outside],
    "importing from a host that is not usual": ["importRemote", `http://127.0.0.1:${elsewhere.port}/module.ts`],
    "importing from a registry": ["importRemote", "jsr:@std/path@1.0.0"],
    "writing beside its buffer": ["write", join(folder.path, "written")],
    "writing into the temporary folder": ["write", join(folder.path, "..", `probe-${crypto.randomUUID()}`)],
    "writing into the project": ["write", `${projectRoot}tests/support/probe-written.ts`],
    "changing its own code": ["write", `${projectRoot}main.ts`],
    "removing its configuration": ["remove", folder.iniPath],
    "connecting to another port of this machine": ["connect", String(elsewhere.port)],
    "connecting to it through Node": ["connectByNode", "127.0.0.1", String(elsewhere.port)],
    "connecting to another address of this machine": ["connectElsewhere", "127.0.0.2", String(listener.port)],
    "connecting to another host": ["connectElsewhere", "192.0.2.1", "443"],
    "telling another host by its name": ["resolve", "secret.example.com"],
    "sending to another host": ["fetch", "https://example.com/"],
    "sending to another port": ["fetch", elsewhere.url.href],
    "listening": ["listen"],
    "running a program": ["run", "/bin/true"],
    "running Deno itself": ["run", Deno.execPath()],
    "running a program through Node": ["runByNode", "/bin/true"],
    "sending a signal": ["kill", String(Deno.pid)],
    "loading a library": ["foreign", "libc.so.6"],
    "reading another variable": ["environment", "SECRET_OF_ANOTHER"],
    "reading all variables": ["wholeEnvironment"],
    "reading who it is": ["users"],
    "reading the network's addresses": ["interfaces"],
  };
  assert.deepEqual(await probe(flags, forbidden, folder.path), each(forbidden, "denied"));
  assert.deepEqual(elsewhere.received, []);
  const allowed: Attempts = {
    "reading its configuration": ["read", folder.iniPath],
    "writing into its buffer": ["write", join(folder.bufferPath, "probe")],
    "connecting to the database": ["connectByNode", "127.0.0.1", String(postgres().port)],
    "connecting to the listener": ["connect", String(listener.port)],
    "reading a variable of its own": ["environment", "BITVILLE_PG_LOG_LEVEL"],
    "reading a variable of the driver": ["environment", "PGUSER"],
  };
  assert.deepEqual(await probe(flags, allowed, folder.path), each(allowed, "done"));
});

Deno.test("start reads its key from a file of its own and nothing beside it", async () => {
  await using listener = new ScriptedListener();
  await using folder = await AgentFolder.create({ database: postgres(), listener });
  const keyFile = join(folder.path, "key");
  await Deno.writeTextFile(keyFile, "key-of-a-file\n", { mode: 0o600 });
  await folder.set({ listener: { api_key: undefined, api_key_file: keyFile } });
  const flags = await flagsOf(folder);
  assert.equal(listener.received[0]?.headers.get("authorization"), "Bearer key-of-a-file");
  const attempts: Attempts = { own: ["read", keyFile], other: ["read", `${keyFile}.old`] };
  assert.deepEqual(await probe(flags, attempts, folder.path), { own: "done", other: "denied" });
});

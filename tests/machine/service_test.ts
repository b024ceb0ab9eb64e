/**
 * The package on a real systemd, with Debian's PostgreSQL beside it: installed, booted, killed, hung, reloaded, upgraded,
 * rebooted, without space and without memory. One machine goes through all of it, so the order of the tests matters.
 *
 * @module
 */

import assert from "node:assert/strict";
import { waitFor } from "../support/wait_for.ts";
import { assertComplete, buildDeb, InstalledAgent, unit } from "./installed_agent.ts";
import { forgetMemoryPeak, load, memoryPeak, waitersCount } from "./load.ts";
import { Machine } from "./machine.ts";
import { type Delivered, MachineListener } from "./machine_listener.ts";
import { machineTests } from "./machine_tests.ts";
import { assertRefused, probe } from "./sandbox.ts";

let deb: Awaited<ReturnType<typeof buildDeb>>;
let machine: Machine;
let agent: InstalledAgent;
let listener: MachineListener;

const test = machineTests("postgres-agent.service ", async (ends) => {
  const folder = await Deno.makeTempDir({ prefix: "bitville-deb-" });
  ends.defer(() => Deno.remove(folder, { recursive: true }));
  [deb, machine] = await Promise.all([buildDeb(folder), Machine.create()]);
  ends.use(machine);
  const settings =
    "shared_preload_libraries = 'pg_stat_statements'\npg_stat_statements.track = all\nmax_connections = 600\n";
  await machine.write("etc/postgresql/15/main/conf.d/tests.conf", settings);
  await machine.boot();
  agent = new InstalledAgent(machine);
  listener = await MachineListener.start(machine);
  // Another one after each boot.
  ends.defer(() => listener[Symbol.asyncDispose]());
});

/** A figure of this run, for whoever reads it. */
function tell(text: string): void {
  console.log(`  ${text}`);
}

/** Shuts the machine down and boots it again; the listener's documents go on. */
async function reboot(): Promise<void> {
  await listener[Symbol.asyncDispose]();
  await machine.powerOff();
  await machine.boot();
  listener = await MachineListener.start(machine, listener.documents);
}

test("is installed by the package alone, and the agent waits for its configuration", async () => {
  const startedMs = performance.now();
  await agent.install(deb.path);
  tell(`installed in ${Math.round((performance.now() - startedMs) / 1_000)} s`);
  assert.equal(await agent.property("ActiveState"), "inactive");
  await machine.sql("create extension pg_stat_statements");
  await machine.sql("create role bitville_monitor login password 'the password' in role pg_monitor");
  await agent.configure();
  await machine.output("bitville-postgres-agent", "install");
  assert.equal((await agent.systemctl("is-enabled")).trim(), "enabled");
});

test("is verified in silence and exposes little", async () => {
  const { code, stdout, stderr } = await machine.execute(["systemd-analyze", "verify", unit]);
  assert.deepEqual({ code, text: stdout + stderr }, { code: 0, text: "" });
  const [, score = ""] =
    /exposure level for .*: ([\d.]+)/.exec(await machine.output("systemd-analyze", "security", unit)) ??
      [];
  tell(`exposure ${score}`);
  assert(Number(score) <= 1.5, score);
});

test("starts at boot before the database, is ready without it, and catches up", async () => {
  await machine.output("systemctl", "disable", "postgresql");
  await reboot();
  await agent.ready();
  const [began, entered] = [
    await agent.property("ExecMainStartTimestampMonotonic"),
    await agent.property("ActiveEnterTimestampMonotonic"),
  ];
  tell(`ready ${(Number(entered) - Number(began)) / 1e6} s after its start, without a database`);
  await listener.wait("agent_status", { where: ({ data }) => !data.database.reachable });
  assert.match(await agent.property("StatusText"), /^Last cycle .*: 2 of \d collectors well/);
  const [started, after] = [performance.now(), listener.last];
  await machine.output("systemctl", "enable", "--now", "postgresql");
  await listener.wait("pg_stat_activity", { after });
  tell(`sessions delivered ${Math.round((performance.now() - started) / 1_000)} s after the database's start`);
  await assertComplete(listener);
});

test("starts again within seconds when the agent or deno task is killed, and loses nothing", async () => {
  for (const whom of ["the agent", "deno task"]) {
    const pid = await agent.pid();
    const victim = whom === "the agent" ? `${pid}` : await agent.property("MainPID");
    const before = listener.last;
    await machine.output("kill", "-KILL", victim);
    tell(`${whom} killed: ready again after ${await agent.ready(pid)} s`);
    await listener.wait("agent_status", { after: before });
    await assertComplete(listener);
  }
});

test("is started anew by the watchdog when its event loop stands still", async () => {
  await agent.override("watchdog", ["WatchdogSec=10"]);
  await agent.systemctl("restart");
  await agent.ready();
  const pid = await agent.pid();
  const before = listener.last;
  await machine.output("kill", "-STOP", `${pid}`);
  tell(`hung: ready again after ${await agent.ready(pid)} s, of which the watchdog has 10`);
  assert.match(await agent.journal(), /Failed with result 'watchdog'/);
  await listener.wait("agent_status", { after: before });
  await agent.override("watchdog", null);
  await agent.systemctl("restart");
  await agent.ready();
});

test("takes over a changed configuration, refuses a broken one, and is not started again with it", async () => {
  const pid = await agent.pid();
  const line = await agent.reload({ collection: { interval_s: 120 }, listener: { timeout_s: 7 } });
  assert.deepEqual(line.changed, ["listener.timeout_s", "collection.interval_s"]);
  await agent.reload({ database: { port: "many" } }, "reload_refused");
  assert.equal(await agent.pid(), pid);
  await agent.configure({ database: { port: "many" } });
  await machine.execute(["systemctl", "restart", unit]);
  assert.equal(await agent.property("ExecMainStatus"), "78");
  assert.equal(await agent.property("ActiveState"), "failed");
  await agent.configure();
  await agent.systemctl("restart");
  await agent.ready();
});

test("reads the database's log over a rotation with copytruncate, every line once", async () => {
  const marked = () =>
    listener.documents.flatMap(({ type, data }) => type === "pg_log" ? data.entries : [])
      .map(({ message }: { message: string }) => /^rotation (\d+)$/.exec(message)?.[1])
      .filter((number) => number !== undefined).map(Number);
  const write = (from: number) =>
    machine.sql(`do $$ begin for i in ${from}..${from + 99} loop raise log 'rotation %', i; end loop; end $$`);
  await write(0);
  await waitFor("the lines before", () => marked().length === 100);
  await write(100);
  await machine.output("logrotate", "--force", "/etc/logrotate.d/postgresql-common");
  await write(200);
  await waitFor("all lines", () => marked().length >= 300);
  assert.deepEqual(marked(), Array.from({ length: 300 }, (_, index) => index));
  tell("300 of 300 lines once");
});

test("goes on over an upgrade of the package with its configuration, its buffer and its numbers", async () => {
  const before = listener.last;
  const pid = await agent.pid();
  await agent.install(deb.later);
  tell(`upgraded: ready again after ${await agent.ready(pid)} s`);
  const after = await listener.wait("agent_status", { after: before });
  assert.equal(after.agent.version, deb.laterVersion);
  assert.equal(after.key, "Bearer the key");
  await assertComplete(listener);
});

test("keeps what waits over a reboot and delivers it afterwards", async () => {
  await listener.answer(503);
  await agent.cycle();
  const waiting = await waitFor("documents that wait", async () => {
    const [, count] = /; (\d+) documents/.exec(await agent.property("StatusText")) ?? [];
    return Number(count) > 0 && Number(count);
  });
  const before = listener.last;
  await reboot();
  await agent.ready();
  await listener.wait("agent_status", { after: before + waiting });
  tell(`numbers went on from ${before} to ${await assertComplete(listener)}, of which ${waiting} had waited`);
});

test("lives through a full state directory, goes on delivering, and stores again when there is space", async () => {
  const state = "/var/lib/bitville-postgres-agent";
  await agent.systemctl("stop");
  const mount = `mkdir /root/state && cp -a ${state}/. /root/state && mount -t tmpfs -o size=16m tmpfs ${state} &&
    cp -a /root/state/. ${state} && rm -r /root/state`;
  await machine.output("sh", "-c", mount);
  await agent.systemctl("start");
  await agent.ready();
  await agent.cycle();
  const pid = await agent.pid();
  const [full, writable] = [await agent.log("buffer_unwritable"), await agent.log("buffer_writable")];
  await machine.execute(["sh", "-c", `cat /dev/zero >${state}/filling`]);
  const before = listener.last;
  await agent.cycle();
  await agent.event("buffer_unwritable", full.length);
  await listener.wait("pg_stat_activity", { after: before });
  await machine.output("rm", `${state}/filling`);
  await agent.event("buffer_writable", writable.length);
  const after = listener.last;
  await agent.cycle();
  await listener.wait("pg_stat_activity", { after });
  assert.equal(await agent.pid(), pid);
  await agent.systemctl("stop");
  await machine.output("sh", "-c", `cp -a ${state} /root/state && umount ${state} && cp -a /root/state/. ${state}`);
  await agent.systemctl("start");
  await agent.ready();
  await assertComplete(listener);
});

test("is alone with a lack of memory at its own limit: the database does not notice, and the agent goes on", async () => {
  const databaseStart = await machine.sql("select pg_postmaster_start_time()");
  const killed = async () => Number(/^oom_kill (\d+)$/m.exec(await machine.output("cat", "/proc/vmstat"))?.[1]);
  const before = await killed();
  // A leak within the service: more and more memory, until the kernel ends something of the group.
  await agent.override("leak", ["ExecPaths=/usr/bin/tail", "ExecStartPost=/bin/sh -c 'tail /dev/zero &'"]);
  await agent.systemctl("restart");
  await waitFor("the kernel to end something", async () => await killed() > before, { boundMs: 60_000 });
  tell(`most memory in the group: ${Math.round(await memoryPeak(machine, unit) / 2 ** 20)} MiB of 256`);
  await agent.override("leak", null);
  await agent.systemctl("restart");
  await agent.ready();
  assert.equal(await machine.sql("select pg_postmaster_start_time()"), databaseStart);
  const after = listener.last;
  await agent.cycle();
  await listener.wait("pg_stat_activity", { after });
  await assertComplete(listener);
});

test("stays inside its limits beside 500 sessions, 300 of them waiting, and 5,000 statements", async () => {
  await using _load = await load(machine);
  await agent.systemctl("stop");
  await forgetMemoryPeak(machine, unit);
  await agent.systemctl("start");
  await agent.ready();
  const restarts = await agent.property("NRestarts");
  const waiting = { where: ({ data }: Delivered) => data.waiting === waitersCount };
  let status: Delivered | null = null;
  for (let cycle = 0; cycle < 5; cycle++) {
    const after = listener.last;
    await agent.cycle();
    await listener.wait("pg_locks", { after, ...waiting });
    await listener.wait("pg_stat_statements", { after });
    status = await listener.wait("agent_status", { after });
  }
  const peakMb = Math.round(await memoryPeak(machine, unit) / 2 ** 20);
  const { rss_bytes: rssBytes, cpu_s: cpuS } = status!.data.process;
  tell(
    `at most ${peakMb} MiB of 256 in the group, ${Math.round(rssBytes / 1e6)} MB resident, ${cpuS} s of a processor`,
  );
  assert(peakMb > 0 && peakMb < 256, `${peakMb} MiB`);
  assert.equal(await agent.property("NRestarts"), restarts);
  assert(status!.data.collectors.every(({ ok }: { ok: boolean }) => ok), JSON.stringify(status!.data.collectors));
});

test("cannot do harm under its own permissions", async () => {
  const made = await probe(machine, agent, "deno");
  tell(`${made.length} attempts refused by Deno`);
  assertRefused(made, "deno");
});

test("cannot do harm by its unit alone, if Deno's permissions were gone", async () => {
  const made = await probe(machine, agent, "unit");
  for (const { attempt, refused } of made) tell(`${attempt}: ${refused ?? "open"}`);
  // The kernel's filter knows addresses and no ports.
  assertRefused(made, "unit", ["reach another port"]);
});

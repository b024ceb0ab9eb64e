// The doctor on a machine where something is wrong: configuration, permissions, logs, buffer, mounts. What needs another
// user or a mount needs root.
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  type EmbeddedPostgres,
  isRoot,
  startEmbeddedPostgres,
  unprivilegedUser,
} from "../../tasks/demo/embedded_postgres.ts";
import { claimBufferDirectory } from "../../transport/buffer_directory.ts";
import { AgentFolder, type Settings } from "../support/agent_folder.ts";
import { AgentProcess, type AgentProcessOptions, ownEnvironment, projectRoot } from "../support/agent_process.ts";
import { carryOut, findingOf, found, type Report, runDoctor, runShell } from "../support/doctor.ts";
import { copyProjectFor } from "../support/project_copy.ts";

/** Of tests that only root can run. */
const asRoot = { ignore: !isRoot() };
const needsRoot = isRoot() ? "" : " (needs root)";

let server: EmbeddedPostgres;
Deno.test.beforeAll(async () => {
  const settings = { logging_collector: "on", log_destination: "csvlog" };
  server = await startEmbeddedPostgres({ version: 17, settings });
});
Deno.test.afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

function makeFolder(settings: Settings = {}): Promise<AgentFolder> {
  return AgentFolder.create({
    database: server,
    settings: { database: { user: "postgres", password: "" }, ...settings },
  });
}

/** Runs the doctor as nobody, who may not do what root may. */
async function asNobody(run: (folder: AgentFolder, options: AgentProcessOptions) => Promise<void>): Promise<void> {
  const user = unprivilegedUser();
  await using copy = await copyProjectFor(user);
  await using folder = await AgentFolder.create({
    database: server,
    settings: { database: { user: "postgres", password: "" } },
    owner: user,
  });
  await run(folder, { user, root: copy.root, environment: copy.environment });
}

/** Finds, does what the finding says, and answers with the next report. */
async function mendOnce(
  report: Report,
  which: { name: string; state: "warn" | "FAIL"; text: RegExp },
  folder: AgentFolder,
) {
  const finding = findingOf(report, which.name, which.state);
  assert.match(finding.text, which.text);
  await carryOut(finding, { folder, server });
}

Deno.test("doctor lists everything that is wrong with a configuration, and goes on where it can", async () => {
  await using folder = await makeFolder({ logging: { level: "loud" }, database: { port: "five" } });
  const { code, findings } = await runDoctor(folder);
  assert.equal(code, 1);
  const lines = findings.map(({ name, state, text }) => `${name} ${state} ${text}`);
  assert.equal(lines.length, 5, lines.join("\n"));
  assert.ok(lines.every((line) => line.startsWith("configuration FAIL ")), lines.join("\n"));

  await folder.set({ logging: { level: "info" }, database: { port: server.port }, listner: { url: "x" } });
  const next = await runDoctor(folder);
  assert.match(
    found(next, "configuration").join(),
    /^FAIL Cannot start without listener\.url.*warn Section \[listner\]/s,
  );
  assert.match(found(next, "connection")[0]!, /^ok /);

  await folder.set({ logging: { level: "info" }, database: { port: server.port, password: "" } });
  const last = found(await runDoctor(folder), "configuration");
  assert.deepEqual(last.filter((line) => !line.startsWith("FAIL ")), []);
});

Deno.test("doctor tells of a secret that everybody can read", async () => {
  await using folder = await makeFolder({ database: { user: "postgres", password: "secret" } });
  const listener = { url: "http://127.0.0.1:39999", api_key: "key", project_id: "test" };
  await folder.set({ database: { user: "postgres", password: "secret" }, listener });
  await mendOnce(await runDoctor(folder), { name: "configuration", state: "FAIL", text: /holds a secret/ }, folder);
  assert.match(found(await runDoctor(folder), "configuration")[0]!, /^ok /);
  assert.equal((await Deno.stat(folder.iniPath)).mode! & 0o777, 0o640);
});

Deno.test("doctor tells of permissions that are wider than the agent's", async () => {
  await using folder = await makeFolder();
  const args = ["run", "--allow-all", `${projectRoot}main.ts`, "doctor", "--config", folder.iniPath];
  const { stdout } = await new Deno.Command(Deno.execPath(), { args, clearEnv: true, env: ownEnvironment() }).output();
  const text = new TextDecoder().decode(stdout);
  assert.match(
    text,
    /^FAIL permissions: not refused: reading \/etc\/passwd, .*running a program.*mend: .*task doctor/m,
  );
  assert.match(found(await runDoctor(folder), "permissions")[0]!, /^ok tried and refused: reading \/etc\/passwd, /);
});

Deno.test("doctor tells where the server's log really is", async () => {
  await using folder = await makeFolder({ collection: { log_path: "/nowhere/at/all" } });
  await mendOnce(
    await runDoctor(folder),
    { name: "logs", state: "FAIL", text: /There is no log in \/nowhere/ },
    folder,
  );
  const log = join(server.dataDirectory, "log");
  assert.match(found(await runDoctor(folder), "logs")[0]!, new RegExp(`^ok ${log}/.* can be read`));

  const other = join(folder.path, "other");
  await Deno.mkdir(other);
  await Deno.writeTextFile(join(other, "application.log"), "x");
  await folder.set({ collection: { log_path: other } });
  await mendOnce(await runDoctor(folder), { name: "log settings", state: "FAIL", text: /writes its logs to/ }, folder);
  assert.match(found(await runDoctor(folder), "log settings")[0]!, /^ok csvlog/);
});

Deno.test("doctor tells of a log that is configured and not there, whatever is beside it", async () => {
  await using folder = await makeFolder();
  const logs = join(folder.path, "logs");
  await Deno.mkdir(logs);
  await Deno.writeTextFile(join(logs, "postgresql.log"), "x");
  for (const [name, state] of [["other.log", "FAIL"], ["web-*.log", "FAIL"], ["postgresql.log", "ok"], ["*", "ok"]]) {
    await folder.set({ collection: { log_path: join(logs, name!) } });
    const [line] = found(await runDoctor(folder), "logs");
    const rest = state === "ok"
      ? `${logs}/postgresql.log can be read`
      : `There is no log in ${logs} that fits ${logs}/${name}`;
    assert.equal(line, `${state} ${rest}`);
  }
});

Deno.test("doctor tells of csvlog without a collector", async () => {
  await using folder = await makeFolder({ collection: { log_path: server.logFile } });
  await server.query("alter system set logging_collector = off");
  await server.restart();
  const text = /needs logging_collector = on/;
  await mendOnce(await runDoctor(folder), { name: "log settings", state: "FAIL", text }, folder);
  assert.deepEqual(found(await runDoctor(folder), "log settings").filter((line) => text.test(line)), []);
});

Deno.test({
  ...asRoot,
  name: `doctor tells of logs that the agent may not read, right by right${needsRoot}`,
  fn: () =>
    asNobody(async (folder, options) => {
      const logs = join(folder.path, "logs");
      await Deno.mkdir(logs, { mode: 0o700 });
      await Deno.writeTextFile(join(logs, "postgresql.log"), "x", { mode: 0o600 });
      for (const path of [logs, join(logs, "postgresql.log")]) await Deno.chown(path, 0, options.user!.gid);
      await folder.set({ collection: { log_path: logs } });
      const closed = { name: "logs", state: "FAIL" as const, text: /nobody may not read/ };
      await mendOnce(await runDoctor(folder, options), closed, folder);
      await mendOnce(await runDoctor(folder, options), closed, folder);
      assert.match(found(await runDoctor(folder, options), "logs")[0]!, /^ok /);
    }),
});

Deno.test({
  ...asRoot,
  name: `doctor tells of the group whose members read the logs${needsRoot}`,
  async fn() {
    const name = `bitville-test-${Deno.pid}`;
    await runShell(`useradd --system --user-group --no-create-home ${name} && groupadd --system ${name}-logs`);
    try {
      await using copy = await copyProjectFor(unprivilegedUser());
      await using folder = await makeFolder({ collection: { log_path: "" } });
      const logs = join(folder.path, "logs");
      await Deno.mkdir(logs);
      await Deno.writeTextFile(join(logs, "postgresql.log"), "x");
      await runShell(`chmod 0755 ${folder.path} && chmod 0750 ${logs} && chmod 0640 ${logs}/postgresql.log`);
      await runShell(`chgrp -R ${name}-logs ${logs}`);
      await folder.set({ collection: { log_path: logs } });
      const finding = findingOf(await runAs(name, { folder, ...copy }), "logs", "FAIL");
      assert.match(
        finding.mend?.kind === "shell" ? finding.mend.command : "",
        new RegExp(`^usermod -aG \\d+ ${name}$`),
      );
      await carryOut(finding, { folder });
      assert.match(found(await runAs(name, { folder, ...copy }), "logs")[0]!, /^ok /);
    } finally {
      await runShell(`userdel ${name}; groupdel ${name}-logs`);
    }
  },
});

/** With the groups that the user has by now, which a process keeps from its start. */
async function runAs(
  name: string,
  { folder, root, environment }: { folder: AgentFolder; root: string; environment: Record<string, string> },
): Promise<Report> {
  const args = ["-u", name, "--", "sh", `${root}tasks/launch.sh`, "doctor", "--json", "--config", folder.iniPath];
  const env = { ...ownEnvironment(), ...environment };
  const { stdout } = await new Deno.Command("runuser", { args, clearEnv: true, env, cwd: "/" }).output();
  const { ok, checks } = JSON.parse(new TextDecoder().decode(stdout));
  return { code: ok ? 0 : 1, findings: checks.map(({ how, ...check }: { how: unknown }) => ({ ...check, mend: how })) };
}

Deno.test({
  ...asRoot,
  name: `doctor tells of a buffer that the agent may not write${needsRoot}`,
  fn: () =>
    asNobody(async (folder, options) => {
      const path = join(folder.path, "roots/buffer");
      await Deno.mkdir(join(folder.path, "roots"));
      await Deno.chmod(join(folder.path, "roots"), 0o755);
      await folder.set({ buffer: { path } });
      const which = { name: "buffer", state: "FAIL" as const, text: /Permission denied/ };
      await mendOnce(await runDoctor(folder, options), which, folder);
      assert.match(found(await runDoctor(folder, options), "buffer")[0]!, /^ok .* can be written/);
    }),
});

Deno.test("doctor leaves nothing behind where there was no buffer", async () => {
  await using folder = await makeFolder();
  assert.match(found(await runDoctor(folder), "buffer")[0]!, /^ok .* can be made/);
  await assert.rejects(Deno.stat(folder.bufferPath), Deno.errors.NotFound);
});

Deno.test("doctor tells of a buffer that others can look into, that is damaged, and that is a file", async () => {
  await using folder = await makeFolder();
  await Deno.mkdir(folder.bufferPath, { mode: 0o755 });
  await Deno.chmod(folder.bufferPath, 0o755);
  await mendOnce(await runDoctor(folder), { name: "buffer", state: "warn", text: /Other users/ }, folder);
  assert.match(found(await runDoctor(folder), "buffer")[0]!, /^ok /);

  await Deno.writeTextFile(join(folder.bufferPath, "outbox.kv"), "This is not a database at all");
  assert.match(found(await runDoctor(folder), "buffer")[0]!, /^warn .*is no database/);

  await folder.set({ buffer: { path: folder.iniPath } });
  await mendOnce(await runDoctor(folder), { name: "buffer", state: "FAIL", text: /agent\.ini/ }, folder);
  assert.match(found(await runDoctor(folder), "buffer")[0]!, /^ok /);
});

Deno.test("doctor leaves a buffer alone where an agent runs", async () => {
  await using folder = await makeFolder();
  using _agent = await claimBufferDirectory(folder.bufferPath);
  assert.match(found(await runDoctor(folder), "buffer")[0]!, /^ok .*where an agent is running, \d+ MB free/);
});

Deno.test({
  ...asRoot,
  name: `doctor tells of a file system that is too small for the buffer, or full${needsRoot}`,
  async fn() {
    await using folder = await makeFolder();
    await Deno.mkdir(folder.bufferPath, { mode: 0o700 });
    await runShell(`mount -t tmpfs -o size=20m,mode=0700 tmpfs ${folder.bufferPath}`);
    try {
      await mendOnce(await runDoctor(folder), { name: "buffer", state: "warn", text: /may grow to 100 MB/ }, folder);
      assert.match(found(await runDoctor(folder), "buffer")[0]!, /^ok /);
      const filler = join(folder.bufferPath, "filler");
      await runShell(`dd if=/dev/zero of=${filler} bs=1M 2>/dev/null || true`);
      assert.match(findingOf(await runDoctor(folder), "buffer", "FAIL").text, /No space left/);
      await Deno.remove(filler);
      assert.match(found(await runDoctor(folder), "buffer")[0]!, /^ok /);
    } finally {
      await runShell(`umount ${folder.bufferPath}`);
    }
  },
});

Deno.test({
  ...asRoot,
  name: `doctor tells of figures of the machine that are out of reach${needsRoot}`,
  async fn() {
    await using folder = await makeFolder();
    const path = join(folder.path, "proc");
    await folder.set({ system: { procfs_path: path } });
    const report = await runDoctor(folder);
    const findings = report.findings.filter(({ name }) => name === "system");
    assert.deepEqual(findings.map(({ text }) => text.split(":")[0]), ["disk_io", "network_io"]);
    try {
      for (const finding of findings) await carryOut(finding, { folder });
      assert.deepEqual(found(await runDoctor(folder), "system"), ["ok all figures of the machine"]);
    } finally {
      await runShell(`umount ${path}/diskstats; umount ${path}/net/dev`);
    }
  },
});

Deno.test("doctor --json and doctor tell the same", async () => {
  await using folder = await makeFolder();
  const { findings } = await runDoctor(folder);
  const { stdout } = await AgentProcess.run(folder, { command: "doctor" });
  const names = stdout.trimEnd().split("\n").map((line) => /^(ok|warn|FAIL) +([^:]+): /.exec(line)!.slice(1));
  assert.deepEqual(names, findings.map(({ state, name }) => [state, name]));
});

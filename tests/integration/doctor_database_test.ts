// The doctor on a real server that is healthy, then broken in many ways: the line that it prints, and that carrying out
// what the line says mends it.
import assert from "node:assert/strict";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../tasks/demo/embedded_postgres.ts";
import { AgentFolder, type Settings } from "../support/agent_folder.ts";
import { carryOut, findingOf, found, runDoctor } from "../support/doctor.ts";
import { pgbouncerMissing, startPgbouncer } from "../support/pgbouncer.ts";
import { connectClient } from "../support/test_client.ts";
import { waitFor } from "../support/wait_for.ts";

const user = "bitville_monitor";
const prefix = "%m [%p] %q%u@%d %a ";

let server: EmbeddedPostgres;
Deno.test.beforeAll(async () => {
  server = await startEmbeddedPostgres({
    version: 18,
    settings: { log_line_prefix: `'${prefix}'` },
    hba: ["host all with_password 127.0.0.1/32 scram-sha-256"],
  });
  await server.query(await Deno.readTextFile(new URL("../../systemd/role.sql", import.meta.url)));
  await server.query("create extension pg_stat_statements");
});
Deno.test.afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

function makeFolder(settings: Settings = {}): Promise<AgentFolder> {
  const collection = { log_path: server.logFile };
  return AgentFolder.create({
    database: server,
    settings: { ...settings, collection, database: { user, password: "", ...settings.database } },
  });
}

/** A way to break the server or the configuration, and what is said of it. */
interface Breakage {
  name: string;
  state: "warn" | "FAIL";
  text: RegExp;
  /** Statements, each on its own. */
  sql?: string[];
  restart?: true;
  settings?: Settings;
}

const breakages: Record<string, Breakage> = {
  "a role without statistics": {
    name: "role",
    state: "FAIL",
    text: /does not see what other roles do/,
    sql: [`revoke pg_read_all_stats from ${user}`],
  },
  "a role without settings": {
    name: "role",
    state: "warn",
    text: /does not see where the server writes its log/,
    sql: [`revoke pg_read_all_settings from ${user}`],
  },
  "a role with fewer connections than configured": {
    name: "role",
    state: "warn",
    text: /may open 2 connections, and database.pool_max_size is 3/,
    sql: [`alter role ${user} connection limit 2`],
  },
  "a superuser": {
    name: "role",
    state: "warn",
    text: /is a superuser/,
    settings: { database: { user: "postgres" } },
  },
  "a role without any connection": {
    name: "connection",
    state: "FAIL",
    text: /too many connections for role/,
    sql: [`alter role ${user} connection limit 0`],
  },
  "a role that may not log in": {
    name: "connection",
    state: "FAIL",
    text: /is not permitted to log in/,
    sql: [`alter role ${user} nologin`],
  },
  "a role that does not exist": {
    name: "connection",
    state: "FAIL",
    text: /role "nobody yet" does not exist/,
    settings: { database: { user: "nobody yet" } },
  },
  "a database that does not exist": {
    name: "connection",
    state: "FAIL",
    text: /database "no such place" does not exist/,
    settings: { database: { name: "no such place" } },
  },
  "a database that is closed to the role": {
    name: "connection",
    state: "FAIL",
    text: /permission denied for database/,
    sql: ["create database closed", "revoke connect on database closed from public"],
    settings: { database: { name: "closed" } },
  },
  "no extension": {
    name: "pg_stat_statements",
    state: "FAIL",
    text: /not created in database postgres/,
    sql: ["drop extension pg_stat_statements"],
  },
  "an old extension": {
    name: "pg_stat_statements",
    state: "warn",
    text: /Version 1\.9 is installed, and the server's files have 1\.\d+/,
    sql: ["drop extension pg_stat_statements", "create extension pg_stat_statements version '1.9'"],
  },
  "an extension that is too old": {
    name: "pg_stat_statements",
    state: "warn",
    text: /Version 1\.4 is installed, and the server's files have 1\.\d+/,
    sql: ["drop extension pg_stat_statements", "create extension pg_stat_statements version '1.4'"],
  },
  "an extension in a closed schema": {
    name: "pg_stat_statements",
    state: "FAIL",
    text: /permission denied for schema closed/,
    sql: ["create schema closed", "alter extension pg_stat_statements set schema closed"],
  },
  "an extension that may not be called": {
    name: "pg_stat_statements",
    state: "FAIL",
    text: /permission denied for function/,
    sql: [
      "drop extension pg_stat_statements",
      "create schema other",
      "create extension pg_stat_statements schema other",
      "grant usage on schema other to public",
      "revoke execute on function other.pg_stat_statements from public",
    ],
  },
  "a library that is not loaded": {
    name: "pg_stat_statements",
    state: "FAIL",
    text: /library is not loaded/,
    sql: ["alter system set shared_preload_libraries = auto_explain"],
    restart: true,
  },
  "statements that are not counted": {
    name: "pg_stat_statements",
    state: "FAIL",
    text: /track is none/,
    sql: ["alter system set pg_stat_statements.track = none", "select pg_reload_conf()"],
  },
  "statements without an id": {
    name: "pg_stat_statements",
    state: "FAIL",
    text: /compute_query_id is off/,
    sql: ["alter system set compute_query_id = off", "select pg_reload_conf()"],
  },
  "sessions without statements": {
    name: "pg_stat_statements",
    state: "FAIL",
    text: /track_activities is off/,
    sql: ["alter system set track_activities = off", "select pg_reload_conf()"],
  },
  "too few entries": {
    name: "pg_stat_statements",
    state: "warn",
    text: /of 100 entries are in use/,
    sql: ["alter system set pg_stat_statements.max = 100"],
    restart: true,
  },
  "a prefix without the application's name": {
    name: "log settings",
    state: "warn",
    text: /has no %a/,
    sql: ["alter system set log_line_prefix = '%m [%p] '", "select pg_reload_conf()"],
  },
  "a prefix that tells nothing": {
    name: "log settings",
    state: "warn",
    text: /has no %m/,
    sql: ["alter system set log_line_prefix = '[%p] %a '", "select pg_reload_conf()"],
  },
  "a log that goes to no file": {
    name: "log settings",
    state: "FAIL",
    text: /names no file/,
    sql: ["alter system set log_destination = syslog", "select pg_reload_conf()"],
  },
};

Deno.test("doctor finds a healthy server healthy", async () => {
  await using folder = await makeFolder();
  await Deno.chmod(folder.iniPath, 0o600);
  const report = await runDoctor(folder);
  const checked = report.findings.filter(({ state }) => state === "ok").map(({ name }) => name);
  const ofDatabase = ["connection", "versions", "pooler", "role", "pg_stat_statements", "logs", "log settings"];
  assert.deepEqual(
    [...ofDatabase, "correlation", "cycle", "clock", "buffer", "permissions"].filter((name) => !checked.includes(name)),
    [],
  );
  // The listener is not configured here, and the unit's mounts are not there.
  const others = report.findings.filter(({ state }) => state !== "ok").map(({ name }) => name);
  assert.deepEqual([...new Set(others)], ["configuration", "system"]);
});

for (const [what, breakage] of Object.entries(breakages)) {
  Deno.test(`doctor tells of ${what}, and what it says mends that`, async () => {
    const { name, state, text, sql = [], restart, settings } = breakage;
    await using folder = await makeFolder(settings);
    for (const statement of sql) await server.query(statement);
    if (restart) await server.restart();
    if (what === "too few entries") await fillStatements();
    const first = await seen(folder, { name, text });
    const finding = findingOf(first, name, state);
    assert.match(finding.text, text);
    await carryOut(finding, { folder, server });
    await waitFor(`${name} to be mended`, async () => {
      const lines = found(await runDoctor(folder), name);
      return lines.length > 0 && !lines.some((line) => text.test(line));
    });
  });
}

/** A reload takes a moment to arrive in every session. */
function seen(folder: AgentFolder, { name, text }: Pick<Breakage, "name" | "text">) {
  return waitFor(`a finding of ${name}`, async () => {
    const report = await runDoctor(folder);
    return found(report, name).some((line) => text.test(line)) ? report : null;
  });
}

async function fillStatements(): Promise<void> {
  await using client = await connectClient(server);
  for (let columns = 1; columns <= 110; columns++) await client.run(`select ${Array(columns).fill("1").join(", ")}`);
}

Deno.test("doctor tells of a server that is not there, and of what it could not look at", async () => {
  await using folder = await makeFolder();
  await server.stop();
  const report = await runDoctor(folder);
  assert.match(findingOf(report, "connection", "FAIL").text, /ECONNREFUSED/);
  assert.match(found(report, "database")[0]!, /not looked at without a connection: versions, pooler, role/);
  await server.start();
  assert.match(found(await runDoctor(folder), "connection")[0]!, /^ok /);
});

Deno.test("doctor ends with a server that hangs", async () => {
  await using folder = await makeFolder();
  server.signal("SIGSTOP");
  try {
    assert.equal((await runDoctor(folder)).code, 1);
  } finally {
    server.signal("SIGCONT");
  }
});

Deno.test("doctor tells of a wrong password and where the right one belongs", async () => {
  await server.query("create role with_password login password 'right' in role pg_read_all_stats");
  await using folder = await makeFolder();
  const passwordFile = `${folder.path}/password`;
  await Deno.writeTextFile(passwordFile, "wrong", { mode: 0o600 });
  await folder.set({ database: { user: "with_password", password_file: passwordFile } });
  const { mend, text } = findingOf(await runDoctor(folder), "connection", "FAIL");
  assert.match(text, /password authentication failed/);
  assert.match(mend?.kind === "advice" ? mend.text : "", new RegExp(`write the password .* to ${passwordFile}`));
  await Deno.writeTextFile(passwordFile, "right");
  assert.match(found(await runDoctor(folder), "connection")[0]!, /^ok /);
});

Deno.test("doctor tells of a server that does not let the role in, and the line of pg_hba.conf that does", async () => {
  await using folder = await makeFolder();
  await server.query(`alter role ${user} password 'known'`);
  await folder.set({ database: { password: "known" } });
  const path = `${server.dataDirectory}/pg_hba.conf`;
  const before = await Deno.readTextFile(path);
  try {
    await Deno.writeTextFile(path, "host all postgres 127.0.0.1/32 trust\n");
    await server.query("select pg_reload_conf()");
    const text = /no pg_hba\.conf entry/;
    const { mend } = findingOf(await seen(folder, { name: "connection", text }), "connection", "FAIL");
    const [, line] = /add "(.*)" to pg_hba/.exec(mend?.kind === "advice" ? mend.text : "") ?? [];
    await Deno.writeTextFile(path, `host all postgres 127.0.0.1/32 trust\n${line}\n`);
    await server.query("select pg_reload_conf()");
    await seen(folder, { name: "connection", text: /^ok / });
  } finally {
    await Deno.writeTextFile(path, before);
    await server.query("select pg_reload_conf()");
  }
});

Deno.test("doctor tells of a socket whose peer is another, and the two lines that map it", async () => {
  await using folder = await makeFolder();
  await folder.set({ database: { host: server.socketDirectory } });
  const [hba, ident] = ["pg_hba.conf", "pg_ident.conf"].map((name) => `${server.dataDirectory}/${name}`);
  const before = await Promise.all([hba!, ident!].map((path) => Deno.readTextFile(path)));
  const write = async (hbaText: string, identText: string) => {
    await Deno.writeTextFile(hba!, `${hbaText}\nlocal all ${user} peer\nhost all postgres 127.0.0.1/32 trust\n`);
    await Deno.writeTextFile(ident!, identText);
    await server.query("select pg_reload_conf()");
  };
  try {
    await write("", "");
    const text = /Peer authentication failed/;
    const { mend } = findingOf(await seen(folder, { name: "connection", text }), "connection", "FAIL");
    const lines = [...(mend?.kind === "advice" ? mend.text : "").matchAll(/"([^"]*)"/g)].map(([, line]) => line!);
    await write(lines[0]!, `${lines[1]}\n`);
    await seen(folder, { name: "connection", text: /^ok / });
  } finally {
    await Deno.writeTextFile(hba!, before[0]!);
    await Deno.writeTextFile(ident!, before[1]!);
    await server.query("select pg_reload_conf()");
  }
});

Deno.test({
  name: `doctor tells of PgBouncer in between, and the port behind it${
    pgbouncerMissing ? ` (${pgbouncerMissing})` : ""
  }`,
  ignore: pgbouncerMissing !== null,
  fn: async () => {
    await using pgbouncer = await startPgbouncer(server);
    await using folder = await makeFolder({ database: { user: "postgres", port: pgbouncer.port } });
    const finding = findingOf(await runDoctor(folder), "pooler", "warn");
    assert.deepEqual(finding.mend, { kind: "setting", section: "database", key: "port", value: String(server.port) });
    await carryOut(finding, { folder, server });
    assert.match(found(await runDoctor(folder), "pooler")[0]!, /^ok none/);
  },
});

Deno.test("doctor tells that no session carries a correlation id, until one does", async () => {
  await using folder = await makeFolder();
  await using application = await connectClient(server, { application_name: "web" });
  assert.match(findingOf(await runDoctor(folder), "correlation", "warn").text, /0 of 1 sessions/);
  await application.run("set application_name = 'bitville-0f8fad5b-d9cb-469f-a165-70867728950e'");
  assert.deepEqual(found(await runDoctor(folder), "correlation"), ["ok 1 of 1 sessions carry a correlation id"]);
});

Deno.test("doctor tells which collector fails", async () => {
  await using folder = await makeFolder();
  await server.query("drop extension pg_stat_statements");
  await server.query("create extension pg_stat_statements");
  await server.query("revoke execute on function pg_stat_statements_info() from public");
  assert.match(found(await runDoctor(folder), "cycle")[0]!, /^FAIL pg_stat_statements: permission denied for function/);
  await server.query("grant execute on function pg_stat_statements_info() to public");
  assert.match(found(await runDoctor(folder), "cycle")[0]!, /^ok /);
});

/**
 * The agent's flags: to the letter, and what a real process under them can and cannot do.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { settings, variableOf } from "../../config.ts";
import { agentPermissions, type PermissionOptions } from "../../tasks/permissions.ts";
import { config, listener } from "../support/config_loading.ts";
import { withFolder } from "../support/with_folder.ts";

const start: PermissionOptions = { command: "start", root: "/code", configPath: null };
const once: PermissionOptions = { ...start, command: "once" };
const pressure = ["/proc/pressure/cpu", "/proc/pressure/memory", "/proc/pressure/io"];
const procfs = ["/run/bitville-postgres-agent/proc", ...pressure];

async function flags(environment: Record<string, string>, options: PermissionOptions): Promise<string[]> {
  const files = {
    "/p": "p",
    "/k": "k",
    "/ca.pem": "-----BEGIN CERTIFICATE-----",
    "/root.pem": "-----BEGIN CERTIFICATE-----",
  };
  return agentPermissions(await config({ environment, files, requires: "listener" }), options);
}

/** The values of one flag, or nothing. */
function valuesOf(flags: readonly string[], name: string): string[] | undefined {
  return flags.find((flag) => flag.startsWith(`--allow-${name}=`))?.replace(/^[^=]*=/, "").split(",");
}

Deno.test("agentPermissions gives the agent exactly what its defaults need", async () => {
  assert.deepEqual(await flags(listener, start), [
    "--no-prompt",
    "--allow-net=localhost:5432,x:443",
    `--allow-read=/code,/var/log/postgresql,${procfs.join(",")},/var/lib/bitville-postgres-agent/buffer`,
    "--allow-write=/var/lib/bitville-postgres-agent/buffer",
    `--allow-env=PG*,BITVILLE_PG_CONFIG_PATH,CREDENTIALS_DIRECTORY,${
      settings.map(variableOf).join(",")
    },NOTIFY_SOCKET,RUNTIME_DIRECTORY,WATCHDOG_USEC`,
    "--allow-sys=hostname,loadavg,systemMemoryInfo,osUptime,cpus,osRelease,statfs",
  ]);
});

Deno.test("agentPermissions gives once neither the listener nor the buffer nor any writing", async () => {
  const given = await flags({ ...listener, BITVILLE_PG_LISTENER_CA_FILE: "/ca.pem" }, once);
  assert.deepEqual(valuesOf(given, "net"), ["localhost:5432"]);
  assert.deepEqual(valuesOf(given, "read"), ["/code", "/var/log/postgresql", ...procfs]);
  assert.equal(given.some((flag) => flag.startsWith("--allow-write")), false);
});

Deno.test("agentPermissions opens the files that the configuration names, and only those in use", async () => {
  const environment = {
    ...listener,
    BITVILLE_PG_LISTENER_API_KEY: "",
    BITVILLE_PG_LISTENER_API_KEY_FILE: "/k",
    BITVILLE_PG_DB_PASSWORD_FILE: "/p",
    BITVILLE_PG_DB_SSLROOTCERT: "/root.pem",
    BITVILLE_PG_LISTENER_CA_FILE: "/ca.pem",
    BITVILLE_PG_POSTGRES_LOG_PATH: "/logs",
    BITVILLE_PG_BUFFER_PATH: "/buffer",
    BITVILLE_PG_PROCFS_PATH: "/procfs",
  };
  const options = { ...start, configPath: "/etc/agent.ini" };
  const all = [
    "/code",
    "/etc/agent.ini",
    "/p",
    "/root.pem",
    "/logs",
    "/procfs",
    ...pressure,
    "/k",
    "/ca.pem",
    "/buffer",
  ];
  assert.deepEqual(valuesOf(await flags(environment, options), "read"), all);
  const direct = { ...environment, BITVILLE_PG_LISTENER_API_KEY: "k", BITVILLE_PG_DB_PASSWORD: "p" };
  const unused = ["/p", "/k"];
  assert.deepEqual(valuesOf(await flags(direct, options), "read"), all.filter((path) => !unused.includes(path)));
});

Deno.test("agentPermissions opens the folder of the logs, whatever names it", async () => {
  const cases: [string, string | null, boolean?][] = [
    ["/var/log/postgresql", "/var/log/postgresql"],
    ["/var/log/postgresql/server.log", "/var/log/postgresql"],
    ["/var/log/postgresql/server.json", "/var/log/postgresql"],
    ["/var/log/postgresql/server", "/var/log/postgresql/server"],
    ["/var/log/postgresql/server", "/var/log/postgresql", false],
    ["/var/log/folder.log", "/var/log/folder.log", true],
    ["/var/log/postgresql/*.log", "/var/log/postgresql"],
    ["/var/log/pg/postgresql-1?.csv", "/var/log/pg"],
    ["/var/log/pg/postgresql*", "/var/log/pg"],
    ["/server.log", "/server.log"],
  ];
  for (const [path, expected, logPathIsDirectory] of cases) {
    const options = { ...once, ...(logPathIsDirectory === undefined ? {} : { logPathIsDirectory }) };
    const given = await flags({ ...listener, BITVILLE_PG_POSTGRES_LOG_PATH: path }, options);
    assert.deepEqual(valuesOf(given, "read"), ["/code", expected, ...procfs], path);
  }
  const off = await config({ ini: "[collection]\nlog_path =" });
  assert.deepEqual(valuesOf(agentPermissions(off, once), "read"), ["/code", ...procfs]);
});

Deno.test("agentPermissions names hosts with their ports, IPv6 in brackets", async () => {
  const cases: [string, string, string[]][] = [
    ["db", "https://x.example", ["db:5432", "x.example:443"]],
    ["::1", "http://[::1]/", ["[::1]:5432", "[::1]:80"]],
    ["10.0.0.1", "https://x.example:8443/in?a", ["10.0.0.1:5432", "x.example:8443"]],
    ["localhost", "http://localhost:5432", ["localhost:5432"]],
  ];
  for (const [host, url, expected] of cases) {
    const given = await flags({ ...listener, BITVILLE_PG_DB_HOST: host, BITVILLE_PG_LISTENER_URL: url }, start);
    assert.deepEqual(valuesOf(given, "net"), expected);
  }
});

Deno.test("agentPermissions opens a socket and not its folder", async () => {
  const given = await flags({ ...listener, BITVILLE_PG_DB_HOST: "/tmp/", BITVILLE_PG_DB_PORT: "5433" }, once);
  assert.deepEqual(valuesOf(given, "net"), ["unix:/tmp/.s.PGSQL.5433"]);
  assert.equal(valuesOf(given, "read")?.at(-1), "/tmp/.s.PGSQL.5433");
  assert.deepEqual(valuesOf(given, "write"), ["/tmp/.s.PGSQL.5433"]);
});

Deno.test("agentPermissions refuses a path with a comma, which flags cannot express", async () => {
  for (const options of [{ ...start, root: "/a,b" }, { ...start, configPath: "/a,b.ini" }]) {
    await assert.rejects(flags(listener, options), /Cannot allow a path because it must hold no comma: current value/);
  }
});

/** Runs the probe under the agent's flags and checks the outcome of each attempt. */
async function probe(flags: string[], attempts: [attempt: string[], expected: string][]): Promise<void> {
  const script = fileURLToPath(new URL("./permissions_probe.ts", import.meta.url));
  const args = ["run", ...flags, script, ...attempts.map(([attempt]) => JSON.stringify(attempt))];
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
  const outcomes = new TextDecoder().decode(stdout).trimEnd().split("\n");
  assert.equal(outcomes.length, attempts.length, new TextDecoder().decode(stderr));
  for (const [index, [attempt, expected]] of attempts.entries()) {
    assert.equal(outcomes[index]?.split(":")[0], expected, `${JSON.stringify(attempt)}: ${outcomes[index]}`);
  }
}

/** A listener that takes every connection and says nothing. */
function listen(options: { hostname: string } | { path: string }): Deno.Listener {
  const server = "path" in options
    ? Deno.listen({ transport: "unix", ...options })
    : Deno.listen({ port: 0, ...options });
  (async () => {
    for await (const connection of server) connection.close();
  })();
  return server;
}

function portOf(server: Deno.Listener): string {
  return String((server.addr as Deno.NetAddr).port);
}

for (const [hostname, name] of [["127.0.0.1", "127.0.0.1"], ["127.0.0.1", "localhost"], ["::1", "::1"]] as const) {
  Deno.test({
    name: `agentPermissions lets a process reach its database at ${name} and nothing beside`,
    // Machines without IPv6 have nothing to reach there.
    ignore: hostname === "::1" && !hasIPv6(),
    fn: async () => {
      using database = listen({ hostname });
      using other = listen({ hostname });
      const environment = { ...listener, BITVILLE_PG_DB_HOST: name, BITVILLE_PG_DB_PORT: portOf(database) };
      await probe(await flags(environment, once), [
        [["tcp", name, portOf(database)], "ok"],
        [["tcp", name, portOf(other)], "denied"],
        [["tcp", "127.0.0.2", portOf(database)], "denied"],
        [["fetch", "https://x/"], "denied"],
      ]);
    },
  });
}

function hasIPv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

Deno.test("agentPermissions lets a process reach its socket and nothing beside", async () => {
  await withFolder(async (folder) => {
    using _database = listen({ path: join(folder, ".s.PGSQL.5432") });
    using _other = listen({ path: join(folder, ".s.PGSQL.5433") });
    await probe(await flags({ ...listener, BITVILLE_PG_DB_HOST: folder }, once), [
      [["unix", join(folder, ".s.PGSQL.5432")], "ok"],
      [["unix", join(folder, ".s.PGSQL.5433")], "denied"],
      [["tcp", "localhost", "5432"], "denied"],
      [["list", folder], "denied"],
      [["write", join(folder, "x")], "denied"],
    ]);
  });
});

Deno.test("agentPermissions lets a process reach its listener", async () => {
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("ok"));
  const url = `http://127.0.0.1:${server.addr.port}/`;
  await probe(await flags({ ...listener, BITVILLE_PG_LISTENER_URL: url }, start), [[["fetch", url], "ok"]]);
  await probe(await flags({ ...listener, BITVILLE_PG_LISTENER_URL: url }, once), [[["fetch", url], "denied"]]);
});

Deno.test("agentPermissions lets a process read and write its own files and make its buffer", async () => {
  await withFolder(async (folder) => {
    for (const name of ["code", "logs"]) await Deno.mkdir(join(folder, name));
    for (const name of ["code/main.ts", "logs/a.log", "agent.ini", "other"]) {
      await Deno.writeTextFile(join(folder, name), "");
    }
    const buffer = join(folder, "made", "on the way", "buffer");
    const environment = {
      ...listener,
      BITVILLE_PG_POSTGRES_LOG_PATH: join(folder, "logs", "a.log"),
      BITVILLE_PG_BUFFER_PATH: buffer,
    };
    const options = { ...start, root: join(folder, "code"), configPath: join(folder, "agent.ini") };
    await probe(await flags(environment, options), [
      [["read", join(folder, "code", "main.ts")], "ok"],
      [["write", join(folder, "code", "main.ts")], "denied"],
      [["read", join(folder, "agent.ini")], "ok"],
      [["write", join(folder, "agent.ini")], "denied"],
      [["list", join(folder, "logs")], "ok"],
      [["write", join(folder, "logs", "a.log")], "denied"],
      [["read", join(folder, "other")], "denied"],
      [["list", folder], "denied"],
      // Its parents do not exist and are not permitted.
      [["mkdir", buffer], "ok"],
      [["write", join(buffer, "x")], "ok"],
      [["read", join(buffer, "x")], "ok"],
      [["mkdir", join(folder, "beside")], "denied"],
      [["read", "/etc/bitville/postgres-agent.ini"], "denied"],
    ]);
    assert.equal((await Deno.stat(buffer)).mode! & 0o777, 0o700);
  });
});

Deno.test("agentPermissions lets a process see its variables and the machine, and start nothing", async () => {
  await probe(await flags(listener, start), [
    [["env", "PGPASSFILE"], "ok"],
    [["env", "BITVILLE_PG_CONFIG_PATH"], "ok"],
    ...settings.map((setting): [string[], string] => [["env", variableOf(setting)], "ok"]),
    [["env", "BITVILLE_PG_OTHER"], "denied"],
    [["env", "HOME"], "denied"],
    [["env", "AWS_SECRET_ACCESS_KEY"], "denied"],
    [["sys"], "ok"],
    [["space", "/proc/pressure/cpu"], "ok"],
    [["space", "/"], "denied"],
    [["read", "/proc/diskstats"], "denied"],
    [["interfaces"], "denied"],
    [["run", "true"], "denied"],
  ]);
});

// What install puts on a server and package into a .deb: complete, nothing that only development needs, the same again.
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { isRoot } from "../../tasks/demo/embedded_postgres.ts";
import { dropInText } from "../../systemd/drop_in.ts";
import { install, installedFiles } from "../../systemd/install.ts";
import * as layout from "../../systemd/layout.ts";
import { buildPackage } from "../../systemd/package.ts";
import { ownEnvironment } from "../support/agent_process.ts";
import { config, listener as listenerVariables } from "../support/config_loading.ts";
import { sharedPostgres } from "../support/shared_postgres.ts";

const postgres = sharedPostgres();

/** A folder that stands for the root of a server. */
class Root implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async create(): Promise<Root> {
    return new Root(await Deno.makeTempDir({ prefix: "bitville-root-" }));
  }

  /** Installs, and answers with what it said. */
  async install(dryRun = false): Promise<string[]> {
    const lines: string[] = [];
    assert.equal(await install({ root: this.path, dryRun, print: (line) => void lines.push(line) }), 0);
    return lines;
  }

  at(path: string): string {
    return join(this.path, path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

Deno.test("install tells every change beforehand, makes it, and has nothing to do again", async () => {
  await using root = await Root.create();
  const told = await root.install(true);
  assert.deepEqual(await Array.fromAsync(Deno.readDir(root.path)), []);
  const made = await root.install();
  assert.deepEqual(told.slice(0, -1), made.slice(0, -1).map((line) => `would ${line}`));
  assert.deepEqual(await root.install(), ["Nothing to change"]);
});

Deno.test("install brings up to date what is there, keeps the configuration, and takes away what is no more", async () => {
  await using root = await Root.create();
  await root.install();
  const [main, old] = ["main.ts", "tasks/gone.ts"].map((name) => root.at(`${layout.codePath}/${name}`));
  const configuration = root.at(layout.configurationPath);
  await Deno.writeTextFile(main!, "an older version");
  await Deno.writeTextFile(old!, "of an older version");
  await Deno.chmod(root.at(layout.unitPath), 0o600);
  await Deno.writeTextFile(configuration, "[database]\nname = mine\n");
  const lines = await root.install();
  assert.deepEqual(lines, [
    `replace ${main}`,
    `set mode 0644 of ${root.at(layout.unitPath)}`,
    `remove ${old}`,
    "3 changes made",
  ]);
  assert.equal(await Deno.readTextFile(configuration), "[database]\nname = mine\n");
});

Deno.test("install carries what the agent imports and nothing that only tests, demo and checks need", async () => {
  const paths = (await installedFiles()).map(({ path }) => path);
  const carried = (part: string) => paths.filter((path) => path.includes(part));
  for (const part of ["/pg/", "/ini/", "/@logtape/logtape/", "/cockatiel/", "/tasks/start.ts", "/systemd/role.sql"]) {
    assert.ok(carried(part).length > 0, part);
  }
  for (const part of ["ajv", "fast-check", "libpg-query", "@types/", "/tests/", "/demo/", "/check/", "listener_"]) {
    assert.deepEqual(carried(part), []);
  }
});

Deno.test("The installed agent runs with neither a network nor another Deno", async () => {
  await using root = await Root.create();
  await root.install();
  // Only root can take the network away.
  const alone = isRoot() ? ["unshare", "--net"] : [];
  const [program, ...args] = [...alone, "sh", root.at(`${layout.codePath}/tasks/launch.sh`), "once"];
  const { code, stdout, stderr } = await new Deno.Command(program!, {
    args,
    cwd: "/",
    clearEnv: true,
    env: {
      PATH: "/usr/bin:/bin",
      HOME: "/nonexistent",
      BITVILLE_PG_DB_HOST: postgres().socketDirectory,
      BITVILLE_PG_DB_PORT: String(postgres().port),
      BITVILLE_PG_DB_USER: "postgres",
      BITVILLE_PG_POSTGRES_LOG_PATH: "",
    },
  }).output();
  const decoder = new TextDecoder();
  assert.equal(code, 0, decoder.decode(stderr));
  assert.doesNotMatch(decoder.decode(stderr), /Download/);
  const types = decoder.decode(stdout).trimEnd().split("\n").map((line) => JSON.parse(line).type).sort();
  assert.deepEqual(types, ["pg_locks", "pg_stat_activity", "system_metrics"]);
});

Deno.test("dropInText holds the service to its peers where they are addresses, and opens the folders of its settings", async () => {
  const lines = async (ini: string) => {
    const loaded = await config({ ini, environment: listenerVariables, requires: "database" });
    return dropInText(loaded).split("\n").filter((line) => /^[A-Z]\w+=/.test(line));
  };
  const logs = "BindReadOnlyPaths=-/var/log/postgresql";
  assert.deepEqual(await lines("[database]\nhost = db.example\n"), [logs]);
  assert.deepEqual(await lines("[database]\nhost = 10.0.0.1\n"), [logs]);
  const listener = "[listener]\nurl = https://[2001:db8::1]:8443/x\n";
  const closed = async (host: string) => {
    const ini = `[database]\nhost = ${host}\n${listener}`;
    return dropInText(await config({ ini, requires: "database" })).split("\n").filter((line) => line.startsWith("IP"));
  };
  const allow = "IPAddressAllow=2001:db8::1";
  assert.deepEqual(await closed("10.0.0.1"), ["IPAddressDeny=any", "IPAddressAllow=10.0.0.1", allow]);
  assert.deepEqual(await closed("localhost"), ["IPAddressDeny=any", "IPAddressAllow=localhost", allow]);
  assert.deepEqual(await closed("/run/postgresql"), ["IPAddressDeny=any", allow]);

  const elsewhere = "[database]\nhost = /tmp/pg\n[collection]\nlog_path = /home/my db/50%: log/*.log\n" +
    "[buffer]\npath = /srv/buffer\n";
  assert.deepEqual(await lines(elsewhere), [
    'BindReadOnlyPaths=-"/home/my db/50%%\\\\: log"',
    "ReadWritePaths=/srv/buffer",
    "PrivateTmp=no",
  ]);
});

const lintian = await new Deno.Command("sh", { args: ["-c", "command -v lintian"] }).output().then(({ success }) =>
  success
);
const dpkg = await new Deno.Command("sh", { args: ["-c", "command -v dpkg-deb"] }).output().then(({ success }) =>
  success
);

Deno.test({
  name: `package makes the same package twice, with nothing to complain of${
    !dpkg ? " (skipped: there is no dpkg-deb)" : lintian ? "" : " (but for lintian, which is not there)"
  }`,
  ignore: !dpkg,
  async fn() {
    await using one = await Root.create();
    await using other = await Root.create();
    const [first = "", second = ""] = await Promise.all(
      [one, other].map(({ path }) => buildPackage(path, { compression: "none" })),
    );
    assert.deepEqual(await digest(first), await digest(second));
    assert.equal(dirname(first), one.path);
    const control = await run("dpkg-deb", "--field", first);
    assert.match(control, /^Package: bitville-postgres-agent$/m);
    assert.equal((await run("dpkg-deb", "--info", first, "conffiles")).trim(), layout.configurationPath);
    // Only packages of tests are not compressed.
    const expected = ["control", "data"].map((part) => `uses-no-compression-for-${part}-tarball`).join(",");
    const options = ["--allow-root", "--fail-on", "error,warning", "--suppress-tags", expected];
    if (lintian) assert.equal(await run("lintian", ...options, first), "");
  },
});

async function digest(path: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
  return new Uint8Array(bytes).toHex();
}

async function run(program: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, env: ownEnvironment() }).output();
  const decoder = new TextDecoder();
  assert.ok(success, `${program}: ${decoder.decode(stdout)}${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

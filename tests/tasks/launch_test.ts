/**
 * The launcher, run for real: the command line it prints, what it refuses, and the process that comes of it.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ownEnvironment } from "../support/agent_process.ts";
import { loadedModules } from "../support/loaded_modules.ts";
import { withFolder } from "../support/with_folder.ts";

const repository = fileURLToPath(new URL("../../", import.meta.url));

const listener = {
  BITVILLE_PG_LISTENER_URL: "https://listener.example/in",
  BITVILLE_PG_LISTENER_API_KEY: "hunter2-key",
  BITVILLE_PG_PROJECT_ID: "p",
};

interface Run {
  args: string[];
  environment?: Record<string, string>;
  /** The project's folder. */
  root?: string;
  /** Where it is called from. */
  cwd?: string;
}

function command(program: "launch.ts" | "launch.sh", run: Run): Deno.Command {
  const script = join(run.root ?? repository, "tasks", program);
  const [file, ...args] = program === "launch.sh"
    ? ["sh", script]
    : [Deno.execPath(), "run", "--no-prompt", "--allow-read", "--allow-env", script];
  // Nothing of the machine's own settings, but the cache of packages.
  const kept = ["PATH", "HOME", "DENO_DIR"].map((name) => [name, Deno.env.get(name) ?? ""]).filter(([, value]) =>
    value
  );
  return new Deno.Command(file ?? "", {
    args: [...args, ...run.args],
    clearEnv: true,
    env: { ...Object.fromEntries(kept), DENO: Deno.execPath(), ...run.environment },
    ...(run.cwd === undefined ? {} : { cwd: run.cwd }),
    stdout: "piped",
    stderr: "piped",
  });
}

async function output(program: "launch.ts" | "launch.sh", run: Run) {
  const { code, stdout, stderr } = await command(program, run).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

async function withConfiguration(body: (folder: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "agent.ini"), "[database]\npassword = hunter2\n");
    await body(folder);
  });
}

/** A `main.ts` that shows what it was given, and waits for SIGTERM if it is to start. */
const stub = `/** Stands for the agent. @module */
import { loadConfig } from "./config.ts";
const [command, ...args] = Deno.args;
const loaded = await loadConfig({
  ...(args[0] === "--config" ? { path: args[1] } : {}),
  environment: (name) => Deno.env.get(name),
  readTextFile: (path) => Deno.readTextFile(path),
  requires: command === "start" ? "listener" : "database",
});
const write = await Deno.permissions.query({ name: "write" });
console.log(JSON.stringify({ args: Deno.args, cwd: Deno.cwd(), write: write.state, loaded,
  password: loaded.config?.database.password.reveal() }));
if (command === "start") {
  await new Promise((resolve) => {
    Deno.addSignalListener("SIGTERM", resolve);
    console.log("waiting");
  });
  Deno.exit(17);
}
`;

/** The project with the stub as its agent, in a folder of this name. */
async function copyProject(folder: string, name: string): Promise<string> {
  const root = join(folder, name);
  const script = 'mkdir "$1" && cp -r *.ts deno.json deno.lock collectors config systemd tasks "$1"';
  const copied = await new Deno.Command("sh", { args: ["-c", script, "sh", root], cwd: repository }).output();
  assert.ok(copied.success, new TextDecoder().decode(copied.stderr));
  await Deno.writeTextFile(join(root, "main.ts"), stub);
  return root;
}

Deno.test("launch prints one command line with the agent's permissions and without secrets", async () => {
  await withConfiguration(async (folder) => {
    const config = join(folder, "agent.ini");
    const { code, stdout, stderr } = await output("launch.ts", {
      args: ["start", "--config", config],
      environment: { ...listener, BITVILLE_PG_DB_PORT: "5433" },
    });
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^[^\n]+\n$/);
    assert.match(stdout, / run --no-prompt --allow-net=localhost:5433,listener\.example:443 '?--allow-read=/);
    assert.match(
      stdout,
      /--v8-flags=--max-old-space-size=96,--max-semi-space-size=2,--no-allocation-site-pretenuring,--expose-gc \S*main\.ts start --config /,
    );
    assert.doesNotMatch(stdout, /hunter2|allow-all|allow-run|allow-ffi|(?<!\S)-A/);
  });
});

Deno.test("launch opens the folder of a log file that has no telling name", async () => {
  await withConfiguration(async (folder) => {
    await Deno.mkdir(join(folder, "logs"));
    await Deno.writeTextFile(join(folder, "logs", "server"), "");
    const config = join(folder, "agent.ini");
    const environment = { BITVILLE_PG_POSTGRES_LOG_PATH: join(folder, "logs", "server") };
    const { stdout } = await output("launch.ts", { args: ["once", "--config", config], environment });
    assert.ok(stdout.includes(`${config},${join(folder, "logs")},`), stdout);
  });
});

Deno.test("launch refuses a bad configuration with exit 78 and one log line a problem", async () => {
  await withConfiguration(async (folder) => {
    const config = join(folder, "agent.ini");
    await Deno.writeTextFile(config, "[database]\nport = five\npassword = hunter2\n[listner]\n");
    for (const program of ["launch.ts", "launch.sh"] as const) {
      const { code, stdout, stderr } = await output(program, {
        args: ["start", `--config=${config}`],
        environment: { ...listener, BITVILLE_PG_PROJECT_ID: "" },
      });
      assert.deepEqual([code, stdout], [78, ""]);
      const lines = stderr.trimEnd().split("\n").map((line) => JSON.parse(line));
      assert.deepEqual(
        lines.map(({ level, event, section, key, variable, value }) => [level, event, section, key, variable, value]),
        [
          ["warning", "configuration_warning", "listner", null, null, undefined],
          ["error", "configuration_refused", "database", "port", null, "five"],
          ["error", "configuration_refused", "listener", "project_id", null, undefined],
        ],
      );
      assert.match(lines[1].message, /^Cannot use database\.port because it must be a whole number from 1 to 65535/);
      assert.ok(lines.every(({ time }) => new Date(time).toISOString() === time));
      assert.doesNotMatch(stderr, /hunter2/);
    }
  });
});

Deno.test("launch requires the listener for start and not for once", async () => {
  await withConfiguration(async (folder) => {
    const args = ["--config", join(folder, "agent.ini")];
    assert.equal((await output("launch.ts", { args: ["once", ...args] })).code, 0);
    const { code, stderr } = await output("launch.ts", { args: ["start", ...args] });
    assert.equal(code, 78);
    assert.equal(stderr.trimEnd().split("\n").length, 3, stderr);
  });
});

Deno.test("launch answers arguments that it does not know with what is wrong, its usage and exit 1", async () => {
  const cases: [string[], RegExp][] = [
    [[], /^Usage: launch\.sh start\|once\|doctor/],
    [["stop"], /^Usage: launch\.sh/],
    [["start", "x"], /^Unexpected argument 'x'.*\nUsage: deno task start \[--config PATH\]\n/],
    [["start", "--config"], /^Option '--config <value>' argument missing\nUsage: deno task start/],
    [["once", "--config="], /^Cannot read the configuration because --config must name a file\nUsage: deno task once/],
    [["once", "--config", ""], /must name a file\n/],
    [["once", "--config=a", "b"], /^Unexpected argument 'b'/],
    [["once", "--confg=a"], /^Unknown option '--confg'\nUsage: deno task once/],
    [["once", "--json"], /^Cannot use --json because only the doctor knows it\nUsage/],
    [["doctor", "--jsn"], /^Unknown option '--jsn'\nUsage: deno task doctor \[--config PATH\] \[--json\]\n/],
  ];
  for (const [args, said] of cases) {
    const { code, stdout, stderr } = await output("launch.sh", { args });
    assert.deepEqual([code, stdout], [1, ""], args.join(" "));
    assert.match(stderr, said);
  }
});

Deno.test("launch tells with --help how each command is called, whatever the configuration is", async () => {
  for (const command of ["start", "once", "doctor", "listener"]) {
    for (const args of [[command, "--help"], [command, "--config", "/nowhere", "-h"]]) {
      const { code, stdout, stderr } = await output("launch.sh", { args });
      assert.deepEqual([code, stderr], [0, ""], args.join(" "));
      assert.match(stdout, new RegExp(`^Usage: deno task ${command} `));
    }
  }
});

Deno.test("launch.sh runs the agent from any folder, whatever the paths hold", async () => {
  await withConfiguration(async (folder) => {
    const root = await copyProject(folder, `it's "a" copy; $HOME *`);
    const config = join(folder, `agent's $(echo) "file".ini`);
    await Deno.copyFile(join(folder, "agent.ini"), config);
    const { code, stdout, stderr } = await output("launch.sh", {
      root,
      cwd: folder,
      args: ["once", "--config", config],
    });
    assert.deepEqual([code, stderr], [0, ""]);
    const seen = JSON.parse(stdout);
    assert.deepEqual(seen.args, ["once", "--config", config]);
    assert.equal(seen.cwd, folder);
    assert.equal(seen.write, "prompt");
    assert.equal(seen.loaded.config.source, config);
    assert.equal(seen.password, "hunter2");
  });
});

Deno.test("launch.sh takes a relative path from where it was called, under deno task as well", async () => {
  await withConfiguration(async (folder) => {
    const root = await copyProject(folder, "project");
    const args = ["once", "--config", "agent.ini"];
    const direct = await output("launch.sh", { root, cwd: folder, args });
    const byTask = await output("launch.sh", { root, cwd: root, args, environment: { INIT_CWD: folder } });
    for (const { stdout, stderr } of [direct, byTask]) {
      assert.equal(stderr, "");
      assert.equal(JSON.parse(stdout).loaded.config.source, join(folder, "agent.ini"));
    }
  });
});

Deno.test("launch loads no package and nothing of Node's before it prints the command line", async () => {
  const modules = await loadedModules("tasks/launch.ts");
  assert.ok(modules.includes("config/file.ts"));
  assert.deepEqual(modules.filter((name) => name.includes(":")), []);
  assert.deepEqual(modules.filter((name) => /doctor|agent|^log\.ts|^transport/.test(name)), []);
});

Deno.test("launch.sh works from its own folder", async () => {
  await withConfiguration(async (folder) => {
    const root = await copyProject(folder, "project");
    const script = "exec sh launch.sh once --config ../../agent.ini";
    const { code, stderr } = await new Deno.Command("sh", {
      args: ["-c", script],
      cwd: join(root, "tasks"),
      clearEnv: true,
      env: { ...ownEnvironment(), DENO: Deno.execPath() },
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
  });
});

Deno.test("launch.sh works through a link to it", async () => {
  await withConfiguration(async (folder) => {
    const root = await copyProject(folder, "project");
    await Deno.mkdir(join(folder, "bin", "tasks"), { recursive: true });
    await Deno.symlink(join(root, "tasks", "launch.sh"), join(folder, "bin", "tasks", "launch.sh"));
    const run = { root: join(folder, "bin"), args: ["once", "--config", join(folder, "agent.ini")] };
    assert.equal((await output("launch.sh", run)).code, 0);
  });
});

Deno.test({
  name: "launch.sh runs the agent without any file, and the agent finds none under its permissions",
  // A machine that has the agent installed reads that configuration instead.
  ignore: await Deno.stat("/etc/bitville/postgres-agent.ini").then(() => true, () => false),
  fn: async () => {
    await withConfiguration(async (folder) => {
      const root = await copyProject(folder, "project");
      const { stdout, stderr } = await output("launch.sh", { root, args: ["once"] });
      assert.equal(stderr, "");
      assert.equal(JSON.parse(stdout).loaded.config.source, "environment and defaults");
    });
  },
});

Deno.test("launch.sh becomes the agent: signals reach it and its exit code comes back", async () => {
  await withConfiguration(async (folder) => {
    const root = await copyProject(folder, "project");
    const args = ["start", "--config", join(folder, "agent.ini")];
    const child = command("launch.sh", { root, args, environment: listener }).spawn();
    let seen = "";
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    while (!seen.includes("waiting")) {
      const { value, done } = await reader.read();
      if (done) break;
      seen += value;
    }
    assert.match(seen, /waiting/);
    child.kill("SIGTERM");
    assert.equal((await child.status).code, 17);
    await reader.cancel();
    await child.stderr.cancel();
  });
});

Deno.test("launch.sh says why it cannot run from a folder with a comma", async () => {
  await withConfiguration(async (folder) => {
    const root = await copyProject(folder, "a,b");
    const { code, stdout, stderr } = await output("launch.sh", {
      root,
      args: ["once", "--config", join(folder, "agent.ini")],
    });
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^Cannot allow a path because it must hold no comma: current value is .*a,b\n$/);
  });
});

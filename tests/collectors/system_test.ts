// The document of the machine: over a machine of the test's own, and over the real one under the agent's permissions.
import { Ajv2020 } from "ajv/dist/2020.js";
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SystemCollector } from "../../collectors/system.ts";
import { agentPermissions } from "../../tasks/permissions.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { cpuTimes, MemoryMachine, space } from "../fakes/memory_machine.ts";
import { config, listener } from "../support/config_loading.ts";
import { MemoryLog } from "../support/memory_log.ts";
import { withFolder } from "../support/with_folder.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const { signal } = new AbortController();

// deno-lint-ignore no-explicit-any -- Held against the schema before a test looks at it.
type Data = Record<string, any>;

const isValid = new Ajv2020({ allErrors: true, allowUnionTypes: true, strictRequired: false }).compile(
  JSON.parse(Deno.readTextFileSync(join(root, "docs/schemas/system_metrics.schema.json"))),
);

/** What a listener may rely on: the schema, a reason for each null, and no reason for what is there. */
function checkDocument(data: Data): Data {
  assert.ok(isValid(data), JSON.stringify(isValid.errors));
  const { unavailable, ...figures } = data;
  const nulls = [...namesOfNulls(figures)];
  const explained = (name: string) => name in unavailable || [...parentsOf(name)].some((one) => one in unavailable);
  assert.deepEqual(nulls.filter((name) => !explained(name)), [], "null without a reason");
  const isNull = (field: string) => nulls.some((name) => name === field || name.startsWith(`${field}.`));
  assert.deepEqual(Object.keys(unavailable).filter((field) => !isNull(field)), [], "a reason for what is not null");
  return data;
}

function* namesOfNulls(value: unknown, name = ""): Generator<string> {
  if (value === null) yield name;
  else if (typeof value === "object") {
    for (const [key, inner] of Object.entries(value as object)) {
      yield* namesOfNulls(inner, name === "" ? key : `${name}.${key}`);
    }
  }
}

function* parentsOf(name: string): Generator<string> {
  for (let dot = name.lastIndexOf("."); dot > 0; dot = name.lastIndexOf(".", dot - 1)) yield name.slice(0, dot);
}

const diskstats = "   8 0 sda 10 0 100 0 20 0 200 0 0 0 0\n   8 1 sda1 10 0 100 0 20 0 200 0 0 0 0\n";
const netDev = "face |bytes\n  lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n  eth0: 100 2 0 0 0 0 0 0 50 1 0 0 0 0 0 0\n";
const some = "some avg10=1.50 avg60=1.00 avg300=0.50 total=77\n";
const full = "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
const stalls = {
  some: { avg10: 1.5, avg60: 1, avg300: 0.5, total: 77 },
  full: { avg10: 0, avg60: 0, avg300: 0, total: 0 },
};

/** A machine of which everything can be read. */
function readableMachine(): MemoryMachine {
  const machine = new MemoryMachine();
  machine.cpuTimes = [cpuTimes(), cpuTimes()];
  machine.load = [0.79638671875, 0.5, 12.345678];
  machine.files.set("/p/diskstats", diskstats).set("/p/net/dev", netDev);
  for (const resource of ["cpu", "memory", "io"]) machine.files.set(`/proc/pressure/${resource}`, some + full);
  machine.fileSystems.set("/buffer", space()).set("/logs", space({ device: 2 }));
  return machine;
}

function setup(machine = readableMachine(), options: { procFileBytesMax?: number; procfsPath?: string } = {}) {
  const clock = new FakeClock();
  const log = new MemoryLog();
  const filesystems = ["/buffer", "", "/logs"];
  const collector = new SystemCollector({ procfsPath: "/p", filesystems, clock, log, machine, ...options });
  const collect = async (): Promise<Data> => {
    const collection = await collector.collect({ timestamp: clock.now(), signal });
    assert.equal(collection.kind, "samples");
    return checkDocument((collection as typeof collection & { kind: "samples" }).data);
  };
  return { machine, clock, log, collector, collect };
}

Deno.test("SystemCollector delivers every field of a machine that can be read, and nothing unavailable", async () => {
  const { machine, clock, collect } = setup();
  const first = await collect();
  assert.equal(first.cpu.percent, null);
  assert.deepEqual(Object.keys(first.unavailable), ["cpu.percent"]);
  assert.match(first.unavailable["cpu.percent"], /^First run: /);
  await clock.advance(60_000);
  machine.cpuTimes = [cpuTimes({ user: 60_000 }), cpuTimes({ idle: 60_000 })];
  const { filesystems, ...rest } = await collect();
  assert.deepEqual(rest, {
    cpu: { percent: 50, count: 2, load_average: [0.8, 0.5, 12.35] },
    memory: { total: 1_000, available: 250, used: 750, percent: 75 },
    disk_io: { read_count: 10, write_count: 20, read_bytes: 51_200, write_bytes: 102_400 },
    network_io: { bytes_sent: 50, bytes_recv: 100, packets_sent: 1, packets_recv: 2 },
    pressure: { cpu: stalls, memory: stalls, io: stalls },
    unavailable: {},
  });
  assert.deepEqual(filesystems.map((one: Data) => one.path), ["/buffer", "/logs"]);
});

Deno.test("SystemCollector is one sample named system_metrics", async () => {
  const { collector } = setup();
  const { kind, rows } = await collector.collect({ timestamp: new Date(0), signal }) as { kind: string; rows: number };
  assert.deepEqual([collector.name, kind, rows], ["system_metrics", "samples", 1]);
});

Deno.test("SystemCollector on a machine that tells nothing delivers nulls with a reason each", async () => {
  const machine = new MemoryMachine();
  const failure = new Deno.errors.NotCapable("Requires sys access");
  machine.cpuTimes = failure;
  machine.load = failure;
  machine.memoryBytes = failure;
  const data = await setup(machine).collect();
  const pressure = "because this kernel has no pressure stall information, or hides it";
  const denied = "because the agent's permissions do not cover it";
  assert.deepEqual(data.unavailable, {
    "cpu.percent": `Cannot read the times of the CPUs ${denied}`,
    "cpu.count": `Cannot read the times of the CPUs ${denied}`,
    "cpu.load_average": `Cannot read the load average ${denied}`,
    memory: `Cannot read the machine's memory ${denied}`,
    disk_io: "Cannot read /p/diskstats because it does not exist: mount /proc/diskstats there",
    network_io: "Cannot read /p/net/dev because it does not exist: mount /proc/1/net/dev there",
    "pressure.cpu": `Cannot read /proc/pressure/cpu ${pressure}`,
    "pressure.memory": `Cannot read /proc/pressure/memory ${pressure}`,
    "pressure.io": `Cannot read /proc/pressure/io ${pressure}`,
    "filesystems.0": "Cannot read /buffer because it does not exist",
    "filesystems.1": "Cannot read /logs because it does not exist",
  });
});

Deno.test("SystemCollector takes the network of process 1 where the whole of /proc is mounted", async () => {
  const machine = readableMachine();
  machine.files.set("/p/1/net/dev", netDev.replace(" 100 ", " 555 "));
  assert.equal((await setup(machine, { procfsPath: "/p/" }).collect()).network_io.bytes_recv, 555);
  machine.files.set("/p/1/net/dev", new Deno.errors.PermissionDenied("x"));
  const { network_io, unavailable } = await setup(machine).collect();
  assert.equal(network_io, null);
  assert.equal(unavailable.network_io, "Cannot read /p/1/net/dev because the system forbids it");
});

Deno.test("SystemCollector loses no more than what cannot be read or used", async () => {
  const spoiled: (string | Error)[] = ["", "garbage", "\u0000".repeat(100), "1 2 3\n", new Error("Input/output error")];
  const fields: Record<string, string> = {
    "/p/diskstats": "disk_io",
    "/p/net/dev": "network_io",
    "/proc/pressure/memory": "pressure.memory",
  };
  for (const [path, field] of Object.entries(fields)) {
    for (const content of spoiled) {
      const machine = readableMachine();
      machine.files.set(path, content);
      const { unavailable } = await setup(machine).collect();
      assert.deepEqual(Object.keys(unavailable).sort(), ["cpu.percent", field].sort(), `${path}: ${content}`);
      assert.ok(unavailable[field].startsWith("Cannot "), unavailable[field]);
      assert.ok(unavailable[field].includes(path), unavailable[field]);
    }
  }
});

Deno.test("SystemCollector reads no more of a file than its bound", async () => {
  const machine = readableMachine();
  machine.files.set("/p/diskstats", diskstats.repeat(100));
  const { unavailable } = await setup(machine, { procFileBytesMax: 500 }).collect();
  assert.equal(unavailable.disk_io, "Cannot read /p/diskstats because it must not be longer than 500 bytes");
});

Deno.test("SystemCollector says what an old kernel or one without counters does not give", async () => {
  const machine = readableMachine();
  machine.files.set("/proc/pressure/cpu", some);
  machine.memoryBytes = { total: 1_000, available: 0 };
  machine.cpuTimes = [];
  const { pressure, memory, cpu, unavailable } = await setup(machine).collect();
  assert.deepEqual([pressure.cpu.full, memory, cpu.count], [null, null, null]);
  assert.deepEqual(Object.keys(unavailable).sort(), ["cpu.count", "cpu.percent", "memory", "pressure.cpu.full"]);
});

Deno.test("SystemCollector passes counters on when they fall, because the machine or a driver restarted", async () => {
  const { machine, collect } = setup();
  await collect();
  machine.files.set("/p/diskstats", "   8 0 sda 1 0 2 0 3 0 4 0 0 0 0\n");
  const expected = { read_count: 1, write_count: 3, read_bytes: 1_024, write_bytes: 2_048 };
  assert.deepEqual((await collect()).disk_io, expected);
});

Deno.test("SystemCollector logs what is unavailable once, and again when that changes", async () => {
  const { machine, collect, log } = setup();
  const said = () => log.of("system_metrics_unavailable").map(({ level, fields }) => [level, fields.unavailable]);
  await collect();
  assert.deepEqual(said(), []);
  machine.files.delete("/p/diskstats");
  await collect();
  await collect();
  const reason = "Cannot read /p/diskstats because it does not exist: mount /proc/diskstats there";
  assert.deepEqual(said(), [["info", { disk_io: reason }]]);
  machine.files.set("/p/diskstats", diskstats);
  await collect();
  assert.deepEqual(said()[1], ["info", {}]);
});

Deno.test("SystemCollector ends when its run is cut off", async () => {
  const machine = readableMachine();
  machine.fileSystems.set("/logs", new Promise(() => {}));
  const { collector } = setup(machine);
  const controller = new AbortController();
  const running = collector.collect({ timestamp: new Date(0), signal: controller.signal });
  controller.abort(new Error("Cut off"));
  await assert.rejects(running, /^Error: Cut off$/);
  await assert.rejects(collector.collect({ timestamp: new Date(0), signal: controller.signal }), /Cut off/);
});

async function withFolders(body: (folder: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    for (const name of ["buffer", "logs", "procfs"]) await Deno.mkdir(join(folder, name));
    await body(folder);
  });
}

/** The command that collects twice under the flags that the agent gets. */
async function probeCommand(folder: string): Promise<string[]> {
  const [buffer, logs, procfs] = ["buffer", "logs", "procfs"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const environment = {
    ...listener,
    BITVILLE_PG_BUFFER_PATH: buffer,
    BITVILLE_PG_POSTGRES_LOG_PATH: logs,
    BITVILLE_PG_PROCFS_PATH: procfs,
  };
  const given = await config({ environment, requires: "listener" });
  const flags = agentPermissions(given, { command: "start", root, configPath: null });
  const script = fileURLToPath(new URL("./system_probe.ts", import.meta.url));
  return [Deno.execPath(), "run", ...flags, script, procfs, buffer, logs];
}

async function run([command, ...args]: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command!, { args, cwd: root }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

const isPressureKept = (() => {
  try {
    Deno.readTextFileSync("/proc/pressure/cpu");
    return true;
  } catch {
    return false;
  }
})();

Deno.test("SystemCollector delivers under the agent's permissions all that Deno gives, and says why the rest is null", async () => {
  await withFolders(async (folder) => {
    const [first, second] = (JSON.parse(await run(await probeCommand(folder))) as Data[]).map(checkDocument);
    assert.match(first!.unavailable["cpu.percent"], /^First run: /);
    const { cpu, memory, disk_io, network_io, filesystems, unavailable } = second!;
    // One CPU was busy in between.
    assert.ok(cpu.percent >= 50 / cpu.count, `${cpu.percent} percent of ${cpu.count} CPUs`);
    assert.ok(memory.used > 0 && memory.percent < 100);
    assert.ok(isPressureKept === !("pressure.cpu" in unavailable), JSON.stringify(unavailable));
    assert.deepEqual([disk_io, network_io], [null, null]);
    const procfs = join(folder, "procfs");
    const absent = "because it does not exist: mount";
    assert.equal(unavailable.disk_io, `Cannot read ${procfs}/diskstats ${absent} /proc/diskstats there`);
    assert.equal(unavailable.network_io, `Cannot read ${procfs}/net/dev ${absent} /proc/1/net/dev there`);
    // Both folders are on one file system.
    assert.deepEqual(filesystems.map((one: Data) => one.path), [join(folder, "buffer")]);
    assert.equal(Object.keys(unavailable).some((field) => field.startsWith("filesystems")), false);
    const [, size] = (await run(["df", "-B1", "--output=size", folder])).split("\n");
    assert.equal(String(filesystems[0].total), size!.trim());
  });
});

/** Mounts within a namespace of its own, that ends with the command: the machine sees none of it. */
function inOwnMounts(script: string, args: string[]): string[] {
  return ["unshare", "--mount", "sh", "-ec", script, "sh", ...args];
}

const canMount = (() => {
  const source = Deno.makeTempDirSync();
  try {
    const mount = inOwnMounts('mount --bind /proc "$1" && cat "$1/1/net/dev" /proc/diskstats', [source]);
    return new Deno.Command(mount[0]!, { args: mount.slice(1), stdout: "null", stderr: "null" }).outputSync().success;
  } catch {
    return false;
  } finally {
    Deno.removeSync(source);
  }
})();

/** What cat and the devices in /sys say of `/proc/diskstats`, or of `/proc/net/dev`: sums of columns of real devices. */
function sums(text: string, columns: number[]): number[] {
  const folder = text.includes("|") ? "/sys/class/net" : "/sys/block";
  const isReal = (name: string) =>
    [...Deno.readDirSync(folder)].some((one) => one.name === name && hasDevice(one.name));
  const hasDevice = (name: string) => {
    try {
      return Deno.statSync(`${folder}/${name}/device`).isDirectory;
    } catch {
      return false;
    }
  };
  const lines = text.trim().split("\n").map((line) => line.replace(":", " ").trim().split(/\s+/));
  const real = lines.filter((line) => isReal(line[folder === "/sys/block" ? 2 : 0] ?? ""));
  // In a container no device is real: its one interface counts.
  const counted = real.length > 0 ? real : lines.filter((line) => /^eth\d+$/.test(line[0] ?? ""));
  return columns.map((column) => counted.reduce((sum, line) => sum + Number(line[column]), 0));
}

function assertBetween(found: number[], [before, after]: [number[], number[]], what: string): void {
  for (const [index, value] of found.entries()) {
    const isBetween = before[index]! <= value && value <= after[index]!;
    assert.ok(isBetween, `${what}: ${value} is not between ${before[index]} and ${after[index]}`);
  }
}

const mounts: Record<string, string> = {
  "the two files that the unit mounts": 'mkdir "$1/net"; touch "$1/diskstats" "$1/net/dev"; ' +
    'mount --bind /proc/diskstats "$1/diskstats"; mount --bind /proc/1/net/dev "$1/net/dev"',
  "the whole of /proc": 'mount --bind /proc "$1"',
};

for (const [what, mount] of Object.entries(mounts)) {
  Deno.test({
    name: `SystemCollector agrees with /proc as cat reads it, of ${what} at procfs_path (needs root and mount --bind)`,
    ignore: !canMount,
    fn: async () => {
      await withFolders(async (folder) => {
        const script = `${mount}; shift; cat /proc/diskstats; echo =; cat /proc/1/net/dev; echo =; "$@"; echo =; ` +
          "cat /proc/diskstats; echo =; cat /proc/1/net/dev";
        const output = await run(inOwnMounts(script, [join(folder, "procfs"), ...await probeCommand(folder)]));
        const [disksBefore, netBefore, printed, disksAfter, netAfter] = output.split("=\n") as [
          string,
          string,
          string,
          string,
          string,
        ];
        const { disk_io, network_io, cpu, unavailable } = checkDocument(JSON.parse(printed)[1]);
        const expectedNulls = isPressureKept ? [] : ["pressure.cpu", "pressure.memory", "pressure.io"];
        assert.deepEqual(Object.keys(unavailable), expectedNulls);
        assert.ok(cpu.percent > 0);
        const diskIo = [disk_io.read_count, disk_io.read_bytes / 512, disk_io.write_count, disk_io.write_bytes / 512];
        const diskColumns = [3, 5, 7, 9];
        assertBetween(diskIo, [sums(disksBefore, diskColumns), sums(disksAfter, diskColumns)], "disk_io");
        const { bytes_recv, packets_recv, bytes_sent, packets_sent } = network_io;
        const netColumns = [1, 2, 9, 10];
        const networkIo = [bytes_recv, packets_recv, bytes_sent, packets_sent];
        assertBetween(networkIo, [sums(netBefore, netColumns), sums(netAfter, netColumns)], "network_io");
      });
    },
  });
}

Deno.test("SystemCollector under the agent's permissions bears a procfs folder that holds nothing of use", async () => {
  await withFolders(async (folder) => {
    await Deno.mkdir(join(folder, "procfs", "diskstats"));
    await Deno.mkdir(join(folder, "procfs", "net"));
    await Deno.symlink("/proc/net/dev", join(folder, "procfs", "net", "dev"));
    const [, { disk_io, network_io, unavailable }] = JSON.parse(await run(await probeCommand(folder)));
    assert.deepEqual([disk_io, network_io], [null, null]);
    assert.match(unavailable.disk_io, /diskstats because it must be a regular file$/);
    assert.match(unavailable.network_io, /net\/dev because the agent's permissions do not cover it$/);
  });
});

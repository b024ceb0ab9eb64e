/**
 * What a cycle costs, beside one bare connection of the driver that reads the same rows: cycles of both in turn.
 *
 * @module
 */

import type { AgentFolder } from "../support/agent_folder.ts";
import type { Figure } from "./figures.ts";
import { agentRole, bareRole, Load, type Size, sizes } from "./load.ts";
import { processorMs } from "./processes.ts";
import { programPath, Service, Sink } from "./service.ts";
import { type BenchServer, rolesPassword } from "./server.ts";

/** What the server says of a role. */
export interface ServerCost {
  calls: number;
  ms: number;
  /** Of its backends; null for a server on another machine. */
  cpuMs: number | null;
}

/** One cycle of either. */
interface CycleCost extends ServerCost {
  processMs: number;
  bytes: number;
}

const topByTimeSql = "select * from pg_stat_statements order by total_exec_time desc limit 100";

/** Measures cycles at all sizes. */
export async function measureCycles(server: BenchServer, { rounds }: { rounds: number }): Promise<Figure[]> {
  await using load = await Load.create(server);
  const figures: Figure[] = [];
  for (const size of sizes) {
    await load.grow(size);
    figures.push(...await measureSize(server, load, { size, rounds }));
  }
  return figures;
}

async function measureSize(
  server: BenchServer,
  load: Load,
  { size, rounds }: { size: Size; rounds: number },
): Promise<Figure[]> {
  await using sink = await Sink.start();
  await using procfs = await copyProcfs();
  const settings = { system: { procfs_path: procfs.path } };
  await using service = await Service.start({ server, sink, command: "fast", settings });
  await using bare = await BareDriver.start(server, { procfs: procfs.path, folder: service.folder });
  await service.cycles(1);
  await bare.cycle();
  // The same number of cycles for both: the first have everything to find out, and code becomes faster by its use.
  for (let cycle = 0; cycle < warmUpCycles; cycle++) {
    await load.move();
    await service.tick();
    await bare.cycle();
  }
  const agent: CycleCost[] = [];
  const plain: CycleCost[] = [];
  const top: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await load.move();
    const cpuBeforeMs = (await sink.report()).statuses.at(-1)!.cpuS * 1_000;
    const bytesBefore = (await sink.report()).bytes;
    const cost = await costOf(server, agentRole, () => service.tick());
    const report = await sink.report();
    // What came after the status before and up to this one: all of a cycle, storing and delivering included.
    agent.push({
      ...cost,
      processMs: report.statuses.at(-1)!.cpuS * 1_000 - cpuBeforeMs,
      bytes: report.bytes - bytesBefore,
    });
    let own = { cpuMs: 0, bytes: 0 };
    const plainCost = await costOf(server, bareRole, async () => void (own = await bare.cycle()));
    plain.push({ ...plainCost, processMs: own.cpuMs, bytes: own.bytes });
    top.push(await topByTime(server));
  }
  // A queue for locks would be recorded: that is not idle.
  const idle = size.waiters > 0 ? null : await idleCalls(server, service);
  return figuresOf(size, { agent, plain, top, idle });
}

/** An agent that has run for an hour, rather than one that has just been started. */
const warmUpCycles = 30;

/** What of /proc the agent finds mounted where it is installed, and may read; both sides read these. */
async function copyProcfs(): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempDir({ prefix: "bitville-bench-procfs-" });
  await Deno.mkdir(`${path}/net`);
  for (const name of ["diskstats", "net/dev"]) {
    await Deno.writeTextFile(`${path}/${name}`, await Deno.readTextFile(`/proc/${name}`));
  }
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

function figuresOf(
  { name: size }: Size,
  { agent, plain, top, idle }: { agent: CycleCost[]; plain: CycleCost[]; top: number[]; idle: IdleCost | null },
): Figure[] {
  const name = (what: string) => `cycle/${size}/${what}`;
  const times = agent.map(({ ms }) => ms);
  const figures: Figure[] = [
    { name: name("statements sent"), unit: "", values: agent.map(({ calls }) => calls) },
    {
      name: name("server time"),
      unit: "ms",
      values: times,
      reference: { name: "bare driver", values: plain.map(({ ms }) => ms) },
    },
    {
      name: name("server time beside the top 100 with texts"),
      unit: "ms",
      values: times,
      reference: { name: "top 100 by total time", values: top },
    },
    {
      name: name("agent CPU"),
      unit: "ms",
      values: agent.map(({ processMs }) => processMs),
      reference: { name: "bare driver", values: plain.map(({ processMs }) => processMs) },
    },
    { name: name("bytes sent"), unit: "KB", values: agent.map(({ bytes }) => bytes / 1_000) },
  ];
  if (agent.every(({ cpuMs }) => cpuMs !== null)) {
    figures.push({
      name: name("server CPU, all of its processes for it"),
      unit: "ms",
      values: agent.map(({ cpuMs }) => cpuMs!),
      reference: { name: "bare driver", values: plain.map(({ cpuMs }) => cpuMs!) },
    });
  }
  if (idle !== null) {
    figures.push(
      { name: name("statements sent between cycles, without probes"), unit: "in 6 s", values: [idle.others] },
      { name: name("probes between cycles"), unit: "in 6 s", values: [idle.probes] },
      { name: name("server time of a probe"), unit: "ms", values: [idle.probeMs] },
    );
  }
  return figures;
}

/** What a task cost the server by a role's statements. */
export async function costOf(server: BenchServer, role: string, task: () => Promise<void>): Promise<ServerCost> {
  const before = await readCost(server, role);
  await task();
  const after = await readCost(server, role);
  return {
    calls: after.calls - before.calls,
    ms: after.ms - before.ms,
    cpuMs: after.cpuMs === null || before.cpuMs === null ? null : after.cpuMs - before.cpuMs,
  };
}

async function readCost(server: BenchServer, role: string): Promise<ServerCost> {
  const [row] = await server.query(
    `select coalesce(sum(calls), 0)::int as calls, coalesce(sum(total_exec_time + total_plan_time), 0)::float8 as ms,
       (select array_agg(pid) from pg_stat_activity where usename = $1) as pids
     from pg_stat_statements(false) where userid = $1::regrole`,
    [role],
  );
  const { calls, ms, pids } = row as { calls: number; ms: number; pids: number[] | null };
  try {
    return { calls, ms, cpuMs: (pids ?? []).reduce((total, pid) => total + processorMs(pid), 0) };
  } catch {
    return { calls, ms, cpuMs: null };
  }
}

/** What is asked while nothing is due. */
interface IdleCost {
  probes: number;
  others: number;
  /** Of one probe. */
  probeMs: number;
}

/** Longer than the time between two probes of the burst recorder. */
const idleMs = 6_000;

async function idleCalls(server: BenchServer, service: Service): Promise<IdleCost> {
  const read = async () => {
    const [row] = await server.query(
      `select coalesce(sum(calls) filter (where probe), 0)::int as probes,
         coalesce(sum(calls) filter (where not probe), 0)::int as others,
         coalesce(sum(ms) filter (where probe), 0)::float8 as ms
       from (select calls, total_exec_time + total_plan_time as ms, query like '%burst probe%' as probe
         from pg_stat_statements where userid = $1::regrole) as statements`,
      [agentRole],
    );
    return row as { probes: number; others: number; ms: number };
  };
  const before = await read();
  await service.startRecorder();
  await new Promise((resolve) => setTimeout(resolve, idleMs));
  const after = await read();
  const probes = after.probes - before.probes;
  return { probes, others: after.others - before.others, probeMs: (after.ms - before.ms) / probes };
}

/** Another plain way, cheaper and less: the hundred that took most since they were first seen, with their texts. */
async function topByTime(server: BenchServer): Promise<number> {
  const [row] = await server.query(`explain (analyze, timing off, format json) ${topByTimeSql}`);
  const [{ "Execution Time": ms }] = row!["QUERY PLAN"] as [{ "Execution Time": number }];
  return ms;
}

/** `programs/bare_driver.ts`. */
class BareDriver implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #output: ReadableStreamDefaultReader<string>;

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#input = process.stdin.getWriter();
    this.#output = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  static start(
    { host, port, database }: BenchServer,
    { procfs, folder }: { procfs: string; folder: AgentFolder },
  ): Promise<BareDriver> {
    const args = [host, String(port), database, bareRole, rolesPassword, procfs, folder.bufferPath, folder.path];
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", programPath("bare_driver.ts"), ...args],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    return Promise.resolve(new BareDriver(process));
  }

  async cycle(): Promise<{ cpuMs: number; bytes: number }> {
    await this.#input.write(new Uint8Array([10]));
    return JSON.parse((await this.#output.read()).value!);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    await this.#process.status;
    await this.#output.cancel().catch(() => {});
    await this.#input.abort().catch(() => {});
  }
}

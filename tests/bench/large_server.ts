/**
 * What the agent costs beside a large server: 500 sessions of which 300 wait for one row, and 5,000 statements.
 *
 * Usage: `deno run -A tests/bench/large_server.ts [--cycles=30] [--every=2000] [--minutes=0]`. Cycles are run by the
 * agent under its own permissions and V8 flags, one every few seconds; `--minutes` then runs `deno task start` itself for
 * as many cycles. Prints tables. Linux only: memory is the proportional set of /proc/PID/smaps_rollup.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Client } from "pg";
import { withClient } from "../../tasks/demo/client.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../tasks/demo/embedded_postgres.ts";
import { AgentFolder } from "../support/agent_folder.ts";
import { ownEnvironment } from "../support/agent_process.ts";
import { distinctStatement } from "../support/statements.ts";
import { waitFor } from "../support/wait_for.ts";
import type { SinkReport } from "./sink.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const sessionsCount = 500;
const waitersCount = 300;
const statementsCount = 5_000;
const sampleMs = 250;

if (import.meta.main) await main();

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      cycles: { type: "string", default: "30" },
      every: { type: "string", default: "2000" },
      minutes: { type: "string", default: "0" },
    },
  });
  const settings = { max_connections: "900", "pg_stat_statements.max": "10000", "pg_stat_statements.track": "all" };
  await using server = await startEmbeddedPostgres({ version: 18, settings });
  await using load = await loadServer(server);
  await load.check();
  await measure(server, { cycles: Number(values.cycles), command: (folder) => fastCommand(folder, values.every) });
  if (Number(values.minutes) > 0) {
    const command = (folder: AgentFolder) => [Deno.execPath(), "task", "start", "--config", folder.iniPath];
    await measure(server, { cycles: Number(values.minutes), command });
  }
}

/** The command that `launch.sh start` would become, with the agent's program replaced. */
async function fastCommand(folder: AgentFolder, every: string): Promise<string[]> {
  const launch = ["run", "--no-prompt", "--allow-read", "--allow-env", `${root}tasks/launch.ts`, "start"];
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: [...launch, "--config", folder.iniPath],
    env: ownEnvironment(),
    clearEnv: true,
  }).output();
  if (!success) throw new Error("Cannot make the agent's command line");
  const line = new TextDecoder().decode(stdout).trim();
  return [
    "sh",
    "-c",
    `exec ${line.replace(`${root}main.ts start`, `${root}tests/bench/fast_agent.ts ${every} start`)}`,
  ];
}

interface Load extends AsyncDisposable {
  /** Throws unless the server has what is promised. */
  check(): Promise<void>;
}

/** Makes sessions and statements, and keeps the statements' counters moving. */
async function loadServer(server: EmbeddedPostgres): Promise<Load> {
  await server.query(`create extension pg_stat_statements; create role bitville_monitor login in role pg_monitor;
    create table account as select 1 as id, 0 as balance`);
  await callStatements(server, 0, statementsCount);
  const clients: Client[] = [];
  for (let index = 0; index < sessionsCount; index++) clients.push(await openSession(server, index));
  const stop = new AbortController();
  const working = work(server, stop.signal);
  return {
    async check() {
      const [row] = await waitFor("the load", async () => {
        const rows = await server.query(`select (select count(*)::int from pg_stat_statements(false)) as statements,
          count(*) filter (where state <> 'idle')::int as sessions, count(*) filter (where wait_event_type = 'Lock')::int as waiters
          from pg_stat_activity where application_name like 'bitville-%'`);
        return Number(rows[0]?.waiters) === waitersCount && rows;
      });
      console.log(`Server: ${row?.sessions} sessions, ${row?.waiters} waiters, ${row?.statements} statements`);
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await working;
      // Whoever waits would wait for ever.
      await server.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'bitville-%'",
      );
      await Promise.all(clients.map((client) => client.end().catch(() => {})));
    },
  };
}

/** The first holds a row, the next ones wait for it, then some work and some are idle in a transaction. */
async function openSession(server: EmbeddedPostgres, index: number): Promise<Client> {
  const { host, port, user } = server;
  const name = `bitville-${crypto.randomUUID()}`;
  const client = new Client({ host, port, user, database: "postgres", application_name: name, ssl: false });
  client.on("error", () => {});
  await client.connect();
  const comment = `/* ${"what a framework says of itself, ".repeat(20)} */`;
  const update = `update account set balance = balance + 1 where id = 1 ${comment}`;
  if (index === 0) await client.query(`begin; ${update}`);
  else if (index <= waitersCount) client.query(update).catch(() => {});
  else if (index % 2 === 0) client.query(`select pg_sleep(3600) ${comment}`).catch(() => {});
  else await client.query(`begin ${comment}`);
  return client;
}

async function callStatements(server: EmbeddedPostgres, first: number, count: number): Promise<void> {
  const { host, port, user } = server;
  await withClient({ host, port, user, database: "postgres" }, async (ask) => {
    for (let number = first; number < first + count; number++) {
      await ask(`${distinctStatement(number)}, 1 as "${"a long name ".repeat(5)}" /* ${"comment ".repeat(40)} */`);
    }
  });
}

/** Another few hundred of the statements every second. */
async function work(server: EmbeddedPostgres, signal: AbortSignal): Promise<void> {
  for (let round = 0; !signal.aborted; round++) {
    await callStatements(server, round * 200 % statementsCount, 200);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

/** Runs an agent for some cycles beyond its first and prints what it took. */
async function measure(
  server: EmbeddedPostgres,
  { cycles, command }: { cycles: number; command: (folder: AgentFolder) => string[] | Promise<string[]> },
): Promise<void> {
  const sink = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-net", `${root}tests/bench/sink.ts`],
    stdout: "piped",
  }).spawn();
  const lines = sink.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const url = new URL((await lines.read()).value!.trim());
  await using folder = await AgentFolder.create({
    database: server,
    listener: { url },
    settings: { database: { user: "bitville_monitor" }, logging: { level: "info" } },
  });
  const [program = "", ...args] = await command(folder);
  console.log(`\n${[program, ...args].join(" ").slice(-60)}: ${cycles} cycles`);
  await server.query("select pg_stat_statements_reset('bitville_monitor'::regrole, 0, 0)");
  const agent = new Deno.Command(program, { args, cwd: root, clearEnv: true, env: ownEnvironment(), stderr: "null" })
    .spawn();
  try {
    await watch(agent.pid, { cycles, url });
    await printStatements(server);
  } finally {
    agent.kill("SIGTERM");
    await agent.status;
    await lines.cancel();
    sink.kill();
    await sink.status;
  }
}

/** Samples the agent's processes until they have run `cycles` cycles beyond the first. */
async function watch(pid: number, { cycles, url }: { cycles: number; url: URL }): Promise<void> {
  const readReport = async () => await (await fetch(url)).json() as SinkReport;
  const first = await waitFor("the first cycle", async () => (await readReport()).statuses.length > 0 && readReport());
  const memory: Memory[] = [];
  const firstCpuMs = cpuMs(pid);
  let report = first;
  for (let sample = 0; report.statuses.length < cycles + first.statuses.length; sample++) {
    memory.push(memoryOf(processesOf(pid)));
    await new Promise((resolve) => setTimeout(resolve, sampleMs));
    if (sample % 4 === 0) report = await readReport();
  }
  const cycleCpuMs = (cpuMs(pid) - firstCpuMs) / cycles;
  const statuses = report.statuses.slice(first.statuses.length);
  const databaseMs = statuses.map(({ timeMs }) => timeMs);
  print("proportional memory", memory.map(({ pssBytes }) => pssBytes / 1e6), "MB");
  print("  if it were alone", memory.map(({ aloneBytes }) => aloneBytes / 1e6), "MB");
  print("time in database", databaseMs, "ms a cycle");
  console.log(
    `processor            ${cycleCpuMs.toFixed(0)} ms a cycle, ${firstCpuMs} ms until the first one had ended`,
  );
  console.log(`missed runs          ${statuses.at(-1)?.missed}`);
  console.table(report.types);
  console.table(statuses.at(-1)?.collectors);
}

function print(what: string, values: readonly number[], unit: string): void {
  const sorted = values.toSorted((one, other) => one - other);
  const median = sorted[Math.floor(sorted.length / 2)] ?? NaN;
  console.log(`${what.padEnd(20)} median ${median.toFixed(1)}, peak ${sorted.at(-1)?.toFixed(1)} ${unit}`);
}

/** What the server itself says that the agent's statements took. */
async function printStatements(server: EmbeddedPostgres): Promise<void> {
  const rows = await server.query(`
    select substring(query from 'bitville-monitor: ([^*]+) \\*/') as statement, sum(calls)::int as calls,
      round((sum(total_exec_time) / sum(calls))::numeric, 2)::float8 as mean_ms, round(max(max_exec_time)::numeric, 2)::float8 as max_ms
    from pg_stat_statements where userid = 'bitville_monitor'::regrole and query like '%bitville-monitor: %'
    group by 1 order by sum(total_exec_time) desc`);
  console.table(rows);
}

/** The process and those that it started: `deno task` runs the agent as its child. */
function processesOf(pid: number): number[] {
  const children = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim();
  return [pid, ...children.split(" ").filter((one) => one !== "").flatMap((one) => processesOf(Number(one)))];
}

interface Memory {
  /** Pages that are shared with other programs count for their part, so that other Deno processes make it less. */
  pssBytes: number;
  /** The most that it can be without them: what is its own, and once what is shared. */
  aloneBytes: number;
}

function memoryOf(pids: readonly number[]): Memory {
  const rollups = pids.map((pid) => Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`));
  const read = (rollup: string, name: string) =>
    1_024 * Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(rollup)?.[1]);
  const own = (rollup: string) => read(rollup, "Private_Clean") + read(rollup, "Private_Dirty");
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  return {
    pssBytes: sum(rollups.map((rollup) => read(rollup, "Pss"))),
    aloneBytes: sum(rollups.map(own)) + Math.max(...rollups.map((rollup) => read(rollup, "Rss") - own(rollup))),
  };
}

/** User and system time of a process and its children: fields 14 and 15, in hundredths of a second. */
function cpuMs(pid: number): number {
  const times = processesOf(pid).map((one) => {
    const fields = Deno.readTextFileSync(`/proc/${one}/stat`).replace(/^.*\) /s, "").split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  });
  return times.reduce((total, ms) => total + ms, 0);
}

/**
 * `deno task bench`: what the agent costs, beside references measured in the same run, and whether each figure is within
 * its budget. Prints a table and writes JSON; ends with 1 when a figure is over its budget.
 *
 * Usage: `deno task bench [--quick] [--only NAME] [--postgres URL] [--json FILE] [--compare FILE]`. NAME is `cycle`,
 * `memory`, `logs`, `outbox`, `start` or `governor`. Linux only: it reads /proc.
 *
 * @module
 */

import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { givenPath } from "../../paths.ts";
import { runProgram } from "../../tasks/program.ts";
import { measureCycles } from "./cycle.ts";
import { measureGovernor } from "./governor.ts";
import { type Figure, formatTable, judge, type Judged } from "./figures.ts";
import { measureLogs } from "./logs.ts";
import { measureMemory } from "./memory.ts";
import { measureOutbox } from "./outbox.ts";
import { type BenchServer, openServer } from "./server.ts";
import { measureStart } from "./start.ts";
import { writeLogs, type WrittenLogs } from "./written_logs.ts";

/** How much is done: `full` within 12 minutes, `quick` within 2. */
const scales = {
  full: {
    ...{ rounds: 15, runs: 5, logRuns: 3, parseRuns: 7, memoryRuns: 3, cycles: 100 },
    ...{ logBytes: 100e6, documents: 400, lines: [8, 2], troubleShare: 1 },
  },
  quick: {
    ...{ rounds: 4, runs: 2, logRuns: 1, parseRuns: 3, memoryRuns: 1, cycles: 5 },
    ...{ logBytes: 20e6, documents: 100, lines: [3, 1], troubleShare: 0.2 },
  },
};

const groups = ["cycle", "memory", "logs", "outbox", "start", "governor"] as const;
type Group = typeof groups[number];

/** What is written as JSON. */
interface Report {
  at: string;
  deno: string;
  cpus: number;
  loadAverage: number[];
  quick: boolean;
  figures: Judged[];
}

/** The servers and files that groups share, made when the first one asks. */
class Bed implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly #url: string | undefined;
  readonly #logBytes: number;
  #server: Promise<BenchServer> | null = null;
  #logs: Promise<WrittenLogs> | null = null;

  constructor({ url, logBytes }: { url: string | undefined; logBytes: number }) {
    this.#url = url;
    this.#logBytes = logBytes;
  }

  server(): Promise<BenchServer> {
    return this.#server ??= openServer(this.#url).then((server) => this.#stack.use(server));
  }

  logs(): Promise<WrittenLogs> {
    return this.#logs ??= writeLogs(this.#logBytes).then((logs) => this.#stack.use(logs));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

async function measure(group: Group, bed: Bed, scale: typeof scales.full): Promise<Figure[]> {
  const { rounds, runs, logRuns, parseRuns, memoryRuns, cycles, logBytes, documents, lines, troubleShare } = scale;
  if (group === "cycle") return await measureCycles(await bed.server(), { rounds });
  if (group === "outbox") return await measureOutbox({ runs, documents });
  if (group === "start") return await measureStart(await bed.server(), { runs });
  if (group === "governor") return await measureGovernor(await bed.server(), { share: troubleShare });
  const logs = await bed.logs();
  if (group === "logs") {
    return await measureLogs(logs, { runs: logRuns, parseRuns, correlatedLines: lines[0]!, plainLines: lines[1]! });
  }
  const options = { runs: memoryRuns, cycles, logFile: logs.files.stderr, drainedBytes: logBytes };
  return await measureMemory(await bed.server(), options);
}

async function main(args: string[]): Promise<number> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args,
    options: { quick: { type: "boolean", default: false }, only: text, postgres: text, json: text, compare: text },
  });
  const chosen = groups.filter((group) => values.only === undefined || values.only === group);
  if (chosen.length === 0) throw new Error(`Cannot measure "${values.only}": it must be one of ${groups.join(", ")}`);
  const before = values.compare === undefined ? null : await readReport(pathOf(values.compare));
  const scale = values.quick ? scales.quick : scales.full;
  await using bed = new Bed({ url: values.postgres, logBytes: scale.logBytes });
  const figures: Judged[] = [];
  for (const group of chosen) {
    const startMs = performance.now();
    figures.push(...(await measure(group, bed, scale)).map(judge));
    console.error(`${group}: measured in ${Math.round((performance.now() - startMs) / 1_000)} s`);
  }
  console.log(formatTable(figures, new Map(before?.figures.map((figure) => [figure.name, figure]))));
  const report: Report = {
    at: new Date().toISOString(),
    deno: Deno.version.deno,
    cpus: cpus().length,
    loadAverage: Deno.loadavg(),
    quick: values.quick,
    figures,
  };
  const path = pathOf(values.json ?? "bench.json");
  await Deno.writeTextFile(path, JSON.stringify(report, null, 2) + "\n");
  const over = figures.filter(({ passes }) => passes === false);
  const judged = figures.filter(({ passes }) => passes !== null);
  console.log(`\n${judged.length - over.length} of ${judged.length} budgets met; ${path}`);
  return over.length === 0 ? 0 : 1;
}

function pathOf(path: string): string {
  return givenPath(path, (name) => Deno.env.get(name));
}

async function readReport(path: string): Promise<Report> {
  return JSON.parse(await Deno.readTextFile(path));
}

const help = `Usage: deno task bench [--quick] [--only ${
  groups.join("|")
}] [--postgres URL] [--json FILE] [--compare FILE]
  --quick     within 2 minutes instead of 12
  --postgres  a server to measure at; default: one of its own
  --json      where the figures go; default: bench.json
  --compare   such a file of before, to print beside`;

if (import.meta.main) Deno.exit(await runProgram(Deno.args, help, main));

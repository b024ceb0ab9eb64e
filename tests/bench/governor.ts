/**
 * A server in trouble, and the agent on it with and without its governor: large texts, many sessions, a queue for a lock.
 *
 * @module
 */

import { type Clock, systemClock } from "../../clock.ts";
import { openPostgresDatabase } from "../../collectors/postgres_database.ts";
import { createCollectors } from "../../collectors/registry.ts";
import { CollectorRun } from "../../tasks/collector_run.ts";
import { Governor, type Step } from "../../tasks/governor.ts";
import { MemoryLog } from "../support/memory_log.ts";
import { costOf } from "./cycle.ts";
import type { Figure } from "./figures.ts";
import { agentRole, Load } from "./load.ts";
import { type BenchServer, rolesPassword } from "./server.ts";

/** How large the trouble is. */
export interface Trouble {
  sessions: number;
  waiters: number;
  statements: number;
  textChars: number;
  /** Minutes that are measured. */
  cycles: number;
  /** Statements that run in a minute, others each time. */
  moving: number;
  /** The budget of a cycle is half a percent of it. */
  intervalMs: number;
}

/** What a cycle cost the server, one value a cycle, and the steps that were taken. */
export interface TroubleReport {
  governed: { serverMs: number; step: Step }[];
  ungoverned: { serverMs: number }[];
}

/** 245 MB of texts. */
const full: Trouble = {
  ...{ sessions: 500, waiters: 300, statements: 5_000, textChars: 50_000 },
  ...{ cycles: 24, moving: 200, intervalMs: 60_000 },
};

export async function measureGovernor(server: BenchServer, { share }: { share: number }): Promise<Figure[]> {
  const trouble = { ...full, statements: full.statements * share };
  const { governed, ungoverned } = await sufferTrouble(server, trouble);
  const mean = (cycles: { serverMs: number }[]) =>
    cycles.reduce((sum, { serverMs }) => sum + serverMs, 0) / cycles.length;
  return [{
    name: "governor/server time of a cycle in trouble, mean",
    unit: "ms",
    values: [mean(governed)],
    reference: { name: "without it", values: [mean(ungoverned)] },
  }];
}

/** The same minutes for both, one after the other. */
export async function sufferTrouble(server: BenchServer, trouble: Trouble): Promise<TroubleReport> {
  await using load = await Load.create(server, trouble);
  await load.grow({ name: "trouble", ...trouble });
  const governor = (clock: Clock) =>
    new Governor({ clock, log: new MemoryLog(), intervalMs: trouble.intervalMs, cpus: 2 });
  const ungoverned = await runCycles(server, load, { trouble, governor: () => null });
  const governed = await runCycles(server, load, { trouble, governor });
  return { ungoverned, governed };
}

async function runCycles(
  server: BenchServer,
  load: Load,
  options: { trouble: Trouble; governor: (clock: Clock) => Governor | null },
): Promise<TroubleReport["governed"]> {
  const { cycles, moving } = options.trouble;
  let minutes = 0;
  const clock: Clock = {
    now: () => new Date(Date.now() + minutes * 60_000),
    monotonicMs: () => performance.now() + minutes * 60_000,
    sleep: systemClock.sleep,
  };
  const log = new MemoryLog();
  const governor = options.governor(clock);
  const database = openPostgresDatabase({
    ...{ host: server.host, port: server.port, name: server.database, user: agentRole, sslmode: "disable" as const },
    ...{ password: () => rolesPassword, sslrootcert: "", statementTimeoutMs: 5_000, poolMaxSize: 3 },
  }, { log, clock });
  const parts = { database, log, clock, queryText: "full" as const, procfsPath: "", filesystems: [] };
  const runs = createCollectors({ ...parts, ...(governor && { restraint: governor }) }).map((collector) =>
    new CollectorRun({
      ...{ collector, capture: () => Promise.resolve(), clock, log, intervalMs: 60_000 },
      ...(governor && { governor }),
    })
  );
  const report: TroubleReport["governed"] = [];
  try {
    for (let cycle = 0; cycle < cycles; cycle++, minutes++) {
      await load.moveOn(cycle, moving);
      const waitedBeforeMs = database.status().timeMs;
      const { ms: serverMs } = await costOf(server, agentRole, async () => {
        await Promise.all(runs.map((run) => run.tick()));
      });
      governor?.endCycle(database.status().timeMs - waitedBeforeMs);
      report.push({ serverMs, step: governor?.status.step ?? "none" });
    }
  } finally {
    await database.close();
  }
  return report;
}

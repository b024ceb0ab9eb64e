/**
 * The doctor's look at one cycle: every collector runs once, as it will each minute, and what it costs is told; with it
 * whether sessions carry a correlation id, and which of the machine's figures are out of reach.
 *
 * @module
 */

import * as limits from "../../limits.ts";
import { errorMessage } from "../../log.ts";
import type { Collector } from "../../collectors/collector.ts";
import { readCount } from "../../collectors/row.ts";
import { collectorsOf } from "../collectors.ts";
import {
  askRow,
  type Check,
  databaseCheck,
  type Finding,
  type Mend,
  mendElsewhere,
  type Patient,
  silent,
} from "./check.ts";
import { quote } from "../quote.ts";

const name = "cycle";

/** What the collectors of the database cost the server now. */
export const cycleCheck: Check = databaseCheck(name, async (patient) => {
  const { config, database, clock, signal } = patient;
  const collectors = collectorsOf(config, { database, log: silent, clock, command: "start" });
  return await costFindings(collectors.filter((collector) => collector.name !== "system_metrics"), { clock, signal });
});

/** Runs collectors once each; one that fails or is slow is a finding. */
export async function costFindings(
  collectors: readonly Collector[],
  { clock, signal }: Pick<Patient, "clock" | "signal">,
): Promise<Finding[]> {
  const costs: string[] = [];
  const findings: Finding[] = [];
  for (const collector of collectors) {
    const startedMs = clock.monotonicMs();
    try {
      await collector.collect({ timestamp: clock.now(), signal });
      const costMs = clock.monotonicMs() - startedMs;
      costs.push(`${collector.name} ${costMs.toFixed(0)} ms`);
      if (costMs > limits.hardRunMs) findings.push(slow(collector.name, costMs));
    } catch (error) {
      findings.push({ name, state: "FAIL", text: `${collector.name}: ${errorMessage(error)}`, mend: mendElsewhere });
    }
  }
  return findings.length > 0 ? findings : [{ name, state: "ok", text: costs.join(", ") }];
}

function slow(collector: string, costMs: number): Finding {
  const text = `${collector} took ${costMs.toFixed(0)} ms: the agent will leave things out to spare the server`;
  const mend = { kind: "advice" as const, text: "look for what keeps the server busy; nothing is to be done here" };
  return { name, state: "warn", text, mend };
}

const namesSql = `/* bitville-monitor: doctor names */
select count(*)::int as sessions,
  count(*) filter (where application_name ~ '^bitville-[0-9a-fA-F-]{36}')::int as correlated
from pg_catalog.pg_stat_activity
where backend_type = 'client backend' and pid <> pg_catalog.pg_backend_pid() and application_name <> 'bitville-monitor'`;

/** Applications set an application_name that leads from a session to its web request. */
export const correlationCheck: Check = databaseCheck("correlation", async (patient) => {
  const row = await askRow(patient, namesSql);
  const [sessions, correlated] = [readCount(row, "sessions"), readCount(row, "correlated")];
  const text = `${correlated} of ${sessions} sessions carry a correlation id`;
  if (sessions === 0 || correlated > 0) return [{ name: "correlation", state: "ok", text }];
  const advice = "have the application set application_name to bitville-UUID for each of its requests";
  return [{ name: "correlation", state: "warn", text, mend: { kind: "advice", text: advice } }];
});

/** Counters of disks and network come from files that the unit mounts. */
export const systemCheck: Check = {
  name: "system",
  async run(patient) {
    const { config, database, clock, signal } = patient;
    const collector = collectorsOf(config, { database, log: silent, clock, command: "start" })
      .find((one) => one.name === "system_metrics")!;
    const collection = await collector.collect({ timestamp: clock.now(), signal });
    const { "cpu.percent": _, ...unavailable } =
      (collection.kind === "samples" ? collection.data.unavailable : {}) as Record<string, string>;
    const path = config.system.procfsPath;
    const findings = Object.entries(unavailable)
      // The paths of file systems are the checks of the buffer and of the logs.
      .filter(([field]) => !field.startsWith("filesystems"))
      .map(([field, reason]): Finding => ({
        name: "system",
        state: "warn",
        text: `${field}: ${reason}`,
        mend: mountMend(field, reason, path),
      }));
    return findings.length > 0 ? findings : [{ name: "system", state: "ok", text: "all figures of the machine" }];
  },
};

function mountMend(field: string, reason: string, path: string): Mend {
  const isMissing = / mount \/proc\/.* there$/.test(reason);
  if (isMissing && field === "disk_io") return mount("/proc/diskstats", `${path}/diskstats`);
  if (isMissing && field === "network_io") return mount("/proc/1/net/dev", `${path}/net/dev`);
  return { kind: "advice", text: "this kernel or container does not tell it; nothing is lost but the figure" };
}

/** What the unit does with BindReadOnlyPaths, for an agent that runs without it. */
function mount(source: string, target: string): Mend {
  const at = quote(target);
  return { kind: "shell", command: `install -D -m 0444 /dev/null ${at} && mount --bind -o ro ${source} ${at}` };
}

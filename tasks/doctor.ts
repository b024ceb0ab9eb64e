/**
 * `deno task doctor`: looks at everything that the agent needs and says of each whether it is right, and if not, what
 * mends it. It runs under the agent's own permissions, asks the server as the agent does, and changes nothing.
 *
 * Usage: `deno task doctor [--config PATH] [--json]`
 *
 * @module
 */

import { parseArgs } from "node:util";
import { systemClock } from "../clock.ts";
import type { Database } from "../collectors/database.ts";
import { openPostgresDatabase } from "../collectors/postgres_database.ts";
import { type Config, loadConfig, type Problem } from "../config.ts";
import * as limits from "../limits.ts";
import { errorMessage } from "../log.ts";
import { type CommandContext, exitClean, exitFailure } from "./command.ts";
import { agentHelp } from "./help.ts";
import { bufferCheck } from "./doctor/buffer.ts";
import {
  type Check,
  type Finding,
  mendElsewhere,
  mendText,
  type Patient,
  silent,
  type Surroundings,
} from "./doctor/check.ts";
import { clockCheck } from "./doctor/clock.ts";
import { configurationCheck, place } from "./doctor/configuration.ts";
import { connectionCheck, poolerCheck, versionsCheck } from "./doctor/connection.ts";
import { correlationCheck, cycleCheck, systemCheck } from "./doctor/cycle.ts";
import { listenerCheck } from "./doctor/listener.ts";
import { logFilesCheck, logSettingsCheck } from "./doctor/logs.ts";
import { permissionsCheck } from "./doctor/permissions.ts";
import { roleCheck } from "./doctor/role.ts";
import { statementsCheck } from "./doctor/statements.ts";
import { unitCheck } from "./doctor/unit.ts";

/** What `--help` prints. */
export const help = agentHelp.doctor;

/** In this order: what others depend on comes first. */
const checks: readonly Check[] = [
  configurationCheck,
  permissionsCheck,
  unitCheck,
  connectionCheck,
  versionsCheck,
  poolerCheck,
  roleCheck,
  statementsCheck,
  logFilesCheck,
  logSettingsCheck,
  correlationCheck,
  cycleCheck,
  clockCheck,
  systemCheck,
  bufferCheck,
  listenerCheck,
];

/** What `launch.ts` has found out with permissions that the agent does not get. */
export interface Given extends Surroundings {
  problems: Problem[];
}

/** Answers 0 if nothing is a FAIL, else 1. */
export async function run(context: CommandContext): Promise<number> {
  const { values } = parseArgs({
    args: context.args,
    options: { config: { type: "string" }, json: { type: "boolean" }, given: { type: "string" } },
  });
  const given: Given | null = values.given === undefined ? null : JSON.parse(values.given);
  const load = (requires: "listener" | "database") =>
    loadConfig({
      ...(values.config === undefined ? {} : { path: values.config }),
      environment: context.environment,
      readTextFile: (path) => Deno.readTextFile(path),
      requires,
    });
  const complete = await load("listener");
  const problems = given?.problems ?? (complete.kind === "refused" ? complete.problems : []);
  const loaded = problems.length === 0 ? complete : await load("database");
  const findings = problems.map(problemFinding);
  const config = loaded.kind === "loaded" ? loaded.config : null;
  if (config !== null) {
    const surroundings = given ?? { user: "bitville-postgres-agent", dropIn: null, isActive: false };
    const found = await examine(config, { context, surroundings, warnings: loaded.warnings });
    // Of a configuration that is refused, the rest is nothing to praise.
    const isPraise = ({ name, state }: Finding) => name === configurationCheck.name && state === "ok";
    findings.push(...found.filter((finding) => problems.length === 0 || !isPraise(finding)));
  }
  await context.print(values.json ? jsonReport(findings, config) : textReport(findings, config));
  return findings.some(({ state }) => state === "FAIL") ? exitFailure : exitClean;
}

function problemFinding({ section, key, message }: Problem): Finding {
  const mend = { kind: "advice" as const, text: `correct ${place(section, key)}` };
  return { name: "configuration", state: "FAIL", text: message, mend };
}

async function examine(
  config: Config,
  parts: { context: CommandContext; surroundings: Surroundings; warnings: readonly Problem[] },
): Promise<Finding[]> {
  const { context, surroundings, warnings } = parts;
  const { password, ...connection } = config.database;
  const clock = systemClock;
  const database = openPostgresDatabase({ ...connection, password: () => password.reveal() }, { log: silent, clock });
  const patient = {
    config,
    warnings,
    database,
    clock,
    environment: context.environment,
    surroundings,
    agentVersion: context.version,
    signal: context.stop,
  };
  try {
    return await runChecks(
      config.listener.url === null ? checks.filter((one) => one !== listenerCheck) : checks,
      patient,
    );
  } finally {
    await close(database);
  }
}

/** Runs checks one after the other; those that need a database that does not answer are named in one line. */
export async function runChecks(checks: readonly Check[], patient: Patient): Promise<Finding[]> {
  const findings: Finding[] = [];
  const left: string[] = [];
  for (const check of checks) {
    if (check.needsDatabase && findings.some(({ name, state }) => name === connectionCheck.name && state === "FAIL")) {
      left.push(check.name);
      continue;
    }
    findings.push(...await runCheck(check, patient));
  }
  if (left.length > 0) {
    const text = `not looked at without a connection: ${left.join(", ")}`;
    findings.push({
      name: "database",
      state: "warn",
      text,
      mend: { kind: "advice", text: "mend the connection first" },
    });
  }
  return findings;
}

async function runCheck(check: Check, patient: Patient): Promise<Finding[]> {
  const late = new AbortController();
  const signal = AbortSignal.any([patient.signal, late.signal]);
  const ended = new AbortController();
  void patient.clock.sleep(limits.doctorCheckMs, ended.signal).then(() => late.abort(new Error("It took too long")));
  const cut = new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  try {
    return await Promise.race([check.run({ ...patient, signal }), cut]);
  } catch (error) {
    return [{ name: check.name, state: "FAIL", text: errorMessage(error), mend: mendElsewhere }];
  } finally {
    ended.abort();
    cut.catch(() => {});
  }
}

async function close(database: Database): Promise<void> {
  const closed = new AbortController();
  const grace = systemClock.sleep(limits.closeGraceMs, closed.signal);
  await Promise.race([database.close(), grace]);
  closed.abort();
}

function textReport(findings: readonly Finding[], config: Config | null): string {
  return findings.map(({ name, state, text, mend }) =>
    `${state.padEnd(4)} ${name}: ${oneLine(text)}${mend === undefined ? "" : `; mend: ${mendOf(mend, config)}`}\n`
  ).join("");
}

/** `mend` is what to do in words, `how` the same for a program. */
function jsonReport(findings: readonly Finding[], config: Config | null): string {
  const failed = findings.some(({ state }) => state === "FAIL");
  const shown = findings.map(({ mend, ...finding }) => ({
    ...finding,
    mend: mend === undefined ? null : mendOf(mend, config),
    how: mend ?? null,
  }));
  return `${JSON.stringify({ ok: !failed, checks: shown })}\n`;
}

function mendOf(mend: NonNullable<Finding["mend"]>, config: Config | null): string {
  return config === null && mend.kind === "advice" ? mend.text : mendText(mend, config!);
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ");
}

/**
 * `deno task doctor` on an agent's folder, and what carries out the mends that it gives, as an operator would.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Finding, Mend } from "../../tasks/doctor/check.ts";
import type { EmbeddedPostgres } from "../../tasks/demo/embedded_postgres.ts";
import type { AgentFolder } from "./agent_folder.ts";
import { AgentProcess, type AgentProcessOptions } from "./agent_process.ts";

/** What the doctor reported. */
export interface Report {
  code: number;
  findings: Finding[];
}

/** Runs the doctor as `deno task doctor --json` does. */
export async function runDoctor(folder: AgentFolder, options: AgentProcessOptions = {}): Promise<Report> {
  const { code, stdout, stderr } = await AgentProcess.run(folder, { ...options, command: "doctor", args: ["--json"] });
  assert.equal(stderr, "");
  const { ok, checks } = JSON.parse(stdout);
  assert.equal(ok, code === 0);
  return { code, findings: checks.map(({ how, ...check }: { how: Mend }) => ({ ...check, mend: how })) };
}

/** The findings of one name, in short. */
export function found({ findings }: Report, name: string): string[] {
  return findings.filter((finding) => finding.name === name).map(({ state, text }) => `${state} ${text}`);
}

/** The one finding of a name and a state that is not `ok`. */
export function findingOf(report: Report, name: string, state: "warn" | "FAIL"): Finding {
  const matching = report.findings.filter((finding) => finding.name === name && finding.state === state);
  assert.equal(matching.length, 1, JSON.stringify(report.findings, null, 1));
  assert.equal(report.code, report.findings.some((finding) => finding.state === "FAIL") ? 1 : 0);
  return matching[0]!;
}

/** Does what a finding says, and nothing else. */
export async function carryOut(
  { mend }: Finding,
  { folder, server }: { folder: AgentFolder; server?: EmbeddedPostgres },
): Promise<void> {
  assert.ok(mend);
  if (mend.kind === "shell") await runShell(mend.command);
  else if (mend.kind === "setting") await folder.set({ [mend.section]: { [mend.key]: mend.value } });
  else if (mend.kind === "sql") {
    assert.ok(server);
    for (const statement of mend.statements) {
      await server.query(statement, mend.database === null ? {} : { database: mend.database });
    }
    if (mend.restart) await server.restart();
  } else assert.fail(`There is nothing to carry out in "${mend.text}"`);
}

/** Runs a command of the doctor's. */
export async function runShell(command: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("sh", { args: ["-c", command] }).output();
  assert.ok(success, `${command}: ${new TextDecoder().decode(stderr)}`);
}

/**
 * What the service cannot do, tried from inside of it: under the agent's own permissions, and with Deno's taken away, so
 * that the unit stands alone.
 *
 * @module
 */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { codePath, denoPath } from "../../systemd/layout.ts";
import { waitFor } from "../support/wait_for.ts";
import type { InstalledAgent } from "./installed_agent.ts";
import type { Machine } from "./machine.ts";

const probePath = `${codePath}/probe_program.ts`;

/** One attempt, and why it was refused; null where it was not. */
export interface Attempt {
  attempt: string;
  refused: string | null;
}

/** Runs the probe in the agent's place: the same unit, user and folders. The agent is stopped meanwhile. */
export async function probe(machine: Machine, agent: InstalledAgent, under: "deno" | "unit"): Promise<Attempt[]> {
  const program = await Deno.readTextFile(fileURLToPath(new URL("probe_program.ts", import.meta.url)));
  await machine.write(probePath, program);
  await machine.write("/home/alice/secret", "secret");
  await machine.write("/root/secret", "secret");
  await agent.override("probe", [
    "Type=oneshot",
    "Restart=no",
    "ExecStart=",
    `ExecStart=${await command(machine, under)}`,
  ]);
  await agent.systemctl("stop");
  const { length } = await attempts(agent);
  // Something to reach: a refused connection would say nothing.
  const other = new Deno.Command("nsenter", {
    args: [
      `--target=${machine.leader}`,
      "--net",
      Deno.execPath(),
      "eval",
      "Deno.serve({ port: 9901, onListen: console.log }, () => new Response())",
    ],
    stdout: "piped",
  }).spawn();
  await other.stdout.getReader().read();
  await agent.systemctl("start");
  other.kill("SIGKILL");
  await other.status;
  const made = await waitFor("the probe's attempts", async () => (await attempts(agent)).slice(length));
  await agent.override("probe", null);
  await Deno.remove(`${machine.root}${probePath}`);
  return made;
}

/** What Deno says when a permission is missing, and what the kernel says: nothing that merely did not work. */
const refusals = {
  deno: /^NotCapable|--cached-only is specified/,
  unit:
    /\(os error (?:1|13|30)\)|^Error: socket\(\)|EPERM|failed to map segment|No packet came through|^NotFound: .*\/proc\//,
};

/** Every attempt was refused, and by what should refuse it, but those that are `allowed`. */
export function assertRefused(made: readonly Attempt[], under: "deno" | "unit", allowed: readonly string[] = []): void {
  assert(made.length > 15, `only ${made.length} attempts were made`);
  const open = made.filter(({ refused }) => refused === null || !refusals[under].test(refused));
  assert.deepEqual(open.map(({ attempt }) => attempt), allowed, JSON.stringify(open));
}

async function attempts(agent: InstalledAgent): Promise<Attempt[]> {
  const lines = (await agent.journal()).split("\n").filter((line) => line.startsWith(`{"attempt"`));
  return lines.map((line) => JSON.parse(line));
}

/** The agent's own command line with its program replaced; or Deno with all permissions. */
async function command(machine: Machine, under: "deno" | "unit"): Promise<string> {
  if (under === "unit") return `${denoPath} run --no-prompt --cached-only -A ${probePath} unit`;
  const pid = await machine.output("pgrep", "-f", "main.ts start");
  const text = await machine.output("cat", `/proc/${pid.trim().split("\n")[0]}/cmdline`);
  const words = text.split("\0").filter((word) => word !== "");
  const main = words.findIndex((word) => word.endsWith("/main.ts"));
  return [...words.slice(0, main), probePath, "deno"].map((word) => `"${word.replaceAll("%", "%%")}"`).join(" ");
}

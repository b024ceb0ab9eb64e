/**
 * The agent of a machine, installed from the package and run by the machine's systemd.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { buildPackage } from "../../systemd/package.ts";
import { configurationPath, credentialsPath, packageName, unitName } from "../../systemd/layout.ts";
import { type LogLine, logLines } from "../support/agent_process.ts";
import { waitFor } from "../support/wait_for.ts";
import { output } from "./commands.ts";
import type { Machine } from "./machine.ts";
import { type Delivered, MachineListener } from "./machine_listener.ts";

export const unit = unitName;
const dropInFolder = `/etc/systemd/system/${unitName}.d`;

/** Sections of the INI file. */
export type Sections = Record<string, Record<string, string | number>>;

const configuration: Sections = {
  database: { host: "127.0.0.1" },
  listener: { url: `http://127.0.0.1:${MachineListener.port}/ingest`, project_id: "tests" },
  collection: { query_text: "full" },
};

/** Builds the package; with another version, it is one that a later release would be. */
export async function buildDeb(folder: string): Promise<{ path: string; later: string; laterVersion: string }> {
  const path = await buildPackage(folder);
  const unpacked = join(folder, "later");
  await output("dpkg-deb", "--raw-extract", path, unpacked);
  const laterVersion = "99.0.0";
  const change = (file: string, pattern: string) => output("sed", "-i", pattern, join(unpacked, file));
  await change("DEBIAN/control", `s/^Version: .*/Version: ${laterVersion}/`);
  await change(`usr/lib/${packageName}/deno.json`, `s/"version": "[^"]*"/"version": "${laterVersion}"/`);
  const later = join(folder, "later.deb");
  await output("dpkg-deb", "-Zxz", "-z0", "--build", unpacked, later);
  return { path, later, laterVersion };
}

/** What a test does with the agent and wants to know of it. */
export class InstalledAgent {
  readonly #machine: Machine;
  #cycles = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Installs a package, as `dpkg` does without any network. */
  async install(deb: string): Promise<void> {
    await Deno.copyFile(deb, join(this.#machine.root, "root/agent.deb"));
    await this.#machine.output("dpkg", "--install", "/root/agent.deb");
  }

  /** Writes configuration and secrets as an operator does. */
  async configure(changes: Sections = {}): Promise<void> {
    const names = new Set([...Object.keys(configuration), ...Object.keys(changes)]);
    const sections = [...names].map((section) => {
      const keys = Object.entries({ ...configuration[section], ...changes[section] });
      return `[${section}]\n${keys.map(([key, value]) => `${key} = ${value}\n`).join("")}`;
    });
    await Deno.writeTextFile(join(this.#machine.root, configurationPath), sections.join("\n"));
    await this.#machine.write(join(credentialsPath, "db_password"), "the password\n", 0o600);
    await this.#machine.write(join(credentialsPath, "listener_api_key"), "the key\n", 0o600);
  }

  /** Settings of the unit over its own, or without them again; takes effect at the next start. */
  async override(name: string, lines: readonly string[] | null): Promise<void> {
    const path = `${dropInFolder}/90-${name}.conf`;
    if (lines === null) await Deno.remove(join(this.#machine.root, path));
    else await this.#machine.write(path, `[Service]\n${lines.join("\n")}\n`);
    await this.#machine.output("systemctl", "daemon-reload");
  }

  systemctl(...command: string[]): Promise<string> {
    return this.#machine.output("systemctl", ...command, unit);
  }

  property(name: string): Promise<string> {
    return this.#machine.property(unit, name);
  }

  /** The process that is the agent, below `deno task`; null when there is none. */
  async pid(): Promise<number | null> {
    const { stdout } = await this.#machine.execute(["pgrep", "-u", packageName, "-f", "main.ts start"]);
    const pid = Number(stdout.trim().split("\n")[0]);
    return pid > 0 ? pid : null;
  }

  /** Waits until it is ready, with another agent's process than `before`; answers how long that took, in seconds. */
  async ready(before: number | null = null, boundMs = 60_000): Promise<number> {
    const startedMs = performance.now();
    await waitFor("a ready agent", async () => {
      if (await this.property("ActiveState") !== "active") return false;
      const pid = await this.pid();
      return pid !== null && pid !== before;
    }, { boundMs }).catch(async (cause) => {
      throw new Error(`The agent is not ready:\n${await this.journal(30)}`, { cause });
    });
    return Math.round((performance.now() - startedMs) / 100) / 10;
  }

  /** The last lines of the unit's journal. */
  journal(lines = 2_000): Promise<string> {
    return this.#machine.output("journalctl", "--no-pager", "--output=cat", `--lines=${lines}`, `--unit=${unit}`);
  }

  /** The agent's own log. */
  async log(event: string): Promise<LogLine[]> {
    return logLines(`${await this.journal()}\n`).filter((line) => line.event === event);
  }

  /** Waits for one more line of an event than there were. */
  async event(event: string, before: number, boundMs = 90_000): Promise<LogLine> {
    return await waitFor(`${event} in the journal`, async () => (await this.log(event))[before], { boundMs });
  }

  /** Has it take over a configuration; answers with what it says of it. */
  async reload(changes: Sections, event = "reload_complete"): Promise<LogLine> {
    const { length } = await this.log(event);
    await this.configure(changes);
    await this.systemctl("reload");
    return await this.event(event, length);
  }

  /** Has every collector run at once: those whose settings have changed begin anew. */
  async cycle(): Promise<void> {
    this.#cycles += 1;
    await this.reload({ collection: { query_text: this.#cycles % 2 === 1 ? "redacted" : "full" } });
  }
}

/** Waits until every document has arrived; none under two ids, and none twice but after a crash. */
export async function assertComplete(listener: MachineListener, boundMs = 90_000): Promise<number> {
  const complete = () => {
    const ids = idsOf(listener.documents);
    const last = Math.max(...ids.keys());
    return ids.size === last ? last : null;
  };
  return await waitFor("every number up to the last", complete, { boundMs });
}

function idsOf(documents: readonly Delivered[]): Map<number, string> {
  const ids = new Map<number, string>();
  for (const { sequence, id } of documents) {
    assert.equal(ids.get(sequence) ?? id, id, `number ${sequence} came under two ids`);
    ids.set(sequence, id);
  }
  assert.equal(new Set(ids.values()).size, ids.size, "an id came under two numbers");
  return ids;
}

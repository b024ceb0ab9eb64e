/**
 * A clock that is set and a process that stands still: the agent goes on collecting and delivering, and counts no run as
 * missed that was not.
 *
 * @module
 */

import assert from "node:assert/strict";
import { systemClock } from "../../clock.ts";
import { AgentFolder } from "../support/agent_folder.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { assertComplete } from "../support/deliveries.ts";
import { type Received, ScriptedListener } from "../support/scripted_listener.ts";
import { sharedPostgres } from "../support/shared_postgres.ts";

const postgres = sharedPostgres();
/** Until the agent has noticed, the next whole minute, and what an agent on a slow machine needs then. */
const tickBoundMs = 100_000;
const hourMs = 60 * 60 * 1_000;

const library = findLibrary();
const libraryMissing = library === null ? " (skipped: there is no libfaketime)" : null;

function findLibrary(): string | null {
  for (const folder of ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"]) {
    const path = `${folder}/faketime/libfaketimeMT.so.1`;
    try {
      Deno.statSync(path);
      return path;
    } catch {
      // Debian has it where the machine's libraries are.
    }
  }
  return null;
}

/** The wall clock of an agent, for a test to set; its monotonic clock is the machine's. */
class SetClock {
  readonly #path: string;

  constructor(folder: AgentFolder) {
    this.#path = `${folder.path}/clock`;
  }

  get environment(): Record<string, string> {
    const file = { FAKETIME_TIMESTAMP_FILE: this.#path, FAKETIME_NO_CACHE: "1" };
    return { LD_PRELOAD: library!, FAKETIME_DONT_FAKE_MONOTONIC: "1", DONT_FAKE_MONOTONIC: "1", ...file };
  }

  async set(aheadMs: number): Promise<void> {
    await Deno.writeTextFile(this.#path, `${aheadMs < 0 ? "" : "+"}${aheadMs / 1_000}`);
  }
}

function aheadMs({ document }: Received): number {
  return new Date(document.timestamp).getTime() - Date.now();
}

/** The status of the last cycle that was delivered. */
function lastStatus(listener: ScriptedListener): Record<string, Record<string, unknown>> | undefined {
  return listener.received.findLast(({ document }) => document.type === "agent_status")?.document.data as
    | Record<string, Record<string, unknown>>
    | undefined;
}

/** Sets the clock of an agent back by an hour and forward by a day, and waits for a cycle after each. */
async function setClock(): Promise<void> {
  await using listener = new ScriptedListener();
  await using folder = await AgentFolder.create({ database: postgres(), listener });
  const clock = new SetClock(folder);
  await clock.set(0);
  await using agent = AgentProcess.start(folder, { environment: clock.environment });
  await agent.event("collection_complete", { where: ({ collector }) => collector === "agent_status" });
  for (const setTo of [-hourMs, 24 * hourMs]) {
    await clock.set(setTo);
    await agent.until(`a status ${setTo} ms ahead`, () => {
      const last = listener.received.findLast(({ document }) => document.type === "agent_status");
      return last !== undefined && Math.abs(aheadMs(last) - setTo) < hourMs / 2;
    }, { boundMs: tickBoundMs });
  }
  assert.equal((await agent.end("SIGTERM")).code, 0);
  assertComplete(listener);
  assert.equal(lastStatus(listener)?.loss?.missed_runs, 0);
  assert.deepEqual(agent.of("collection_missed"), []);
}

/** Has an agent stand still over a whole minute: every collector is due once. */
async function standStill(): Promise<void> {
  await using listener = new ScriptedListener();
  await using folder = await AgentFolder.create({ database: postgres(), listener });
  await using agent = AgentProcess.start(folder);
  await agent.event("collection_complete", { where: ({ collector }) => collector === "agent_status" });
  // No cycle is under way then.
  await agent.until("the middle of a minute", () => Math.abs(Date.now() % 60_000 - 35_000) < 20_000);
  const before = agent.of("collection_complete").length;
  agent.kill("SIGSTOP");
  await systemClock.sleep(60_000 - Date.now() % 60_000 + 3_000);
  agent.kill("SIGCONT");
  await agent.until("a cycle", () => agent.of("collection_complete").length >= before + 3);
  const runs = agent.of("collection_complete").slice(before).map(({ collector }) => collector);
  assert.equal(new Set(runs).size, runs.length, "one run a collector");
  // A request that was under way when it stopped has timed out since, whatever the listener answered: it is sent again,
  // behind what is new.
  await agent.until("all that was captured to be delivered", () => {
    const numbers = new Set(listener.accepted.map(({ sequence }) => sequence));
    return numbers.size === Math.max(...numbers);
  });
  assert.equal((await agent.end("SIGTERM")).code, 0);
  assertComplete(listener, { repeated: true });
  assert.deepEqual(agent.of("collection_missed"), []);
}

Deno.test("start goes on, and counts no run as missed", async (test) => {
  // At once, because both wait for whole minutes.
  const atOnce = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false };
  const name = `when the clock is set back by an hour and forward by a day${libraryMissing ?? ""}`;
  await Promise.all([
    test.step({ ...atOnce, name, ignore: libraryMissing !== null, fn: setClock }),
    test.step({ ...atOnce, name: "when it stood still over a whole minute", fn: standStill }),
  ]);
});

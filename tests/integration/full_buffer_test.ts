/**
 * A buffer that a long outage has filled, drained by the agent as a user runs it: in which order, how long it takes, what
 * it costs in memory, and how long new documents wait meanwhile. With `BITVILLE_TEST_FULL_BUFFER` set it is a day's
 * documents at the cap of 100 MB, and lasts ten minutes.
 *
 * @module
 */

import assert from "node:assert/strict";
import * as limits from "../../limits.ts";
import { AgentFolder } from "../support/agent_folder.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { assertTwoLines } from "../support/deliveries.ts";
import { ScriptedListener } from "../support/scripted_listener.ts";
import { sharedPostgres } from "../support/shared_postgres.ts";

const postgres = sharedPostgres();
const documentsPerCycle = 6;
const plan = Deno.env.has("BITVILLE_TEST_FULL_BUFFER")
  ? { cycles: 24 * 60, capMb: 100, bytes: 11_300, boundMs: 20 * 60_000 }
  : { cycles: 20, capMb: 3, bytes: 24_500, boundMs: 60_000 };
const waiting = plan.cycles * documentsPerCycle;
/** Beside the idle agent. */
const drainBytesMax = 64_000_000;
/** New documents are never later than by this: one request of the backlog, and a slow machine. */
const delayMsMax = 10_000;

interface Drain {
  tookS: number;
  delaysMs: number[];
  rssPeakBytes: number;
}

function rssBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1] ?? 0) * 1_024;
}

/** What an agent takes that has nothing to catch up with, at the most in its first cycle. */
async function idlePeak(): Promise<number> {
  await using listener = new ScriptedListener();
  await using folder = await AgentFolder.create({ database: postgres(), listener });
  await using agent = AgentProcess.start(folder);
  let peak = 0;
  await agent.until("the first cycle", () => {
    peak = Math.max(peak, rssBytes(agent.pid));
    return listener.accepted.some(({ type }) => type === "agent_status");
  });
  await agent.end("SIGTERM");
  return peak;
}

/** Notes when each document arrived, and drops what fills it: this process need not remember a whole buffer. */
function noteArrivals(listener: ScriptedListener): Map<number, number> {
  const arrivedMs = new Map<number, number>();
  listener.answer = () => {
    const { document } = listener.received.at(-1)!;
    document.data = {};
    arrivedMs.set(document.sequence, Date.now());
    return new Response(null, { status: 202 });
  };
  return arrivedMs;
}

async function drain(listener: ScriptedListener, folder: AgentFolder): Promise<Drain> {
  const arrivedMs = noteArrivals(listener);
  await using agent = AgentProcess.start(folder);
  const startedMs = performance.now();
  let rssPeakBytes = 0;
  await agent.until("the buffer to be flushed", () => {
    rssPeakBytes = Math.max(rssPeakBytes, rssBytes(agent.pid));
    return agent.stderr.includes(`"event":"buffer_flush_complete"`);
  }, { boundMs: plan.boundMs });
  const tookS = (performance.now() - startedMs) / 1_000;
  assert.equal((await agent.end("SIGTERM")).code, 0);
  const [flushed] = agent.of("buffer_flush_complete");
  const evicted = agent.of("buffer_eviction_complete").reduce((sum, line) => sum + Number(line.evicted_count), 0);
  assert.equal(Number(flushed?.flushed_count) + evicted, waiting);
  const delaysMs = agent.of("document_stored").flatMap(({ sequence, time }) => {
    const arrived = arrivedMs.get(Number(sequence));
    return arrived === undefined ? [] : [arrived - new Date(time).getTime()];
  });
  return { tookS, delaysMs, rssPeakBytes };
}

Deno.test("start drains a full buffer in order and at its pace, and lets nothing new wait for it", async () => {
  const idleBytes = await idlePeak();
  await using listener = new ScriptedListener();
  const settings = { buffer: { max_size_mb: plan.capMb } };
  await using folder = await AgentFolder.create({ database: postgres(), listener, settings });
  await folder.fill(waiting, plan.bytes);
  const { bytes } = await folder.inspect();
  assert(bytes > plan.capMb * 1_048_576 * 0.8 && bytes < plan.capMb * 1_048_576, `${bytes} bytes are stored`);
  const { tookS, delaysMs, rssPeakBytes } = await drain(listener, folder);
  const numbers = listener.accepted.map(({ sequence }) => sequence);
  assertTwoLines(numbers);
  assert.equal(new Set(numbers).size, numbers.length, "nothing came twice");
  assert(tookS > waiting / limits.backlogDocumentsPerS - 1, `${waiting} documents in ${tookS} s`);
  assert(delaysMs.length > 0 && Math.max(...delaysMs) < delayMsMax, `new documents waited ${delaysMs.join(", ")} ms`);
  const grownBytes = rssPeakBytes - idleBytes;
  assert(grownBytes < drainBytesMax, `the memory grew by ${grownBytes}`);
  const file = await Deno.stat(`${folder.bufferPath}/outbox.kv`);
  const left = await folder.inspect();
  console.log(
    `${waiting} documents, ${bytes} bytes stored: drained in ${tookS.toFixed(1)} s, ${delaysMs.length} new documents ` +
      `waited at most ${
        Math.max(...delaysMs)
      } ms; memory ${idleBytes} idle, ${rssPeakBytes} at the peak; the file has ` +
      `${file.size} bytes, with ${left.records} documents in it`,
  );
});

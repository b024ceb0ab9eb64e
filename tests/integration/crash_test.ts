/**
 * kill -9, again and again: whatever the agent was doing, the next one goes on where it was. What a listener sees of it
 * is at most the same document twice.
 *
 * @module
 */

import assert from "node:assert/strict";
import { systemClock } from "../../clock.ts";
import { AgentFolder } from "../support/agent_folder.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { assertComplete } from "../support/deliveries.ts";
import { ScriptedListener } from "../support/scripted_listener.ts";
import { seededRandom, takeSeed } from "../support/seeded_random.ts";
import { sharedPostgres } from "../support/shared_postgres.ts";

const postgres = sharedPostgres();
const crashes = 40;
const realCrashes = 6;

/** What is in the buffer of an agent that has ended. */
interface Left {
  records: number;
  bytes: number;
  nextSequence: number;
}

/** Lets an agent deliver all that is left and what it collects at its start; answers with what is in the buffer then. */
async function finish(folder: AgentFolder, agent: AgentProcess, listener: ScriptedListener): Promise<Left> {
  await agent.event("collection_complete", { where: ({ collector }) => collector === "pg_stat_activity" });
  await agent.until("everything to be delivered", () => {
    const stored = Math.max(...agent.of("document_stored").map(({ sequence }) => Number(sequence)));
    return new Set(listener.accepted.map(({ sequence }) => sequence)).size >= stored;
  });
  assert.equal((await agent.end("SIGTERM")).code, 0);
  const { integrity, ...left } = await folder.inspect();
  assert.equal(integrity, "ok");
  return left;
}

Deno.test(`start loses no document and gives none a second id when it is killed ${crashes} times`, async () => {
  const seed = takeSeed();
  console.log(`seed ${seed}`);
  const random = seededRandom(seed);
  await using listener = new ScriptedListener();
  // Room for all that is collected while an agent has no time to deliver it.
  const settings = { buffer: { max_size_mb: 2_000 } };
  await using folder = await AgentFolder.create({ database: postgres(), listener, settings });
  const program = "agent_with_fast_schedule.ts";
  // An answer takes a while, so that kills fall between the delivery and its being noted; now and then there is none.
  listener.answer = async () => {
    await systemClock.sleep(random() * 5);
    return new Response(null, { status: random() < 0.02 ? 503 : 202 });
  };
  for (let crash = 1; crash <= crashes; crash++) {
    await using agent = AgentProcess.startProgram(folder, program, ["--every=40", "--large"]);
    const before = listener.received.length;
    const requests = Math.floor(random() * 40);
    // Every fourth one is killed by time alone, so that its start is hit as well.
    if (crash % 4 === 0) await systemClock.sleep(random() * 400);
    else await agent.until(`${requests} requests`, () => listener.received.length >= before + requests);
    await systemClock.sleep(random() * 20);
    const ended = await agent.end("SIGKILL");
    assert.equal(ended.signal, "SIGKILL", ended.stderr);
  }
  listener.answer = () => new Response(null, { status: 202 });
  // The last one collects at its start only.
  await using agent = AgentProcess.startProgram(folder, program, ["--every=600000", "--collectors=0"]);
  const left = await finish(folder, agent, listener);
  const delivered = assertComplete(listener, { repeated: true });
  assert.equal(left.nextSequence - 1, delivered + left.records, "captured = delivered + in the buffer");
  if (left.records === 0) assert.equal(left.bytes, 0);
  const repeated = listener.accepted.length - delivered;
  console.log(`${crashes} crashes, ${delivered} documents, ${repeated} of them twice`);
});

Deno.test("start sends a document again under the same id when it was killed before it could note the answer", async () => {
  await using listener = new ScriptedListener();
  await using folder = await AgentFolder.create({ database: postgres(), listener });
  await using agent = AgentProcess.start(folder);
  listener.script(async () => {
    await agent.end("SIGKILL");
    return new Response(null, { status: 202 });
  });
  await agent.end();
  await using next = AgentProcess.start(folder);
  await finish(folder, next, listener);
  const [first, second] = listener.received;
  assert.equal(first?.document.sequence, 1);
  assert.deepEqual(second?.document, first?.document);
  assertComplete(listener, { repeated: true });
});

Deno.test(`start loses nothing when it is killed ${realCrashes} times right after it has stored a document`, async () => {
  await using listener = new ScriptedListener();
  await using folder = await AgentFolder.create({ database: postgres(), listener });
  await listener.close();
  let stored = 0;
  for (let crash = 1; crash <= realCrashes; crash++) {
    await using agent = AgentProcess.start(folder);
    await agent.event("document_stored");
    await agent.end("SIGKILL");
    stored += agent.of("document_stored").length;
  }
  listener.reopen();
  await using agent = AgentProcess.start(folder);
  await finish(folder, agent, listener);
  const delivered = assertComplete(listener, { repeated: true });
  assert(delivered > stored, `${stored} were stored before the crashes, ${delivered} arrived`);
});

/**
 * The agent of the soak: the agent's own parts from the outbox to the listener, on the schedule of
 * `agent_with_fast_schedule.ts`, with collectors that need no database and documents of every size. SIGUSR1 sets its
 * clock back by an hour, SIGUSR2 forward by a day.
 *
 * Usage: `deno run -A soak_agent.ts CONFIG`
 *
 * @module
 */

import process from "node:process";
import { random, systemClock } from "../../clock.ts";
import type { Collection, Collector } from "../../collectors/collector.ts";
import { loadConfig } from "../../config.ts";
import { createLog } from "../../log.ts";
import { Agent } from "../../tasks/agent.ts";
import type { Schedule } from "../../tasks/cron.ts";
import { createSeal } from "../../transport/envelope.ts";
import { createHttpDelivery } from "../../transport/http_delivery.ts";
import { openKvOutbox } from "../../transport/kv_outbox.ts";
import { MemoryDatabase } from "../fakes/memory_database.ts";
import { draftOf } from "../support/drafts.ts";

/** A usual interval is 60 s. */
const speed = 30;
const everyMs = 60_000 / speed;

/** Bytes of the documents of one type, in turn: some need two commits, some are larger than the whole buffer. */
const sizes: Readonly<Record<string, readonly number[]>> = {
  small: [500],
  medium: [20_000, 5_000, 40_000],
  large: [100_000, 2_000, 2_000, 800_000, 2_000],
  huge: [1_000, 1_000, 300_000, 1_000, 1_000, 1_000, 1_000, 3_000_000],
};

class SizedCollector implements Collector {
  readonly name: string;
  readonly #sizes: readonly number[];
  #runs = 0;

  constructor([name, sizes]: readonly [string, readonly number[]]) {
    this.name = name;
    this.#sizes = sizes;
  }

  collect(): Promise<Collection> {
    const { data } = draftOf(this.name, this.#sizes[this.#runs++ % this.#sizes.length]);
    return Promise.resolve({ kind: "samples", rows: 1, data });
  }
}

let wallAheadMs = 0;
const clock = { ...systemClock, now: () => new Date(Date.now() + wallAheadMs) };
Deno.addSignalListener("SIGUSR1", () => wallAheadMs -= 60 * 60_000);
Deno.addSignalListener("SIGUSR2", () => wallAheadMs += 24 * 60 * 60_000);
const stop = Promise.withResolvers<void>();
Deno.addSignalListener("SIGTERM", () => stop.resolve());

const loaded = await loadConfig({
  path: Deno.args[0] ?? "",
  environment: () => undefined,
  readTextFile: (path) => Deno.readTextFile(path),
  requires: "listener",
});
if (loaded.kind === "refused") throw new Error(JSON.stringify(loaded.problems));
const { buffer, listener, logging } = loaded.config;
const encoder = new TextEncoder();
const log = createLog({ level: logging.level, write: (line) => void Deno.stderr.writeSync(encoder.encode(line)) });
const seal = createSeal({ project: listener.projectId, host: Deno.hostname(), version: "0.0.0" }, clock);
const outbox = await openKvOutbox({ ...buffer, seal, clock, log });
const delivery = createHttpDelivery({
  url: listener.url!,
  apiKey: listener.apiKey.reveal(),
  timeoutMs: listener.timeoutS * 1_000,
  compression: listener.compression,
  caCertificates: [],
  userAgent: "soak",
  clock,
});
const agent = new Agent({
  ...{ outbox, delivery, schedule, clock, random, usage, log },
  database: new MemoryDatabase(),
  collectors: Object.entries(sizes).map((entry) => new SizedCollector(entry)),
  intervalS: 60,
  pace: { documentsPerS: 20 * speed, bytesPerS: 1_000_000 * speed, startDelayMaxMs: 5_000 / speed },
  breaker: { cooldownMs: 60_000 / speed, backoffMaxMs: 30_000 / speed },
});
void agent.start();
await stop.promise;
await agent.stop();
log.info("agent_stopped");
Deno.exit(0);

function usage(): { rssBytes: number; cpuS: number } {
  const { user, system } = process.cpuUsage();
  return { rssBytes: Deno.memoryUsage().rss, cpuS: (user + system) / 1e6 };
}

/** As cron does: a tick that finds the last one still running is left out. */
async function schedule(...[_name, { signal }, tick]: Parameters<Schedule>): Promise<void> {
  while (!signal.aborted) {
    await systemClock.sleep(everyMs, signal);
    if (!signal.aborted) await tick();
  }
}

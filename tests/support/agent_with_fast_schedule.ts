/**
 * The agent's own parts, but for the schedule and the collectors: ticks come every few milliseconds instead of every
 * minute, and every tick of every collector brings a document. For tests that need documents to flow.
 *
 * Usage: `deno run -A agent_with_fast_schedule.ts CONFIG [--every=MS] [--collectors=COUNT] [--sleep=MS] [--large]`
 *
 * @module
 */

import { parseArgs } from "node:util";
import { random, systemClock } from "../../clock.ts";
import { ActivityCollector } from "../../collectors/activity.ts";
import type { CollectContext, Collection, Collector } from "../../collectors/collector.ts";
import type { Database } from "../../collectors/database.ts";
import { openPostgresDatabase } from "../../collectors/postgres_database.ts";
import { Sessions } from "../../collectors/sessions.ts";
import { type Config, loadConfig } from "../../config.ts";
import { createLog, type Log } from "../../log.ts";
import { Agent } from "../../tasks/agent.ts";
import type { Schedule } from "../../tasks/cron.ts";
import { createSeal } from "../../transport/envelope.ts";
import { createHttpDelivery } from "../../transport/http_delivery.ts";
import { openKvOutbox } from "../../transport/kv_outbox.ts";

/** Reads what the server itself says of the agent's session, and adds text that does not compress. */
class SessionCollector implements Collector {
  readonly name: string;
  readonly #database: Database;
  readonly #sleepMs: number;
  readonly #large: boolean;
  #runs = 0;

  constructor(index: number, options: { database: Database; sleepMs: number; large: boolean }) {
    this.name = `session_${index}`;
    this.#database = options.database;
    this.#sleepMs = options.sleepMs;
    this.#large = options.large;
  }

  async collect({ signal }: CollectContext): Promise<Collection> {
    const text = `/* bitville-monitor: ${this.name} */ select current_user::text as user,
      current_setting('statement_timeout') as statement_timeout, current_setting('lock_timeout') as lock_timeout,
      current_setting('idle_in_transaction_session_timeout') as idle_timeout,
      current_setting('default_transaction_read_only') as read_only, pg_sleep($1)::text as slept`;
    const [session] = await this.#database.query({ text, values: [this.#sleepMs / 1_000] }, signal);
    const filling = Array.from({ length: this.#uuids() }, () => crypto.randomUUID());
    return { kind: "samples", rows: 1, data: { session, filling } };
  }

  /** Every tenth document is larger than one commit of the buffer, if that is wanted. */
  #uuids(): number {
    this.#runs += 1;
    return this.#large && this.#runs % 10 === 0 ? 60_000 : 50;
  }
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    every: { type: "string", default: "50" },
    collectors: { type: "string", default: "3" },
    sleep: { type: "string", default: "0" },
    large: { type: "boolean", default: false },
  },
});

const loaded = await loadConfig({
  path: positionals[0] ?? "",
  environment: () => undefined,
  readTextFile: (path) => Deno.readTextFile(path),
  requires: "listener",
});
if (loaded.kind === "refused") throw new Error(JSON.stringify(loaded.problems));
const { config } = loaded;
const encoder = new TextEncoder();
const log = createLog({
  level: config.logging.level,
  write: (line) => void Deno.stderr.writeSync(encoder.encode(line)),
});
const stop = Promise.withResolvers<void>();
for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => stop.resolve());
log.info("agent_starting");
const agent = await openAgent(config, log);
agent.start();
await stop.promise;
await agent.stop();
log.info("agent_stopped");
Deno.exit(0);

async function openAgent(config: Config, log: Log): Promise<Agent> {
  const clock = systemClock;
  const { url, apiKey, timeoutS, compression } = config.listener;
  const origin = { project: config.listener.projectId, host: Deno.hostname(), version: "0.0.0" };
  const outbox = await openKvOutbox({ ...config.buffer, seal: createSeal(origin, clock), clock, log });
  const delivery = createHttpDelivery({
    url: url!,
    apiKey: apiKey.reveal(),
    timeoutMs: timeoutS * 1_000,
    compression,
    caCertificates: [],
    userAgent: "tests",
    clock,
  });
  const { password, ...connection } = config.database;
  const database = openPostgresDatabase({ ...connection, password: () => password.reveal() }, { log, clock });
  const options = { database, sleepMs: Number(values.sleep), large: values.large };
  const collectors = [
    new ActivityCollector({ sessions: new Sessions({ database, clock }), log, clock, queryText: "full" }),
    ...Array.from({ length: Number(values.collectors) }, (_, index) => new SessionCollector(index, options)),
  ];
  const { intervalS } = config.collection;
  const usage = () => ({ rssBytes: 0, cpuS: 0 });
  // As much faster as the documents are.
  const pace = { documentsPerS: 1_000, bytesPerS: 100_000_000, startDelayMaxMs: 0 };
  return new Agent({ outbox, delivery, database, collectors, schedule, intervalS, clock, random, usage, log, pace });
}

/** As cron does: a tick that finds the last one still running is left out. */
async function schedule(...[_name, { signal }, tick]: Parameters<Schedule>): Promise<void> {
  while (!signal.aborted) {
    await systemClock.sleep(Number(values.every), signal);
    if (!signal.aborted) await tick();
  }
}

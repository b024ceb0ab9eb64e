/**
 * The agent of a configuration, and its way from one configuration to the next while it runs.
 *
 * @module
 */

import { type Clock, random, systemRandom } from "../clock.ts";
import { BurstSampler } from "../collectors/burst.ts";
import { openPostgresDatabase } from "../collectors/postgres_database.ts";
import type { Database } from "../collectors/database.ts";
import type { Config, Loaded } from "../config.ts";
import { createLog, errorMessage, type Log } from "../log.ts";
import type { Delivery } from "../transport/delivery.ts";
import { createSeal } from "../transport/envelope.ts";
import { createHttpDelivery } from "../transport/http_delivery.ts";
import { openKvOutbox } from "../transport/kv_outbox.ts";
import { Agent, type AgentChange, type AgentHealth } from "./agent.ts";
import type { ProcessUsage } from "./command.ts";
import { BurstRun } from "./burst_run.ts";
import { collectorsOf, logRunOf } from "./collectors.ts";
import { reportLoaded } from "./configuration.ts";
import { scheduleOnCron } from "./cron.ts";
import type { CycleParts } from "./cycle.ts";
import { Governor } from "./governor.ts";
import { planReload } from "./reload.ts";

/** What an agent needs beside its configuration. */
export interface Powers {
  write: (line: string) => void;
  usage: () => ProcessUsage;
  version: string;
  clock: Clock;
  log: Log;
  /** Whether the process was started with the permissions that a configuration needs. */
  isGranted: (config: Config) => boolean;
  /** Aborted when the agent is about to be stopped. */
  stopping: AbortSignal;
}

/** An agent and the configuration that is in force. */
export class ConfiguredAgent {
  readonly #powers: Powers;
  readonly #agent: Agent;
  readonly #inForce: InForce;

  private constructor(agent: Agent, inForce: InForce, powers: Powers) {
    this.#agent = agent;
    this.#inForce = inForce;
    this.#powers = powers;
  }

  /** Opens the outbox and makes the rest. Throws why that cannot be. */
  static async open(config: Config, powers: Powers): Promise<ConfiguredAgent> {
    const { clock, log, usage, version, stopping } = powers;
    const inForce = { config, cycle: createCycle(config, powers, { database: openDatabase(config, powers) }) };
    const origin = {
      host: Deno.hostname(),
      version,
      // Asked for at each document: a reload can change it.
      get project() {
        return inForce.config.listener.projectId;
      },
    };
    const delivery = await createDelivery(config, powers);
    const outbox = await openKvOutbox({ ...config.buffer, seal: createSeal(origin, clock, systemRandom), clock, log });
    const parts = { outbox, delivery, schedule: scheduleOnCron, clock, random, usage, log, stopping };
    return new ConfiguredAgent(new Agent({ ...parts, ...inForce.cycle }), inForce, powers);
  }

  get health(): AgentHealth {
    return this.#agent.health;
  }

  /** Resolves when every collector has run once. */
  start(): Promise<void> {
    return this.#agent.start();
  }

  stop(): Promise<void> {
    return this.#agent.stop();
  }

  /** Takes over what of a configuration that was just read can be, and says so. A refused one changes nothing. */
  async reload(loaded: Loaded): Promise<void> {
    const { log, write, isGranted } = this.#powers;
    reportLoaded(loaded, log);
    if (loaded.kind === "refused") {
      log.error("reload_refused", { problems: loaded.problems.length, in_force: "the configuration of before" });
      return;
    }
    const { config, changed, restartNeeded } = planReload(this.#inForce.config, loaded.config, isGranted);
    try {
      const change = await this.#changeTo(config, changed);
      createLog({ level: config.logging.level, write });
      await this.#agent.reload(change);
      this.#inForce.cycle = change.cycle ?? this.#inForce.cycle;
      this.#inForce.config = config;
    } catch (error) {
      log.error("reload_failed", { error: errorMessage(error), in_force: "the configuration of before" });
      return;
    }
    const fields = { changed, restart_needed: restartNeeded };
    if (restartNeeded.length === 0) log.info("reload_complete", fields);
    else log.warning("reload_complete", { ...fields, hint: "Restart needed for the settings under restart_needed" });
  }

  /** Makes what is new, all of it before anything is replaced. */
  async #changeTo(config: Config, changed: readonly string[]): Promise<AgentChange> {
    const touches = (...prefixes: string[]) => changed.some((name) => prefixes.some((one) => name.startsWith(one)));
    // The file may hold another certificate than before.
    const delivery = touches("listener.") || config.listener.caFile !== ""
      ? { delivery: await createDelivery(config, this.#powers) }
      : {};
    const { cycle } = this.#inForce;
    if (touches("database.")) {
      const database = openDatabase(config, this.#powers);
      return { ...delivery, maxBytes: config.buffer.maxBytes, cycle: createCycle(config, this.#powers, { database }) };
    }
    if (touches("collection.log_path", "collection.query_text", "system.")) {
      return { ...delivery, maxBytes: config.buffer.maxBytes, cycle: createCycle(config, this.#powers, cycle) };
    }
    // Collectors that remember what they have read go on with it.
    const paced = touches("collection.") ? { cycle: { ...cycle, intervalS: config.collection.intervalS } } : {};
    return { ...delivery, maxBytes: config.buffer.maxBytes, ...paced };
  }
}

/** What a reload exchanges. */
interface InForce {
  config: Config;
  cycle: CycleParts;
}

async function createDelivery({ listener }: Config, { version, clock }: Powers): Promise<Delivery> {
  return createHttpDelivery({
    url: listener.url!,
    apiKey: listener.apiKey.reveal(),
    timeoutMs: listener.timeoutS * 1_000,
    compression: listener.compression,
    caCertificates: listener.caFile === "" ? [] : [await Deno.readTextFile(listener.caFile)],
    userAgent: `bitville-postgres-agent/${version}`,
    clock,
  });
}

function openDatabase(config: Config, { log, clock }: Powers): Database {
  const { password, ...connection } = config.database;
  return openPostgresDatabase({ ...connection, password: () => password.reveal() }, { log, clock });
}

/** Without a governor of before: what is known of a server's troubles holds as long as it is the same server. */
function createCycle(
  config: Config,
  { log, clock }: Powers,
  { database, governor: before }: Pick<CycleParts, "database" | "governor">,
): CycleParts {
  const cpus = navigator.hardwareConcurrency;
  const intervalMs = config.collection.intervalS * 1_000;
  const governor = before ?? new Governor({ clock, log, intervalMs, cpus });
  const { queryText } = config.collection;
  return {
    database,
    collectors: collectorsOf(config, { database, log, clock, command: "start", restraint: governor }),
    governor,
    createBurst: (before) =>
      new BurstRun({
        sampler: new BurstSampler({ database, log, clock, queryText }),
        governor,
        clock,
        log,
        cpus,
        before,
      }),
    intervalS: config.collection.intervalS,
    createLogRun: (parts) => logRunOf(config, { database, log, clock, ...parts }),
  };
}

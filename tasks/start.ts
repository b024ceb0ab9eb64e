/**
 * `deno task start`: the agent in the foreground, until a signal stops it.
 *
 * @module
 */

import { random, systemClock } from "../clock.ts";
import { BurstSampler } from "../collectors/burst.ts";
import { openPostgresDatabase } from "../collectors/postgres_database.ts";
import type { Config } from "../config.ts";
import * as limits from "../limits.ts";
import { createLog, errorMessage, type Log } from "../log.ts";
import { createSeal } from "../transport/envelope.ts";
import { createHttpDelivery } from "../transport/http_delivery.ts";
import { openKvOutbox } from "../transport/kv_outbox.ts";
import { Agent, type AgentParts } from "./agent.ts";
import type { ProcessUsage } from "./agent_status.ts";
import { BurstRun } from "./burst_run.ts";
import { collectorsOf, logRunOf } from "./collectors.ts";
import { aborted, type CommandContext, exitClean, exitConfiguration, exitFailure } from "./command.ts";
import { readConfig } from "./configuration.ts";
import { scheduleOnCron } from "./cron.ts";
import { Governor } from "./governor.ts";

/** Runs the agent; answers when it has stopped. */
export async function run(context: CommandContext): Promise<number> {
  const config = await readConfig(context, "listener");
  if (config === null) return exitConfiguration;
  const log = createLog({ level: config.logging.level, write: context.printError });
  const { version } = context;
  log.info("agent_starting", { version, pid: Deno.pid, config: config.source, project: config.listener.projectId });
  let agent: Agent;
  try {
    agent = await openAgent(config, { log, version, usage: context.usage });
  } catch (error) {
    log.error("agent_start_failed", { error: errorMessage(error) });
    return exitFailure;
  }
  agent.start();
  collectLoading(context.stop);
  context.onHangup(() =>
    log.warning("reload_unavailable", { hint: "Restart the agent to have it read its configuration" })
  );
  await aborted(context.stop);
  log.info("shutdown_signal_received", { signal: context.stop.reason });
  await agent.stop();
  log.info("agent_stopped");
  return exitClean;
}

/**
 * What loading the agent leaves behind, 7 MB, would stay: V8 collects it when the heap grows, and an idle agent's does not
 * for hours. `gc` is there by a flag of `launch.ts`.
 */
function collectLoading(stop: AbortSignal): void {
  const { gc } = globalThis as { gc?: () => void };
  void systemClock.sleep(limits.loadingCollectedMs, stop).then(gc);
}

async function openAgent(
  config: Config,
  { log, version, usage }: { log: Log; version: string; usage: () => ProcessUsage },
): Promise<Agent> {
  const clock = systemClock;
  const origin = { project: config.listener.projectId, host: Deno.hostname(), version };
  const caCertificates = config.listener.caFile === "" ? [] : [await Deno.readTextFile(config.listener.caFile)];
  const outbox = await openKvOutbox({ ...config.buffer, seal: createSeal(origin, clock) });
  const delivery = createHttpDelivery({
    url: config.listener.url!,
    apiKey: config.listener.apiKey.reveal(),
    timeoutMs: config.listener.timeoutS * 1_000,
    compression: config.listener.compression,
    caCertificates,
    userAgent: `bitville-postgres-agent/${version}`,
    clock,
  });
  const { password, ...connection } = config.database;
  const database = openPostgresDatabase({ ...connection, password: () => password.reveal() }, { log, clock });
  const { intervalS } = config.collection;
  const cpus = navigator.hardwareConcurrency;
  const governor = new Governor({ clock, log, intervalMs: intervalS * 1_000, cpus });
  const sampler = new BurstSampler({ database, log, clock, queryText: config.collection.queryText });
  const burst = new BurstRun({ sampler, governor, clock, log, cpus });
  const collectors = collectorsOf(config, { database, log, clock, command: "start", restraint: governor });
  const schedule = scheduleOnCron;
  const logs = (parts: Parameters<NonNullable<AgentParts["createLogRun"]>>[0]) =>
    logRunOf(config, { database, log, clock, ...parts });
  const parts = {
    outbox,
    delivery,
    database,
    collectors,
    schedule,
    intervalS,
    clock,
    random,
    usage,
    log,
    governor,
    burst,
  };
  return new Agent({ ...parts, createLogRun: logs });
}

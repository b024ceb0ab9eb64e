/**
 * `deno task start`: the agent in the foreground, until a signal stops it.
 *
 * @module
 */

import { systemClock } from "../clock.ts";
import * as limits from "../limits.ts";
import { createLog, errorMessage, type Log } from "../log.ts";
import { aborted, type CommandContext, exitClean, exitConfiguration, exitFailure } from "./command.ts";
import { agentHelp } from "./help.ts";
import { readConfig, readConfigAgain } from "./configuration.ts";
import { ConfiguredAgent } from "./configured_agent.ts";
import { notifySockets, openServiceManager, type ServiceManager, watchdogMs } from "./notify.ts";
import { agentGrants } from "./permissions.ts";
import { Watchdog } from "./watchdog.ts";

/** What `--help` prints. */
export const help = agentHelp.start;

/** Runs the agent; answers when it has stopped. */
export async function run(context: CommandContext): Promise<number> {
  const hangups = new Hangups(context.onHangup);
  const config = await readConfig(context, "listener");
  if (config === null) return exitConfiguration;
  const { version, usage, printError: write } = context;
  const log = createLog({ level: config.logging.level, write });
  log.info("agent_starting", { version, pid: Deno.pid, config: config.source, project: config.listener.projectId });
  let agent: ConfiguredAgent;
  let manager: ServiceManager | null;
  try {
    manager = await serviceManager(context, log);
    const isGranted = agentGrants(config);
    const powers = { write, usage, version, clock: systemClock, log, isGranted, stopping: context.stop };
    agent = await ConfiguredAgent.open(config, powers);
  } catch (error) {
    log.error("agent_start_failed", { error: errorMessage(error) });
    return exitFailure;
  }
  const ready = agent.start();
  void collectGarbage(context.stop);
  const watchdog = manager === null ? null : createWatchdog(agent, { manager, context, log });
  watchdog?.start(ready);
  hangups.listen(async () => {
    await watchdog?.reloading();
    await agent.reload(await readConfigAgain(context));
    await watchdog?.ready();
  });
  await aborted(context.stop);
  log.info("shutdown_signal_received", { signal: context.stop.reason });
  await watchdog?.stop();
  await hangups.stop();
  await agent.stop();
  manager?.close();
  log.info("agent_stopped");
  return exitClean;
}

/**
 * What loading the agent leaves behind, 12 MB, would stay, and so would what a large cycle leaves: V8 collects it when the
 * heap grows, and an idle agent's does not for hours.
 */
async function collectGarbage(stop: AbortSignal): Promise<void> {
  for (let afterMs = limits.loadingCollectedMs; !stop.aborted; afterMs = limits.garbageCollectedMs) {
    await systemClock.sleep(afterMs, stop);
    collectAllGarbage();
  }
}

/**
 * As V8 does when it cannot get more memory: all of it, and what is free goes back to the system. Without the flag of
 * `launch.ts` that gives `gc`, nothing.
 */
export function collectAllGarbage(): void {
  const { gc } = globalThis as { gc?: (options: { type: string; execution: string; flavor: string }) => void };
  gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
}

/** SIGHUPs, from the first moment on: without a listener one would end the process. */
class Hangups {
  #handle: (() => Promise<void>) | null = null;
  #pending = false;
  #handling: Promise<void> | null = null;

  constructor(onHangup: CommandContext["onHangup"]) {
    onHangup(() => {
      this.#pending = true;
      this.#next();
    });
  }

  /** Handles them from now on, one at a time; those that come meanwhile are one more. */
  listen(handle: () => Promise<void>): void {
    this.#handle = handle;
    this.#next();
  }

  /** Handles no more, and waits for the one under way. */
  async stop(): Promise<void> {
    this.#handle = null;
    await this.#handling;
  }

  #next(): void {
    if (this.#handle === null || this.#handling !== null || !this.#pending) return;
    this.#pending = false;
    this.#handling = this.#handle().finally(() => {
      this.#handling = null;
      this.#next();
    });
  }
}

/** Null when the agent was not started by one. */
async function serviceManager(context: CommandContext, log: Log): Promise<ServiceManager | null> {
  const sockets = notifySockets(context.environment);
  return sockets === null ? null : await openServiceManager(sockets, log);
}

function createWatchdog(
  agent: ConfiguredAgent,
  { manager, context, log }: { manager: ServiceManager; context: CommandContext; log: Log },
): Watchdog {
  const health = () => agent.health;
  return new Watchdog({ manager, watchdogMs: watchdogMs(context.environment), health, clock: systemClock, log });
}

/**
 * Reports to the service manager that the agent is ready, how it is, and that it makes progress: the watchdog is fed
 * only while ticks come and documents move. That the event loop runs is said by the message itself.
 *
 * @module
 */

import type { Clock } from "../clock.ts";
import * as limits from "../limits.ts";
import type { Log } from "../log.ts";
import type { AgentHealth } from "./agent.ts";
import type { ServiceManager } from "./notify.ts";

export interface WatchdogOptions {
  manager: ServiceManager;
  /** Within which the service manager wants to be fed; null when it has no watchdog. */
  watchdogMs: number | null;
  health: () => AgentHealth;
  clock: Clock;
  log: Log;
}

/** Speaks to the service manager as long as the agent runs. */
export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #saidStalled = false;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  /** Feeds from now on, and says `READY=1` once `ready` has resolved or has been waited for long enough. */
  start(ready: Promise<void>): void {
    this.#running = this.#run();
    void this.#announce(ready);
  }

  /** A reload begins: the service manager holds back who depends on it. */
  async reloading(): Promise<void> {
    await this.#options.manager.notify(["RELOADING=1", "STATUS=Reading its configuration again"]);
  }

  /** A reload has ended. */
  async ready(): Promise<void> {
    await this.#options.manager.notify(["READY=1", this.#status()]);
  }

  /** Says that the agent stops; the service manager waits for its end from here on. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#options.manager.notify(["STOPPING=1", "STATUS=Stopping"]);
  }

  async #announce(ready: Promise<void>): Promise<void> {
    const { clock } = this.#options;
    const patience = new AbortController();
    await Promise.race([ready, clock.sleep(limits.readyWaitMs, patience.signal)]);
    patience.abort();
    if (!this.#stopping.signal.aborted) await this.ready();
  }

  async #run(): Promise<void> {
    const { clock, watchdogMs } = this.#options;
    const pauseMs = watchdogMs === null ? limits.statusReportMs : watchdogMs / limits.watchdogBeats;
    while (!this.#stopping.signal.aborted) {
      await this.#beat();
      await clock.sleep(pauseMs, this.#stopping.signal);
    }
  }

  async #beat(): Promise<void> {
    const { manager, health, log } = this.#options;
    const { stalled } = health();
    if (stalled !== null && !this.#saidStalled) log.error("watchdog_not_fed", { reason: stalled });
    this.#saidStalled = stalled !== null;
    await manager.notify([this.#status(), ...(stalled === null ? ["WATCHDOG=1"] : [])]);
  }

  #status(): string {
    return `STATUS=${statusText(this.#options.health())}`;
  }
}

/** The agent's state in one line, for `systemctl status`. */
export function statusText({ cycle, buffered, circuit, stalled }: AgentHealth): string {
  const parts = [
    ...(stalled === null ? [] : [`Stands still: ${stalled}`]),
    cycle === null
      ? "First cycle under way"
      : `Last cycle ${cycle.at.toISOString().slice(0, 19)}Z: ${cycle.ok} of ${cycle.count} collectors well`,
    `${buffered.records} documents (${Math.ceil(buffered.bytes / 1024)} KiB) buffered`,
    `circuit ${circuit.state.replace("_", " ")}`,
  ];
  return parts.join("; ");
}

/**
 * What a changed configuration means for the agent that runs: which settings it takes over, and which need a restart
 * because the process was not granted what they need, or has them open.
 *
 * @module
 */

import type { Config } from "../config.ts";

/** What to do. Settings are named as `section.key`. */
export interface ReloadPlan {
  /** What is in force from now on: the running configuration with all that changes in place. */
  config: Config;
  changed: string[];
  restartNeeded: string[];
}

/** Settings that are taken over together or not at all. */
interface Part {
  settings: Readonly<Record<string, (config: Config) => string | number>>;
  take: (running: Config, next: Config) => Config;
  /** Even if the process may use what they name. */
  restart?: true;
}

const parts: readonly Part[] = [
  {
    // Together: a new password must never be sent to the server of before.
    settings: {
      "database.host": ({ database }) => database.host,
      "database.port": ({ database }) => database.port,
      "database.name": ({ database }) => database.name,
      "database.user": ({ database }) => database.user,
      "database.password": ({ database }) => database.password.reveal(),
      "database.password_file": ({ database }) => database.passwordFile,
      "database.sslmode": ({ database }) => database.sslmode,
      "database.sslrootcert": ({ database }) => database.sslrootcert,
      "database.statement_timeout_ms": ({ database }) => database.statementTimeoutMs,
      "database.pool_max_size": ({ database }) => database.poolMaxSize,
    },
    take: (running, { database }) => ({ ...running, database }),
  },
  {
    // Together: a new key must never be sent to the listener of before.
    settings: {
      "listener.url": ({ listener }) => listener.url?.href ?? "",
      "listener.api_key": ({ listener }) => listener.apiKey.reveal(),
      "listener.api_key_file": ({ listener }) => listener.apiKeyFile,
      "listener.project_id": ({ listener }) => listener.projectId,
      "listener.timeout_s": ({ listener }) => listener.timeoutS,
      "listener.ca_file": ({ listener }) => listener.caFile,
      "listener.compression": ({ listener }) => listener.compression,
    },
    take: (running, { listener }) => ({ ...running, listener }),
  },
  {
    settings: { "collection.log_path": ({ collection }) => collection.logPath },
    take: (running, next) => {
      const { logPath } = next.collection;
      return { ...running, collection: { ...running.collection, logPath } };
    },
  },
  {
    settings: {
      "collection.interval_s": ({ collection }) => collection.intervalS,
      "collection.query_text": ({ collection }) => collection.queryText,
    },
    take: (running, { collection }) => {
      const { logPath } = running.collection;
      return { ...running, collection: { ...collection, logPath } };
    },
  },
  {
    settings: { "system.procfs_path": ({ system }) => system.procfsPath },
    take: (running, { system }) => ({ ...running, system }),
  },
  {
    settings: { "buffer.path": ({ buffer }) => buffer.path },
    take: (running, { buffer }) => ({ ...running, buffer: { ...running.buffer, path: buffer.path } }),
    restart: true,
  },
  {
    settings: { "buffer.max_size_mb": ({ buffer }) => buffer.maxBytes },
    take: (running, { buffer }) => ({ ...running, buffer: { ...running.buffer, maxBytes: buffer.maxBytes } }),
  },
  {
    settings: { "logging.level": ({ logging }) => logging.level },
    take: (running, { logging }) => ({ ...running, logging }),
  },
];

/** Plans the way from one configuration to another. `isGranted`: whether the process may do what a configuration needs. */
export function planReload(running: Config, next: Config, isGranted: (config: Config) => boolean): ReloadPlan {
  const plan: ReloadPlan = { config: running, changed: [], restartNeeded: [] };
  for (const { settings, take, restart } of parts) {
    const differing = Object.keys(settings).filter((name) => settings[name]!(running) !== settings[name]!(next));
    if (differing.length === 0) continue;
    const candidate = take(plan.config, next);
    if (restart === true || !isGranted(candidate)) plan.restartNeeded.push(...differing);
    else {
      plan.config = candidate;
      plan.changed.push(...differing);
    }
  }
  return plan;
}

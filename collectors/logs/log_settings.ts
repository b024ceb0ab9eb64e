/**
 * How the server writes its logs, asked of the server itself.
 *
 * @module
 */

import type { Database, Server } from "../database.ts";
import { readText } from "../row.ts";
import type { LogSettings } from "./log_follower.ts";
import { TimeZone } from "./timezone.ts";

const settingsSql = `/* bitville-monitor: pg_log settings */
select current_setting('log_line_prefix') as prefix, current_setting('log_timezone') as zone`;

/** Keeps what the server said last; asks again when another server answers. */
export class LogSettingsReader {
  readonly #database: Database;
  #settings: LogSettings = { prefix: null, zone: null };
  #askedOf: Server | null = null;

  constructor(database: Database) {
    this.#database = database;
  }

  /** What is known now: nothing until the server has answered. */
  get settings(): LogSettings {
    return this.#settings;
  }

  /** Asks if there is somebody new to ask. A database that is away is not our concern here: it is said elsewhere. */
  async refresh(signal: AbortSignal): Promise<void> {
    try {
      const server = await this.#database.server();
      if (server === this.#askedOf) return;
      const [row] = await this.#database.query({ text: settingsSql }, signal);
      if (row === undefined) return;
      this.#settings = { prefix: readText(row, "prefix"), zone: zoneOf(readText(row, "zone")) };
      this.#askedOf = server;
    } catch {
      // Told by the file itself until the server answers.
    }
  }
}

/** A name that the server knows and this machine does not is as good as none. */
function zoneOf(name: string | null): TimeZone | null {
  try {
    return name === null ? null : new TimeZone(name);
  } catch {
    return null;
  }
}

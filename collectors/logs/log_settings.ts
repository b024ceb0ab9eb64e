/**
 * How the server writes its logs, asked of the server itself, and kept.
 *
 * @module
 */

import * as limits from "../../limits.ts";
import type { Database, Server } from "../database.ts";
import type { LogFormat } from "./log_parser.ts";
import { readServerLogging, type ServerLogging } from "./server_logging.ts";
import { TimeZone } from "./timezone.ts";

/** What following logs needs to know of the server; null is what it has not told. */
export interface LogSettings {
  /** `log_line_prefix`. */
  prefix: string | null;
  /** `log_timezone`. */
  zone: TimeZone | null;
  /** Whether `lc_messages` is another language than English. */
  isTranslated: boolean;
  /** Formats that it writes. */
  formats: readonly LogFormat[] | null;
  /** The file that it writes now, under its name of the first format. */
  currentFile: string | null;
}

/** Of a server that has told nothing yet. */
export const unknownSettings: LogSettings = {
  prefix: null,
  zone: null,
  isTranslated: false,
  formats: null,
  currentFile: null,
};

/** Keeps what the server said last: the same object until it says something else. */
export class LogSettingsReader {
  readonly #database: Database;
  readonly #monotonicMs: () => number;
  #settings: LogSettings = unknownSettings;
  #said = "";
  #askedOf: Server | null = null;
  #askedMs = 0;
  #refreshing: Promise<void> | null = null;

  constructor(database: Database, monotonicMs: () => number) {
    this.#database = database;
    this.#monotonicMs = monotonicMs;
  }

  /** What is known now: nothing until the server has answered. */
  get settings(): LogSettings {
    return this.#settings;
  }

  /**
   * Asks a server that is new, or was asked long ago: settings change with a reload. A database that is away is not our
   * concern here: it is said elsewhere, and the files tell until it answers. One question at a time; never throws.
   */
  refresh(signal: AbortSignal): Promise<void> {
    this.#refreshing ??= this.#refresh(signal).finally(() => this.#refreshing = null);
    return this.#refreshing;
  }

  async #refresh(signal: AbortSignal): Promise<void> {
    try {
      const server = await this.#database.server();
      const nowMs = this.#monotonicMs();
      if (server === this.#askedOf && nowMs - this.#askedMs < limits.logSettingsMs) return;
      const logging = await readServerLogging(this.#database, signal);
      [this.#askedOf, this.#askedMs] = [server, nowMs];
      const said = JSON.stringify(logging);
      if (said !== this.#said) this.#settings = settingsOf(logging);
      this.#said = said;
    } catch {
      // Told by the file itself until the server answers.
    }
  }
}

function settingsOf({ prefix, zone, language, formats, currentFile }: ServerLogging): LogSettings {
  const isTranslated = !/^(?:|C|POSIX|en)(?:[_.@]|$)/.test(language);
  return { prefix, zone: zoneOf(zone), isTranslated, formats, currentFile };
}

/** A name that the server knows and this machine does not is as good as none. */
function zoneOf(name: string): TimeZone | null {
  try {
    return new TimeZone(name);
  } catch {
    return null;
  }
}

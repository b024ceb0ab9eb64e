/**
 * A log that keeps its entries for a test to look at.
 *
 * @module
 */

import type { Log, LogFields, LogLevel } from "../../log.ts";

/** One line of the log. */
export interface LogEntry {
  level: LogLevel;
  event: string;
  fields: LogFields;
}

/** Keeps what is logged, in order. */
export class MemoryLog implements Log {
  readonly entries: LogEntry[] = [];

  debug(event: string, fields: LogFields = {}): void {
    this.entries.push({ level: "debug", event, fields });
  }

  info(event: string, fields: LogFields = {}): void {
    this.entries.push({ level: "info", event, fields });
  }

  warning(event: string, fields: LogFields = {}): void {
    this.entries.push({ level: "warning", event, fields });
  }

  error(event: string, fields: LogFields = {}): void {
    this.entries.push({ level: "error", event, fields });
  }

  /** The events in order, without those of level debug. */
  get events(): string[] {
    return this.entries.filter(({ level }) => level !== "debug").map(({ event }) => event);
  }

  /** The entries of one event. */
  of(event: string): LogEntry[] {
    return this.entries.filter((entry) => entry.event === event);
  }

  /** All that was logged as one text, to search for what must not be in it. */
  get text(): string {
    return JSON.stringify(this.entries);
  }

  /** Forgets all entries. */
  clear(): void {
    this.entries.length = 0;
  }
}

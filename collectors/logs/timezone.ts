/**
 * Times as the server writes them, in its `log_timezone`, to UTC.
 *
 * - An offset (`+03`, `-0330`) and UTC say all. An abbreviation (`CET`) needs the zone's name, from the server's
 *   `log_timezone` or the operator: IST alone is three different times.
 * - In the hour that comes twice when summer ends, the abbreviation decides. A local time that the clock left out is
 *   read as if it had not been set forward.
 * - Without the name, abbreviations that mean one offset all over the world are understood; others give null.
 *
 * @module
 */

import * as limits from "../../limits.ts";

/** `2026-11-21 06:12:28` */
const secondsChars = 19;
const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

/** Minutes east of UTC of abbreviations that are not used for anything else. Summer times among them. */
const abbreviationMinutes: Readonly<Record<string, number>> = {
  ...{ WET: 0, WEST: 60, CET: 60, CEST: 120, MET: 60, MEST: 120, EET: 120, EEST: 180, MSK: 180 },
  ...{ SAST: 120, EAT: 180, CAT: 120, WAT: 60, PKT: 300, WIB: 420, WITA: 480, WIT: 540, HKT: 480, JST: 540, KST: 540 },
  ...{ AWST: 480, ACST: 570, ACDT: 630, AEST: 600, AEDT: 660, NZST: 720, NZDT: 780 },
  ...{ NST: -210, NDT: -150, ADT: -180, EST: -300, EDT: -240, CDT: -300, MST: -420, MDT: -360, PST: -480, PDT: -420 },
  ...{ AKST: -540, AKDT: -480, HST: -600 },
};
/** Names of UTC. */
const utcNames = new Set(["UTC", "GMT", "UCT", "Z", "Zulu", "Universal", "Etc/UTC"]);
/** Abbreviations of summer time that the table cannot have, because other places use them otherwise. */
const summerName = /^(?:BST|[A-Z]+DT)$/;

/** A zone with a name, or none. Remembers what it has converted. */
export class TimeZone {
  readonly name: string | null;
  readonly #format: Intl.DateTimeFormat | null;
  /** Offsets in minutes, by ten minutes of local time and abbreviation. */
  readonly #offsets = new Map<string, number | null>();
  #stamp = "";
  #iso: string | null = null;
  /** Of a second: what is written for its milliseconds begins with the same. No stamp begins with a blank. */
  #second = " ";
  #zone = "";
  #secondIso: string | null = null;

  /** Takes a name of the IANA database. Throws RangeError on one that it does not have. */
  constructor(name: string | null = null) {
    this.name = name;
    this.#format = name === null ? null : new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  }

  /**
   * ISO 8601 in UTC of `2026-11-21 06:12:28.226 CET`, with or without milliseconds; null where it cannot be told.
   * Neighbours in a log mostly have the same second, or the same time.
   */
  toIso(stamp: string): string | null {
    if (stamp === this.#stamp) return this.#iso;
    const hasMilliseconds = stamp.charCodeAt(secondsChars) === 0x2e;
    const zoneStart = hasMilliseconds ? secondsChars + 5 : secondsChars + 1;
    const second = stamp.slice(0, secondsChars);
    const zone = stamp.slice(zoneStart);
    if (second !== this.#second || zone !== this.#zone) {
      [this.#second, this.#zone] = [second, zone];
      this.#secondIso = this.#convert(this.#second, this.#zone);
    }
    const milliseconds = hasMilliseconds ? stamp.slice(secondsChars, secondsChars + 4) : ".000";
    this.#iso = this.#secondIso === null ? null : `${this.#secondIso}${milliseconds}Z`;
    this.#stamp = stamp;
    return this.#iso;
  }

  #convert(seconds: string, zone: string): string | null {
    const localMs = Date.parse(`${seconds.slice(0, 10)}T${seconds.slice(11)}Z`);
    if (Number.isNaN(localMs)) return null;
    const key = seconds.slice(0, 15) + zone;
    let offset = this.#offsets.get(key);
    if (offset === undefined) {
      offset = this.#offsetMinutes(localMs, zone);
      if (this.#offsets.size >= limits.logLocalTimesMax) this.#offsets.clear();
      this.#offsets.set(key, offset);
    }
    return offset === null ? null : new Date(localMs - offset * minuteMs).toISOString().slice(0, 19);
  }

  #offsetMinutes(localMs: number, zone: string): number | null {
    if (utcNames.has(zone)) return 0;
    const numeric = /^([+-])(\d\d):?(\d\d)?(?::?\d\d)?$/.exec(zone);
    if (numeric !== null) {
      const minutes = Number(numeric[2]) * 60 + Number(numeric[3] ?? 0);
      return numeric[1] === "-" ? -minutes : minutes;
    }
    const known = Object.hasOwn(abbreviationMinutes, zone) ? abbreviationMinutes[zone]! : null;
    if (this.#format === null) return known;
    const before = this.#offsetAt(localMs - dayMs);
    const after = this.#offsetAt(localMs + dayMs);
    // The server wrote under another zone than the one we were told.
    if (known !== null && known !== before && known !== after) return known;
    const fitting = [before, after].filter((offset) => this.#offsetAt(localMs - offset * minuteMs) === offset);
    if (fitting.length < 2 || before === after) return fitting[0] ?? before;
    if (known !== null) return known;
    return this.#isSummer(zone) ? Math.max(before, after) : Math.min(before, after);
  }

  /** Elsewhere IST is the winter time of Israel and all of India's year. */
  #isSummer(zone: string): boolean {
    return summerName.test(zone) || (zone === "IST" && (this.name === "Europe/Dublin" || this.name === "Eire"));
  }

  #offsetAt(utcMs: number): number {
    const parts = this.#format!.formatToParts(utcMs);
    const value = (type: string) => Number(parts.find((part) => part.type === type)?.value);
    const local = Date.UTC(
      value("year"),
      value("month") - 1,
      value("day"),
      value("hour"),
      value("minute"),
      value("second"),
    );
    return Math.round((local - Math.floor(utcMs / 1_000) * 1_000) / minuteMs);
  }
}

/** ISO 8601 of `%n`, seconds since 1970 with three decimals. */
export function epochToIso(text: string): string | null {
  const ms = Math.round(Number(text) * 1_000);
  // The range of a Date.
  return Number.isFinite(ms) && Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : null;
}

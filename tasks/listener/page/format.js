/// <reference lib="dom" />
/**
 * Figures and times as people read them. Units stand with a thin space, digits have one width by style.
 *
 * @module
 */

const thin = "\u202f";

/**
 * @param {number | null | undefined} ms
 * @returns {string}
 */
export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 0) return `−${duration(-ms)}`;
  if (ms < 10) return `${trim(ms, ms < 1 ? 2 : 1)}${thin}ms`;
  if (ms < 1_000) return `${Math.round(ms)}${thin}ms`;
  if (ms < 60_000) return `${trim(ms / 1_000, 1)}${thin}s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}${thin}min ${pad(seconds % 60)}${thin}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 2_880) return `${Math.floor(minutes / 60)}${thin}h ${pad(minutes % 60)}${thin}min`;
  return `${Math.round(minutes / 1_440)}${thin}days`;
}

/** @param {number | null | undefined} value */
export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let scaled = value;
  let unit = 0;
  while (Math.abs(scaled) >= 1_000 && unit < units.length - 1) {
    scaled /= 1_000;
    unit++;
  }
  return `${trim(scaled, unit === 0 || scaled >= 100 ? 0 : 1)}${thin}${units[unit]}`;
}

/** @param {number | null | undefined} value */
export function count(value) {
  if (value === null || value === undefined) return "–";
  if (Math.abs(value) >= 1e9) return `${trim(value / 1e9, 1)}${thin}G`;
  if (Math.abs(value) >= 1e6) return `${trim(value / 1e6, 1)}${thin}M`;
  if (Math.abs(value) >= 1e4) return `${trim(value / 1e3, 1)}${thin}k`;
  return Number.isInteger(value) ? String(value).replace(/\B(?=(\d{3})+$)/g, thin) : trim(value, 1);
}

/** @param {number | null | undefined} value */
export function percent(value) {
  return value === null || value === undefined ? "–" : `${trim(value, value < 10 ? 1 : 0)}${thin}%`;
}

/**
 * @param {number} value
 * @param {number} digits
 */
function trim(value, digits) {
  return value.toFixed(digits).replace(/\.0+$/, "");
}

/** @param {number} value */
function pad(value) {
  return String(value).padStart(2, "0");
}

/** The time of day, with the date unless it is today's. @param {number} ms */
export function clock(ms) {
  const time = new Date(ms);
  const today = new Date().toDateString() === time.toDateString();
  return (today ? "" : `${day(time)} `) + `${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}`;
}

/** With milliseconds, for what follows close upon each other. @param {number} ms */
export function exactClock(ms) {
  return `${clock(ms)}.${String(new Date(ms).getMilliseconds()).padStart(3, "0")}`;
}

/** @param {Date} time */
function day(time) {
  return `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())}`;
}

/** @param {number} ms since then */
export function ago(ms) {
  if (ms < 2_000) return "now";
  return `${
    ms < 60_000
      ? `${Math.round(ms / 1_000)}${thin}s`
      : duration(Math.round(ms / 60_000) * 60_000).replace(/ 00\u202f\w+$/, "")
  } ago`;
}

/**
 * @param {number} number
 * @param {string} one
 * @param {string} [many]
 */
export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}

/** The beginning of a request's id, which tells it apart from its neighbours. @param {string} id */
export function shortId(id) {
  return id.slice(0, 8);
}

/** A statement in one line. @param {string | null} query */
export function oneLine(query) {
  return query === null ? "" : query.replace(/\s+/g, " ").trim();
}

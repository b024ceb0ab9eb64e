/// <reference lib="dom" />
/**
 * The address: which view, of what, with which settings. Everything that a reader sees can be shared by it.
 *
 * @module
 */

/**
 * @typedef {object} Route
 * @property {string} view
 * @property {string} subject what stands behind the view: a request's id
 * @property {Record<string, string>} settings
 */

/** @returns {Route} */
export function currentRoute() {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view = "", subject = ""] = path.split("/").map(decodeURIComponent);
  return { view: view || "now", subject, settings: Object.fromEntries(new URLSearchParams(query)) };
}

/**
 * The address of a view, for `href`. Settings that are empty are left out.
 *
 * @param {string} view
 * @param {{ subject?: string, settings?: Record<string, string | number | null | undefined> }} [options]
 */
export function addressOf(view, { subject = "", settings = {} } = {}) {
  const given = Object.entries(settings).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  const path = [view, ...subject === "" ? [] : [subject]].map(encodeURIComponent).join("/");
  return `#/${path}${query === "" ? "" : `?${query}`}`;
}

/**
 * Goes to the same view with other settings.
 *
 * @param {Record<string, string | number | null | undefined>} changes
 */
export function changeSettings(changes) {
  const { view, subject, settings } = currentRoute();
  location.hash = addressOf(view, { subject, settings: { ...settings, ...changes } });
}

const minuteMs = 60_000;

/** Spans that a reader can choose, by their names in the address. @type {Record<string, number>} */
export const spans = {
  "15m": 15 * minuteMs,
  "1h": 60 * minuteMs,
  "6h": 360 * minuteMs,
  "24h": 1_440 * minuteMs,
  "7d": 7 * 1_440 * minuteMs,
};

/**
 * The span of time of a view: one that ends now and moves on, or a fixed one.
 *
 * @param {Record<string, string>} settings
 * @param {number} nowMs
 */
export function spanOf(settings, nowMs) {
  const [fromMs, toMs] = [Number(settings.from), Number(settings.to)];
  if (fromMs > 0 && toMs > fromMs) return { fromMs, toMs, fixed: true };
  return { fromMs: nowMs - (spans[settings.span ?? ""] ?? spans["1h"] ?? 0), toMs: nowMs, fixed: false };
}

/// <reference lib="dom" />
/**
 * Log: what the server wrote, filtered, with the errors over time above it.
 *
 * @module
 */

/** @import { LogAnswer, LogLine } from "../queries/log.ts" */
/** @import { LogEntry } from "../extract_log.ts" */

import { ask } from "./api.js";
import { chart } from "./chart.js";
import { levelColors } from "./colors.js";
import { emptyState, h, replace } from "./dom.js";
import { count, exactClock, plural } from "./format.js";
import { requestLink, spanChoice } from "./parts.js";
import { changeSettings, spanOf } from "./router.js";

const levels = [["", "all levels"], ["LOG", "LOG and worse"], ["WARNING", "WARNING and worse"], [
  "ERROR",
  "ERROR and worse",
], ["FATAL", "FATAL and worse"]];
const shownFirst = 100;
const shownMax = 500;

/** @type {import("./app.js").View} */
export const logView = { title: "Log", types: ["pg_log"], mount };

/** @param {import("./app.js").Context} context */
async function mount({ route, agent, root, signal, nowMs }) {
  const { settings } = route;
  const results = h("div.results");
  const head = h("div");
  let limit = shownFirst;
  let charts = new AbortController();
  signal.addEventListener("abort", () => charts.abort(), { once: true });
  const draw = async () => {
    const { fromMs, toMs, fixed } = spanOf(settings, nowMs());
    /** @type {LogAnswer} */
    const answer = await ask("log", signal, {
      ...{ agent: agent?.id, from: fromMs, to: toMs, level: settings.level || "DEBUG" },
      ...{ sqlstate: settings.sqlstate, text: settings.text, limit },
    });
    charts.abort();
    charts = new AbortController();
    replace(
      head,
      h(
        "div.heading",
        null,
        h("h1", null, "Log", h("span.host", null, ` of ${agent?.host ?? ""}`)),
        spanChoice({ settings, fixed }),
      ),
    );
    const more = () => {
      limit = shownMax;
      void draw();
    };
    replace(
      results,
      overTime(answer, { fromMs, toMs, signal: charts.signal }),
      list(answer, { limit, more, signal, isFiltered: isFiltered(settings) }),
    );
  };
  root.append(head, filters(settings), results);
  await draw();
  return draw;
}

/** @param {Record<string, string>} settings */
function isFiltered({ level, sqlstate, text }) {
  return Boolean(level || sqlstate || text);
}

/** @param {Record<string, string>} settings */
function filters({ level = "", sqlstate = "", text = "" }) {
  const select = h(
    "select",
    { name: "level" },
    ...levels.map(([value, words]) => h("option", { value, selected: value === level }, words)),
  );
  const state = h("input", {
    name: "sqlstate",
    value: sqlstate,
    maxlength: "5",
    size: "6",
    placeholder: "40P01",
    autocomplete: "off",
    spellcheck: "false",
  });
  const words = h("input", {
    name: "text",
    type: "search",
    value: text,
    maxlength: "200",
    placeholder: "part of a message",
    autocomplete: "off",
  });
  const apply = () => {
    const value = (/** @type {Element} */ element) => /** @type {HTMLInputElement} */ (element).value.trim();
    changeSettings({ level: value(select), sqlstate: value(state), text: value(words) });
  };
  select.addEventListener("change", apply);
  return h(
    "form.filters",
    {
      role: "search",
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        apply();
      },
    },
    h("label", null, "Level ", select),
    h("label", { title: "The five characters of the error's code; the first two are its class" }, "SQLSTATE ", state),
    h("label.grow", null, "Text ", words),
    h("button", { type: "submit" }, "Filter"),
  );
}

/**
 * @param {LogAnswer} answer
 * @param {{ fromMs: number, toMs: number, signal: AbortSignal }} of
 */
function overTime({ counts }, { fromMs, toMs, signal }) {
  const lines = Object.entries(levelColors).filter(([level]) => counts.levels[level] !== undefined).map((
    [level, color],
  ) => ({
    ...{ label: level, color },
    values: counts.levels[level] ?? [],
  }));
  if (lines.length === 0) return null;
  const onZoom = (/** @type {number} */ from, /** @type {number} */ to) => changeSettings({ from, to, span: null });
  return chart({
    ...{ title: "Errors and warnings", hint: "drag to zoom", at: counts.at, lines, stacked: true, bars: true, max: 4 },
    ...{ format: (/** @type {number | null} */ value) => count(value), fromMs, toMs, height: 120, onZoom },
  }, signal);
}

/**
 * @param {LogAnswer} answer
 * @param {{ limit: number, more: () => void, signal: AbortSignal, isFiltered: boolean }} of
 */
function list({ entries, more: hasMore }, { limit, more, signal, isFiltered }) {
  if (entries.length === 0) {
    return isFiltered
      ? emptyState("No entry fits the filter in this span.", "Choose a longer span, or loosen the filter.")
      : emptyState(
        "The server wrote nothing in this span.",
        "If it should have, see which files the agent follows on the page Agents, and collection.log_path in its configuration.",
      );
  }
  const end = hasMore
    ? h(
      "p",
      null,
      limit < shownMax
        ? h("button", { type: "button", "data-key": "more", onclick: more }, "Show more")
        : "There are more: narrow the span or the filter.",
    )
    : h("p.hint", null, plural(entries.length, "entry", "entries"));
  return h(
    "div",
    null,
    h("ol.log", { "aria-label": "Log entries, the newest first" }, ...entries.map((line) => item(line, signal))),
    end,
  );
}

/**
 * @param {LogLine} line
 * @param {AbortSignal} signal
 */
function item({ n, i, atMs, level, sqlstate, correlationId, message }, signal) {
  const key = `${n}-${i}`;
  const whole = h("div.whole", null, "…");
  const details = h(
    "details",
    {
      "data-key": `log-${key}`,
      ontoggle: (/** @type {Event} */ event) => {
        if (/** @type {HTMLDetailsElement} */ (event.currentTarget).open) void open({ n, i, whole, signal });
      },
    },
    h("summary", null, h("span.message", null, message)),
    whole,
  );
  return h(
    "li",
    { "data-level": level },
    h("time", { datetime: new Date(atMs).toISOString() }, exactClock(atMs)),
    h("span.level", null, level),
    h("span.sqlstate", null, sqlstate ?? ""),
    correlationId === null ? h("span.request") : requestLink(correlationId, `log-request-${key}`),
    details,
  );
}

/** @param {{ n: number, i: number, whole: HTMLElement, signal: AbortSignal }} of */
async function open({ n, i, whole, signal }) {
  try {
    /** @type {LogEntry} */
    const entry = await ask(`log/${n}/${i}`, signal);
    replace(whole, entryDetails(entry));
  } catch (error) {
    if (!signal.aborted) replace(whole, h("p", null, error instanceof Error ? error.message : ""));
  }
}

/** All of an entry that has a value. @param {LogEntry} entry */
export function entryDetails(entry) {
  const { detail, hint, context, statement, user, database, application_name: name, pid } = entry;
  const rows = [
    ["Message", entry.message],
    ["Detail", detail],
    ["Hint", hint],
    ["Context", context],
    ["Statement", statement],
    [
      "Session",
      [user === null ? null : `${user}@${database ?? ""}`, name, pid === null ? null : `pid ${pid}`].filter(Boolean)
        .join(" · "),
    ],
  ].filter(([, value]) => value);
  return h("dl.entry", null, ...rows.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

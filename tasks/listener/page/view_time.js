/// <reference lib="dom" />
/**
 * Over time: the load by what sessions wait for, and the machine under it. Where nothing is known, nothing is drawn.
 *
 * @module
 */

/** @import { Columns, SeriesAnswer } from "../queries/series.ts" */
/** @import { Hole } from "../sequences.ts" */
/** @import { Line } from "./chart.js" */

import { ask } from "./api.js";
import { chart } from "./chart.js";
import { idleColor, kindOf, meanings, waitColor } from "./colors.js";
import { emptyState, h, replace, section } from "./dom.js";
import { bytes, clock, count, duration, percent, plural } from "./format.js";
import { spanChoice, table } from "./parts.js";
import { addressOf, changeSettings, currentRoute, spanOf } from "./router.js";

/** Rows of the list of holes. */
const holesShownMax = 50;
/** What is shown before and after a recording. */
const aroundMs = 30_000;
/** Links to recordings: the last ones. */
const burstsShownMax = 8;
/** Wait events with a colour of their own; the others are one. */
const eventsMax = 9;

/** @type {import("./app.js").View} */
export const timeView = {
  title: "Over time",
  types: ["pg_stat_activity", "pg_burst", "system_metrics", "agent_status"],
  mount,
};

/** @param {import("./app.js").Context} context */
async function mount({ route, agent, root, signal, nowMs }) {
  let charts = new AbortController();
  signal.addEventListener("abort", () => charts.abort(), { once: true });
  const draw = async () => {
    const { fromMs, toMs, fixed } = spanOf(route.settings, nowMs());
    /** @type {SeriesAnswer} */
    const answer = await ask("series", signal, { agent: agent?.id, from: fromMs, to: toMs, points: pointsFor(root) });
    charts.abort();
    charts = new AbortController();
    const parts = { answer, signal: charts.signal };
    const isEmpty = Object.values(answer.groups).every(({ at }) => at.length === 0);
    replace(
      root,
      h(
        "div.heading",
        null,
        h("h1", null, "Over time", h("span.host", null, ` on ${agent?.host ?? ""}`)),
        h("p.when", null, `${clock(fromMs)} – ${clock(toMs)}`),
        spanChoice({ settings: route.settings, fixed }),
      ),
      isEmpty
        ? emptyState(
          "Nothing was collected in this span.",
          "Choose a longer span above. If the agent runs, see why on the page Agents.",
        )
        : [
          h(
            "p.hint",
            null,
            "Drag over a chart to zoom in. Click a moment, or press Enter, to see the sessions of then.",
          ),
          burstLinks(answer),
          ...chartsOf(parts),
          holesSection(answer),
        ],
    );
  };
  await draw();
  return spanOf(route.settings, nowMs()).fixed ? async () => {} : draw;
}

/** One point a pixel is all that can be seen. @param {HTMLElement} root */
function pointsFor(root) {
  return Math.max(100, Math.min(2_000, Math.round(root.clientWidth * 0.9) || 800));
}

/** The mark in the charts, in words, and a way there. @param {SeriesAnswer} answer */
function burstLinks({ bursts }) {
  if (bursts.length === 0) return null;
  const shown = bursts.slice(-burstsShownMax);
  const links = shown.flatMap(({ fromMs, toMs }, index) => [
    index === 0 ? " " : ", ",
    h("a", {
      href: addressOf("time", { settings: { ...currentRoute().settings, ...around({ fromMs, toMs }), span: null } }),
      "data-key": `burst-${fromMs}`,
    }, `${clock(fromMs)} – ${clock(toMs)}`),
  ]);
  const more = bursts.length > shown.length ? `, and ${bursts.length - shown.length} before` : "";
  return h("p.hint.bursts", null, "Recorded second by second:", ...links, more);
}

/** @param {{ fromMs: number, toMs: number }} burst */
function around({ fromMs, toMs }) {
  return { from: fromMs - aroundMs, to: toMs + aroundMs };
}

/** @param {{ answer: SeriesAnswer, signal: AbortSignal }} parts */
function chartsOf({ answer, signal }) {
  const { groups, fromMs, toMs } = answer;
  const holes = [...answer.holes, ...answer.pauses];
  const shared = {
    ...{ fromMs, toMs, holes },
    onZoom: (/** @type {number} */ from, /** @type {number} */ to) => changeSettings({ from, to, span: null }),
    onChoose: (/** @type {number} */ atMs) => void (location.hash = addressOf("now", { settings: { at: atMs } })),
  };
  const marks = answer.bursts.map((burst) => ({ ...burst, label: "recorded second by second" }));
  const ofSessions = sessionCharts(groups).map((one) => ({ ...one, marks }));
  return [...ofSessions, ...machineCharts(groups)]
    .filter(({ at, lines }) => at.length > 0 && lines.some(hasValues))
    .map((one) => chart({ ...shared, ...one }, signal));
}

/** @typedef {Omit<import("./chart.js").ChartOptions, "fromMs" | "toMs">} Drawn */

/** @param {SeriesAnswer["groups"]} groups @returns {Drawn[]} */
function sessionCharts({ pg_stat_activity: activity, pg_locks: locks }) {
  const lines = [
    line(activity, "idle_in_transaction", ["idle in transaction", idleColor]),
    { label: "waiting for a lock", color: waitColor("Lock"), values: aligned(activity.at, locks, "waiting") },
  ];
  return [
    {
      ...{ title: "Load", hint: "active sessions, by what they wait for", at: activity.at, lines: loadLines(activity) },
      ...{ stacked: true, format: count, height: 220, max: 1 },
    },
    { title: "Sessions that hold up or wait", hint: "", at: activity.at, lines, format: count, max: 1 },
  ];
}

/** @param {SeriesAnswer["groups"]} groups @returns {Drawn[]} */
function machineCharts({ system_metrics: system, agent_status: status }) {
  const [cpu, memory, io, out] = [waitColor("CPU"), waitColor("IPC"), waitColor("IO"), waitColor("Extension")];
  const stalls = [
    line(system, "pressure_cpu", ["CPU", cpu]),
    line(system, "pressure_memory", ["memory", memory]),
    line(system, "pressure_io", ["disks", io]),
  ];
  const { at } = system;
  const percents = [line(system, "cpu_percent", ["CPU", cpu]), line(system, "memory_percent", ["memory", memory])];
  const disks = [line(system, "disk_read", ["read", io]), line(system, "disk_write", ["written", out])];
  const network = [line(system, "network_recv", ["received", io]), line(system, "network_sent", ["sent", out])];
  const buffered = [line(status, "buffered", ["documents", waitColor("Timeout")])];
  return [
    { title: "CPU and memory", hint: "of the machine", at, lines: percents, format: percent, max: 100 },
    {
      ...{ title: "Stalled", hint: "share of time in which something had to wait for CPU, memory or disks" },
      ...{ at, lines: stalls.filter(hasValues), format: percent, max: 5 },
    },
    { title: "Disks", at, lines: disks.filter(hasValues), format: perSecond, max: 1_000 },
    { title: "Network", at, lines: network.filter(hasValues), format: perSecond, max: 1_000 },
    {
      ...{ title: "Buffered documents", hint: "waiting in the agent because the listener was away" },
      ...{ at: status.at, lines: buffered, format: count, max: 5 },
    },
  ];
}

/**
 * @param {Columns} columns
 * @param {string} name
 * @param {[string, string]} shown label and colour
 */
function line({ at, series }, name, [label, color]) {
  return { label, color, values: series[name] ?? at.map(() => null) };
}

/** @param {number | null} value */
function perSecond(value) {
  return value === null ? "–" : `${bytes(value)}/s`;
}

/** @param {Line} line */
function hasValues({ values }) {
  return values.some((value) => value !== null);
}

/**
 * The values of another type's documents at these times: those of the same cycle.
 *
 * @param {number[]} at
 * @param {Columns} columns
 * @param {string} name
 */
function aligned(at, columns, name) {
  let index = 0;
  return at.map((time) => {
    while (
      index + 1 < columns.at.length &&
      Math.abs((columns.at[index + 1] ?? 0) - time) <= Math.abs((columns.at[index] ?? 0) - time)
    ) index++;
    return Math.abs((columns.at[index] ?? Infinity) - time) < 30_000 ? columns.series[name]?.[index] ?? null : null;
  });
}

/** The most frequent wait events, and one line for the others. @param {Columns} columns @returns {Line[]} */
function loadLines({ at, series }) {
  const all = Object.entries(series).filter(([name]) => name.startsWith("wait ")).map(([name, values]) => ({
    event: name.slice(5),
    values,
    sum: values.reduce((/** @type {number} */ sum, value) => sum + (value ?? 0), 0),
  })).sort((a, b) => b.sum - a.sum);
  const others = all.slice(eventsMax);
  const kept = all.slice(0, eventsMax).sort((a, b) => rank(a.event) - rank(b.event));
  /** @type {Map<string, number>} */
  const places = new Map();
  const lines = kept.map(({ event, values }) => {
    const kind = kindOf(event);
    const place = places.get(kind) ?? 0;
    places.set(kind, place + 1);
    return { label: event.replace(":", " · "), color: waitColor(event, place), values };
  });
  if (others.length === 0) return lines;
  const values = at.map((_, index) =>
    others.every((one) => one.values[index] === null)
      ? null
      : others.reduce((sum, one) => sum + (one.values[index] ?? 0), 0)
  );
  return [...lines, { label: "other waits", color: "hsl(0 0% 60%)", values }];
}

/** Work at the bottom, waits for others above. @param {string} event */
function rank(event) {
  return Object.keys(meanings).indexOf(kindOf(event)) + (event.length % 10) / 100;
}

/** @param {SeriesAnswer} answer */
function holesSection({ holes, pauses }) {
  const title = "Holes in the data";
  if (holes.length + pauses.length === 0) {
    return section(
      title,
      null,
      h("p.hint", null, "None: every document that the agent numbered in this span has arrived."),
    );
  }
  const all = [
    ...holes.map((hole) => ({ ...hole, missing: hole.to - hole.from + 1, words: reasonOf(hole) })),
    ...pauses.map((pause) => ({
      ...pause,
      missing: 0,
      words: "nothing was collected: the agent did not run, or its server was not there",
    })),
  ].sort((a, b) => b.fromMs - a.fromMs);
  const rows = all.slice(0, holesShownMax).map(({ fromMs, toMs, missing, words }) =>
    h(
      "tr",
      null,
      h("td", null, `${clock(fromMs)} – ${clock(toMs)}`),
      h("td.number", null, duration(toMs - fromMs)),
      h("td.number", null, count(missing)),
      h("td", null, words),
    )
  );
  const columns = [
    { title: "Between" },
    { title: "Length", className: "number" },
    { title: "Missing", className: "number" },
    { title: "What became of them" },
  ];
  const missing = all.reduce((sum, one) => sum + one.missing, 0);
  const aside = h("span.hint", null, `${plural(missing, "document")} missing; hatched above`);
  return section(title, aside, table({ label: title, columns, stack: true }, rows));
}

/** What the agent says of a hole, in words. @param {Hole} hole */
export function reasonOf({ reasons }) {
  if (reasons.length === 0) return "not said yet: they may still come";
  return reasons.map(({ reason, records }) => `${plural(records, "document")} ${words[reason] ?? reason}`).join(", ");
}

/** The reasons of the agent's ledger, docs/documents/agent_status.md. @type {Record<string, string>} */
const words = {
  evicted: "had to go because the agent's buffer was full",
  rejected: "were refused by the listener",
  too_large: "were too large",
  quarantined: "went with a damaged buffer file",
  unstored: "could not be written to the agent's disk",
};

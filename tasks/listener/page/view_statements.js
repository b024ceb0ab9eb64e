/// <reference lib="dom" />
/**
 * Statements: what the server spent its time on in a span, and the history of each.
 *
 * @module
 */

/** @import { StatementHistory, StatementOrder, StatementsAnswer, StatementWork, Work } from "../queries/statements.ts" */

import { ask } from "./api.js";
import { chart } from "./chart.js";
import { waitColor } from "./colors.js";
import { emptyState, h, replace, section } from "./dom.js";
import { bytes, clock, count, duration, oneLine, percent, plural } from "./format.js";
import { spanChoice, table } from "./parts.js";
import { addressOf, changeSettings, spanOf } from "./router.js";

/** Statements in the table; a link brings all that are stored. */
const shownFirst = 100;
const shownMax = 5_000;
/** A page of the server's buffers. */
const blockBytes = 8_192;

/** @typedef {{ name: StatementOrder, title: string, hint: string, format: (value: number) => string, minor?: boolean }} Order */
/** @type {Order[]} */
const orders = [
  { name: "timeMs", title: "Time", hint: "all executions together", format: duration },
  { name: "calls", title: "Calls", hint: "executions", format: count },
  { name: "rows", title: "Rows", hint: "returned or changed", format: count, minor: true },
  {
    name: "blocks",
    title: "Buffers",
    hint: "shared buffers hit or read",
    format: (value) => bytes(value * blockBytes),
    minor: true,
  },
  {
    name: "reads",
    title: "Disk reads",
    hint: "not found in shared buffers",
    format: (value) => bytes(value * blockBytes),
  },
  {
    name: "temp",
    title: "Temp",
    hint: "temporary files, written and read: sorts and hashes beyond work_mem",
    format: (value) => bytes(value * blockBytes),
    minor: true,
  },
  { name: "wal", title: "WAL", hint: "write-ahead log produced", format: bytes, minor: true },
];

/** @type {import("./app.js").View} */
export const statementsView = { title: "Statements", types: ["pg_stat_statements"], mount };

/** @param {import("./app.js").Context} context */
async function mount(context) {
  const { route, root, signal, nowMs } = context;
  let charts = new AbortController();
  signal.addEventListener("abort", () => charts.abort(), { once: true });
  const draw = async () => {
    const { fromMs, toMs, fixed } = spanOf(route.settings, nowMs());
    const heading = (/** @type {string} */ title) =>
      h(
        "div.heading",
        null,
        h("h1", null, title, h("span.host", null, ` on ${context.agent?.host ?? ""}`)),
        h("p.when", null, `${clock(fromMs)} – ${clock(toMs)}`),
        spanChoice({ settings: route.settings, fixed }),
      );
    if (route.subject !== "") {
      /** @type {StatementHistory} */
      const history = await ask(`statements/${Number(route.subject)}`, signal, { from: fromMs, to: toMs, points: 240 });
      charts.abort();
      charts = new AbortController();
      replace(
        root,
        heading("One statement"),
        ...oneStatement(history, { fromMs, toMs, signal: charts.signal, settings: route.settings }),
      );
      return;
    }
    const order = route.settings.order ?? "timeMs";
    const limit = route.settings.all === undefined ? shownFirst : shownMax;
    const asked = { agent: context.agent?.id, from: fromMs, to: toMs, order, limit };
    /** @type {StatementsAnswer} */
    const answer = await ask("statements", signal, asked);
    replace(root, heading("Statements"), list(answer, route.settings));
  };
  await draw();
  return draw;
}

/**
 * @param {StatementsAnswer} answer
 * @param {Record<string, string>} settings
 */
function list({ statements, count: stored, total, documents }, settings) {
  const chosen = settings.order ?? "timeMs";
  if (statements.length === 0) {
    return documents === 0
      ? emptyState(
        "No statements in this span.",
        "Choose a longer span. If there are none at all, the server lacks pg_stat_statements: the agent's log says so under pg_stat_statements_check, and ",
        h("code", null, "deno task doctor"),
        " says what to do.",
      )
      : emptyState(
        "Only the first reading has come.",
        "Differences need two: the next comes within a minute, and this page shows it by itself.",
      );
  }
  const columns = [
    { title: "Statement", className: "wide" },
    ...orders.map((order) => ({
      title: sortButton(order, chosen),
      className: `number${order.minor && order.name !== chosen ? " minor" : ""}`,
      ...order.name === chosen ? { sort: "descending" } : {},
    })),
    { title: "Mean", className: "number" },
  ];
  const rows = statements.map((statement) => row(statement, { total, chosen, settings }));
  const title = `Statements by ${orders.find(({ name }) => name === chosen)?.title.toLowerCase() ?? chosen}`;
  return section(
    title,
    h("span.hint", null, `from ${plural(documents, "reading")}; click a title to sort, a statement for its history`),
    table({ label: title, columns, stack: true }, rows),
    allLink({ shown: statements.length, stored }, settings),
  );
}

/**
 * @param {{ shown: number, stored: number }} counts
 * @param {Record<string, string>} settings
 */
function allLink({ shown, stored }, settings) {
  if (shown >= stored) return null;
  const words = `These ${count(shown)} lead, of ${count(stored)} that are stored. `;
  if (shown >= shownMax) return h("p.hint", null, words);
  const href = addressOf("statements", { settings: { ...settings, all: 1 } });
  return h("p.hint", null, words, h("a", { href, "data-key": "all" }, "Show all"));
}

/**
 * @param {Order} order
 * @param {string} chosen
 */
function sortButton({ name, title, hint }, chosen) {
  return h(
    "button.sort",
    {
      type: "button",
      title: hint,
      "data-key": `sort-${name}`,
      onclick: () => changeSettings({ order: name }),
    },
    title,
    name === chosen ? h("span", { "aria-hidden": "true" }, " ▾") : null,
  );
}

/**
 * @param {StatementWork} statement
 * @param {{ total: Work, chosen: string, settings: Record<string, string> }} of
 */
function row(statement, { total, chosen, settings }) {
  const { id, query, queryid, usename, datname } = statement;
  const { order: _, ...others } = settings;
  const text = query === null ? `queryid ${queryid}` : oneLine(query);
  const share = (/** @type {StatementOrder} */ name) => total[name] === 0 ? 0 : statement[name] / total[name] * 100;
  return h(
    "tr",
    null,
    h(
      "td.wide",
      null,
      h("a.statement", {
        href: addressOf("statements", { subject: String(id), settings: others }),
        "data-key": `statement-${id}`,
      }, h("code", null, text)),
      h("span.minor-text", null, `${usename ?? ""}@${datname ?? ""}`),
    ),
    ...orders.map(({ name, format, minor }) =>
      h(
        `td.number${minor && name !== chosen ? ".minor" : ""}${name === chosen ? ".share" : ""}`,
        name === chosen ? { style: { "--share": `${share(name)}%` }, title: `${percent(share(name))} of all` } : null,
        format(statement[name]),
      )
    ),
    h("td.number", null, statement.calls === 0 ? "–" : duration(statement.timeMs / statement.calls)),
  );
}

/**
 * @param {StatementHistory} history
 * @param {{ fromMs: number, toMs: number, signal: AbortSignal, settings: Record<string, string> }} of
 */
function oneStatement(history, { fromMs, toMs, signal, settings }) {
  const { query, queryid, usename, datname, at, series, stepMs } = history;
  const perStep = stepMs === 60_000 ? "per minute" : `per ${duration(stepMs)}`;
  const mean = series.timeMs.map((value, index) =>
    value === null || !series.calls[index] ? null : value / series.calls[index]
  );
  const make = (
    /** @type {string} */ title,
    /** @type {(number | null)[]} */ values,
    /** @type {[string, (value: any) => string]} */ [color, format],
  ) =>
    values.some((value) => (value ?? 0) > 0)
      ? chart({
        ...{ title, at, fromMs, toMs, format },
        lines: [{ label: title.toLowerCase(), color, values }],
        onZoom: (from, to) => changeSettings({ from, to, span: null }),
      }, signal)
      : null;
  const charts = [
    make(`Time ${perStep}`, series.timeMs, [waitColor("CPU"), (value) => value === null ? "–" : duration(value)]),
    make(`Calls ${perStep}`, series.calls, [waitColor("IO"), count]),
    make("Mean time of a call", mean, [waitColor("Timeout"), (value) => value === null ? "–" : duration(value)]),
    ...orders.slice(2).map(({ name, title, format }) =>
      make(`${title} ${perStep}`, series[name], [waitColor("IPC"), (value) => value === null ? "–" : format(value)])
    ),
  ].filter((one) => one !== null);
  return [
    h("p", null, h("a", { href: addressOf("statements", { settings }), "data-key": "back" }, "← All statements")),
    h("pre.full", { tabindex: "0" }, query ?? "The text has not come (yet): the agent asks for texts sparingly."),
    h("p.hint", null, `queryid ${queryid} · ${usename ?? ""}@${datname ?? ""}`),
    charts.length === 0
      ? emptyState("It did not run in this span.", "Choose a longer span above.")
      : h("div.charts", null, ...charts),
  ];
}

/// <reference lib="dom" />
/**
 * What several views show alike: links to requests, waits, statements, the choice of a span.
 *
 * @module
 */

import { kindOf, meanings, waitColor } from "./colors.js";
import { h } from "./dom.js";
import { oneLine, shortId } from "./format.js";
import { addressOf, changeSettings, spans } from "./router.js";

/**
 * A link to a request's story, by the beginning of its id; a dash where there is none.
 *
 * @param {string | null | undefined} id
 * @param {string} [key] keeps the focus over a redraw
 */
export function requestLink(id, key) {
  if (id === null || id === undefined) {
    return h("span.muted", { title: "Its application_name is not bitville- and a UUID" }, "–");
  }
  const address = addressOf("request", { subject: id });
  return h("a.request", { href: address, title: `Request ${id}`, "data-key": key ?? null }, shortId(id));
}

/**
 * What a session does: a coloured mark and words.
 *
 * @param {string} state
 * @param {string | null} wait such as "Lock:tuple"
 */
export function stateBadge(state, wait) {
  const event = state === "active" ? wait ?? "CPU" : null;
  const kind = event === null ? (state.startsWith("idle in transaction") ? "idle" : "other") : kindOf(event);
  const words = event === null ? state : event === "CPU" ? "running" : event.replace(":", " · ");
  const meaning = event === null ? "in a transaction, and doing nothing" : meanings[kind] ?? "";
  return h(
    "span.state",
    { "data-kind": kind, title: meaning },
    h("i.swatch", { style: { background: colorOf(kind) } }),
    words,
  );
}

/** @param {string} kind */
export function colorOf(kind) {
  if (kind === "idle") return "var(--idle)";
  return kind === "other" ? "var(--muted)" : waitColor(kind);
}

/**
 * A statement: its first line, and all of it when opened.
 *
 * @param {string | null} query
 * @param {string} key
 */
export function statementText(query, key) {
  if (query === null) {
    return h(
      "span.muted",
      { title: "Grant the agent's role pg_read_all_stats, or see collection.query_text" },
      "no text",
    );
  }
  const line = oneLine(query);
  if (line.length < 90) return h("code.sql", null, line);
  return h("details.sql", { "data-key": key }, h("summary", null, h("code", null, line)), h("pre", null, query));
}

/** The buttons for a span of time. @param {{ settings: Record<string, string>, fixed: boolean }} options */
export function spanChoice({ settings, fixed }) {
  const chosen = fixed ? "" : settings.span ?? "1h";
  const buttons = Object.keys(spans).map((name) =>
    h("button", {
      type: "button",
      "aria-pressed": String(name === chosen),
      "data-key": `span-${name}`,
      onclick: () => changeSettings({ span: name, from: null, to: null }),
    }, name)
  );
  return h("div.choice", { role: "group", "aria-label": "Span of time" }, ...buttons);
}

/**
 * A table in a frame that scrolls sideways where it must. A cell that is an array has a class before its content.
 *
 * @param {{ label: string, stack?: boolean, columns: { title: import("./dom.js").Child, className?: string, sort?: string }[] }} head
 * @param {HTMLElement[]} rows
 */
export function table({ label, columns, stack = false }, rows) {
  const cells = columns.map(({ title, className = "", sort }) =>
    h("th", { scope: "col", role: "columnheader", class: className, "aria-sort": sort ?? null }, title)
  );
  const head = h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...cells));
  for (const row of rows) {
    row.setAttribute("role", "row");
    [...row.children].forEach((cell, index) => {
      cell.setAttribute("role", "cell");
      cell.setAttribute("data-title", cells[index]?.textContent?.replace(/ ▾$/, "").toLowerCase() ?? "");
    });
  }
  // Said with roles, because a phone's style makes blocks of the rows, and then browsers forget that they are rows.
  const body = h("table", { role: "table" }, head, h("tbody", { role: "rowgroup" }, ...rows));
  const attributes = { role: "group", "aria-label": label, tabindex: "0", "data-key": `table-${label}` };
  return h(`div.scroll${stack ? ".stack" : ""}`, attributes, body);
}

/**
 * One figure with its name, and what puts it in proportion.
 *
 * @typedef {{ label: string, value: string, more?: string, tone?: "bad" | "warn" | null }} Figure
 * @param {Figure} of
 */
export function figure({ label, value, more = "", tone = null }) {
  return h("div.figure", { "data-tone": tone }, h("dt", null, label), h("dd", null, value), h("dd.more", null, more));
}

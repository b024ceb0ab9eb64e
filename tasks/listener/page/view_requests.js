/// <reference lib="dom" />
/**
 * Requests: find one by its id, or among those that something happened to.
 *
 * @module
 */

/** @import { RequestSummary } from "../queries/requests.ts" */

import { ask } from "./api.js";
import { emptyState, h, replace, section } from "./dom.js";
import { clock, duration, plural } from "./format.js";
import { table } from "./parts.js";
import { addressOf, changeSettings } from "./router.js";

const shownFirst = 60;
const shownMax = 500;
const whole = /^(?:bitville-)?[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}$/i;

/** @type {import("./app.js").View} */
export const requestsView = { title: "Requests", types: ["pg_stat_activity", "pg_locks", "pg_log"], mount };

/** @param {import("./app.js").Context} context */
async function mount({ route, agents, root, signal }) {
  const { kind = "trouble", prefix = "" } = route.settings;
  let limit = shownFirst;
  const results = h("div.results");
  const draw = async () => {
    /** @type {{ requests: RequestSummary[] }} */
    const { requests } = await ask("requests", signal, { kind, prefix: prefix.replace(/^bitville-/i, ""), limit });
    const more = () => {
      limit = shownMax;
      void draw();
    };
    const hosts = new Map(agents.map(({ id, host }) => [id, host]));
    replace(results, list(requests, { kind, prefix, hosts, more: requests.length === limit ? more : null }));
  };
  root.append(
    h("div.heading", null, h("h1", null, "Requests")),
    h(
      "p.lead",
      null,
      "A web request that gives its database session the name ",
      h("code", null, "bitville-"),
      " and its id can be followed through everything that the agent sends.",
    ),
    finder(prefix),
    results,
  );
  await draw();
  return draw;
}

/** @param {string} prefix */
export function finder(prefix) {
  const input = h("input", {
    ...{
      name: "id",
      type: "search",
      value: prefix,
      maxlength: "45",
      placeholder: "bitville-… or the beginning of the id",
    },
    ...{ autocomplete: "off", spellcheck: "false" },
  });
  return h(
    "form.filters",
    {
      role: "search",
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        const value = /** @type {HTMLInputElement} */ (input).value.trim().toLowerCase();
        if (whole.test(value)) location.hash = addressOf("request", { subject: value.replace(/^bitville-/, "") });
        else location.hash = addressOf("requests", { settings: { prefix: value } });
      },
    },
    h("label.grow", null, "Request ", input),
    h("button", { type: "submit" }, "Find"),
  );
}

/** @type {[string, string][]} */
const kinds = [["trouble", "with trouble"], ["waits", "in lock waits"], ["errors", "with errors"], ["all", "all"]];

/**
 * @param {RequestSummary[]} requests
 * @param {{ kind: string, prefix: string, hosts: Map<number, string>, more: (() => void) | null }} of
 */
function list(requests, { kind, prefix, hosts, more }) {
  const buttons = kinds.map(([name, words]) =>
    h("button", {
      type: "button",
      "aria-pressed": String(prefix === "" && kind === name),
      "data-key": `kind-${name}`,
      onclick: () => changeSettings({ kind: name, prefix: null }),
    }, words)
  );
  const choice = h("div.choice", { role: "group", "aria-label": "Which requests" }, ...buttons);
  const chosen = kinds.find(([name]) => name === kind)?.[1] ?? "";
  const title = prefix !== ""
    ? `Requests that begin with ${prefix}`
    : kind === "all"
    ? "All requests"
    : `Requests ${chosen}`;
  if (requests.length === 0) return section(title, choice, noRequests(prefix));
  const rows = requests.map(({ correlationId, agentId, lastMs, waitedMs, heldUp, errors, error }) =>
    h(
      "tr",
      null,
      h(
        "td",
        null,
        h(
          "a.request.long",
          { href: addressOf("request", { subject: correlationId }), "data-key": correlationId },
          correlationId,
        ),
      ),
      h(
        "td",
        null,
        waitedMs === null ? null : h("span.tag.bad", null, `waited ${duration(waitedMs)}`),
        heldUp ? h("span.tag.warn", null, "held up others") : null,
        errors === 0
          ? null
          : h("span.tag.error", null, errors === 1 ? `error ${error}` : `${plural(errors, "error")}, last ${error}`),
      ),
      h("td", null, clock(lastMs)),
      h("td.minor", null, hosts.get(agentId) ?? ""),
    )
  );
  const columns = [{ title: "Request" }, { title: "What happened" }, { title: "Last seen" }, {
    title: "Server",
    className: "minor",
  }];
  const end = more === null
    ? h("p.hint", null, limitWords(requests.length))
    : h("p.more-rows", null, h("button", { type: "button", "data-key": "more", onclick: more }, "Show more"));
  return section(title, choice, table({ label: title, columns, stack: true }, rows), end);
}

/** @param {number} shown */
function limitWords(shown) {
  return shown === shownMax ? "The newest; there are more." : plural(shown, "request");
}

/** @param {string} prefix */
function noRequests(prefix) {
  if (prefix !== "") {
    return emptyState(
      "No request of this id has been seen.",
      "The agent looks once a minute: a request that was quick and wrote nothing to the log leaves no trace.",
    );
  }
  return emptyState(
    "There is none.",
    "No request of this kind was seen. If there are none at all: the application has to set ",
    h("code", null, "application_name = 'bitville-' and the request's UUID"),
    " on its connection.",
  );
}

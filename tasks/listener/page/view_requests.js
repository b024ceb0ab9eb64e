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

const whole = /^(?:bitville-)?[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}$/i;

/** @type {import("./app.js").View} */
export const requestsView = { title: "Requests", types: ["pg_stat_activity", "pg_locks", "pg_log"], mount };

/** @param {import("./app.js").Context} context */
async function mount({ route, agents, root, signal }) {
  const { all = "", prefix = "" } = route.settings;
  const results = h("div.results");
  const draw = async () => {
    /** @type {{ requests: RequestSummary[] }} */
    const { requests } = await ask("requests", signal, {
      notable: all === "" ? 1 : 0,
      prefix: prefix.replace(/^bitville-/i, ""),
    });
    replace(results, list(requests, { all, prefix, hosts: new Map(agents.map(({ id, host }) => [id, host])) }));
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

/**
 * @param {RequestSummary[]} requests
 * @param {{ all: string, prefix: string, hosts: Map<number, string> }} of
 */
function list(requests, { all, prefix, hosts }) {
  const choice = h(
    "div.choice",
    { role: "group", "aria-label": "Which requests" },
    h("button", {
      type: "button",
      "aria-pressed": String(all === ""),
      "data-key": "notable",
      onclick: () => changeSettings({ all: null, prefix: null }),
    }, "with trouble"),
    h("button", {
      type: "button",
      "aria-pressed": String(all !== ""),
      "data-key": "all",
      onclick: () => changeSettings({ all: 1, prefix: null }),
    }, "all"),
  );
  const title = prefix !== ""
    ? `Requests that begin with ${prefix}`
    : all === ""
    ? "Requests with trouble"
    : "All requests";
  if (requests.length === 0) {
    const empty = prefix !== ""
      ? emptyState(
        "No request of this id has been seen.",
        "The agent looks once a minute: a request that was quick and wrote nothing to the log leaves no trace.",
      )
      : emptyState(
        "No request has been in trouble.",
        "None waited for a lock, held up others or wrote an error. If there are none at all: the application has to set ",
        h("code", null, "application_name = 'bitville-' and the request's UUID"),
        " on its connection.",
      );
    return section(title, choice, empty);
  }
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
  return section(title, choice, table({ label: title, columns }, rows));
}

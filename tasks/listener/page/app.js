/// <reference lib="dom" />
/**
 * The page: its head, and one view at a time. A view is mounted for an address, told when something has arrived, and let
 * go when the address changes.
 *
 * @module
 */

/** @import { Server } from "../queries/agents.ts" */
/** @import { Route } from "./router.js" */

import { ApiError, ask, listen } from "./api.js";
import { emptyState, h, replace } from "./dom.js";
import { addressOf, currentRoute } from "./router.js";
import { agentsView } from "./view_agents.js";
import { logView } from "./view_log.js";
import { nowView } from "./view_now.js";
import { requestView } from "./view_request.js";
import { requestsView } from "./view_requests.js";
import { statementsView } from "./view_statements.js";
import { timeView } from "./view_time.js";

/**
 * What a view is given.
 *
 * @typedef {object} Context
 * @property {Route} route
 * @property {Server | null} agent the chosen server's
 * @property {Server[]} agents
 * @property {HTMLElement} root where it goes
 * @property {AbortSignal} signal aborted when the view is let go
 * @property {() => number} nowMs the listener's time
 */

/**
 * @typedef {object} View
 * @property {string} title
 * @property {string[]} types of documents that it shows; empty for all
 * @property {(context: Context) => Promise<() => Promise<void>>} mount draws; answers with what draws anew
 */

/** @type {Record<string, View>} */
const views = {
  now: nowView,
  time: timeView,
  statements: statementsView,
  log: logView,
  requests: requestsView,
  request: requestView,
  agents: agentsView,
};
const inNavigation = ["now", "time", "statements", "log", "requests", "agents"];

/** After drawing anew, a page rests for so many times as long. */
const restFactor = 3;

/** How long a list of agents is good for when nothing arrives. */
const agentsMs = 20_000;

const main = /** @type {HTMLElement} */ (document.getElementById("main"));
const nav = /** @type {HTMLElement} */ (document.getElementById("nav"));
const live = /** @type {HTMLElement} */ (document.getElementById("live"));
const server = /** @type {HTMLSelectElement} */ (document.getElementById("server"));

/** @type {Server[]} */
let agents = [];
let aheadMs = 0;
let mounted = new AbortController();
/** @type {(() => Promise<void>) | null} */
let redraw = null;
let drawing = false;
let again = false;

function nowMs() {
  return Date.now() + aheadMs;
}

function chosenAgent() {
  const id = Number(currentRoute().settings.agent ?? sessionStorage.getItem("agent"));
  return agents.find((agent) => agent.id === id) ?? agents[0] ?? null;
}

async function loadAgents() {
  /** @type {{ nowMs: number, servers: Server[] }} */
  const answer = await ask("servers", new AbortController().signal);
  aheadMs = answer.nowMs - Date.now();
  agents = answer.servers;
  showServers();
}

function showServers() {
  const chosen = chosenAgent();
  const options = agents.map((agent) =>
    h("option", { value: agent.id, selected: agent === chosen }, `${agent.host} · ${agent.project}`)
  );
  if (options.length === 0) options.push(h("option", { value: "" }, "none yet"));
  if (document.activeElement !== server || server.options.length !== options.length) server.replaceChildren(...options);
}

function showNavigation() {
  const { view } = currentRoute();
  const current = view === "request" ? "requests" : view;
  const links = inNavigation.map((name) =>
    h("a", {
      href: addressOf(name, { settings: { agent: currentRoute().settings.agent } }),
      "aria-current": name === current ? "page" : null,
      "data-key": `nav-${name}`,
    }, views[name]?.title ?? name)
  );
  replace(nav, links);
}

async function mount() {
  mounted.abort();
  mounted = new AbortController();
  const { signal } = mounted;
  const route = currentRoute();
  const view = views[route.view] ?? nowView;
  showNavigation();
  showServers();
  document.title = `${view.title} – Bitville PostgreSQL`;
  redraw = null;
  const root = h("div.view", { "data-view": route.view, "aria-busy": "true" });
  main.replaceChildren(root);
  try {
    if (agents.length === 0 && route.view !== "agents") {
      replace(root, h("h1", null, view.title), noAgents());
      redraw = mount;
      return;
    }
    const draw = await view.mount({ route, agent: chosenAgent(), agents, root, signal, nowMs });
    if (!signal.aborted) redraw = draw;
  } catch (error) {
    if (!signal.aborted) {
      showError(root, view.title, error);
      // What could not be shown is tried again with the next news.
      redraw = mount;
    }
  } finally {
    root.removeAttribute("aria-busy");
  }
}

function noAgents() {
  return emptyState(
    "No agent has sent anything yet.",
    "Point one here: in its configuration, under [listener], set url to ",
    h("code", null, `${location.origin}/ingest/postgres`),
    " and api_key to the key that this listener was started with. Then run ",
    h("code", null, "deno task doctor"),
    " there, or watch this page: it fills by itself.",
  );
}

/**
 * @param {HTMLElement} root
 * @param {string} title
 * @param {unknown} error
 */
function showError(root, title, error) {
  const reason = error instanceof ApiError ? error.message : "The listener does not answer. Is it still running?";
  replace(root, h("h1", null, title), emptyState("This cannot be shown.", reason));
}

/** Draws what is mounted anew, once at a time. */
async function update() {
  if (drawing) {
    again = true;
    return;
  }
  drawing = true;
  const startMs = performance.now();
  try {
    await loadAgents();
    await redraw?.();
  } catch {
    // The state of the connection is shown; the next news draws again.
  }
  // A page that is slow to draw, of a thousand agents, spends most of its time at rest.
  await new Promise((resolve) => setTimeout(resolve, (performance.now() - startMs) * restFactor));
  drawing = false;
  if (again) {
    again = false;
    await update();
  }
}

/** @param {Record<string, string[]>} news */
function onNews(news) {
  const { view } = currentRoute();
  const types = views[view]?.types ?? [];
  const chosen = chosenAgent();
  const concerns = Object.entries(news).some(([id, arrived]) =>
    (chosen === null || Number(id) === chosen.id || view === "agents" || view === "request" || view === "requests") &&
    (types.length === 0 || arrived.some((type) => types.includes(type)))
  );
  if (concerns) void update();
}

let wasConnected = true;

/** @param {boolean} connected */
function onState(connected) {
  live.textContent = connected ? "live" : "not connected";
  live.dataset.state = connected ? "live" : "lost";
  // What arrived meanwhile was not told.
  if (connected && !wasConnected) void update();
  wasConnected = connected;
}

server.addEventListener("change", () => {
  sessionStorage.setItem("agent", server.value);
  const { view, subject, settings } = currentRoute();
  const { agent: _, ...others } = settings;
  const address = addressOf(view, { subject: view === "statements" ? "" : subject, settings: others });
  if (location.hash === address) void mount();
  else location.hash = address;
});
document.getElementById("skip")?.addEventListener("click", () => main.focus());
addEventListener("hashchange", () => {
  const { settings } = currentRoute();
  if (settings.agent !== undefined) sessionStorage.setItem("agent", settings.agent);
  void mount();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => void mount());
setInterval(() => void update(), agentsMs);

try {
  await loadAgents();
} catch {
  onState(false);
}
await mount();
listen({ onNews, onState });

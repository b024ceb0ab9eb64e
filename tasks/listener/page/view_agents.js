/// <reference lib="dom" />
/**
 * Agents: whether each is well, what it holds, what it lost, and what it costs its server.
 *
 * @module
 */

/** @import { AgentStatus, AgentSummary } from "../queries/agents.ts" */

import { ask } from "./api.js";
import { emptyState, h, replace } from "./dom.js";
import { ago, bytes, clock, count, duration, plural } from "./format.js";
import { table } from "./parts.js";
import { addressOf } from "./router.js";
import { reasonOf } from "./view_time.js";

/** @type {import("./app.js").View} */
export const agentsView = { title: "Agents", types: [], mount };

/** Agents that are shown: those in trouble first. */
const cardsMax = 100;

const order = { silent: 0, warning: 1, ok: 2 };
const words = { silent: "silent", warning: "needs a look", ok: "well" };

/** @param {import("./app.js").Context} context */
async function mount({ root, signal }) {
  const draw = async () => {
    /** @type {{ nowMs: number, agents: AgentSummary[] }} */
    const { nowMs, agents } = await ask("agents", signal);
    const sorted = agents.toSorted((a, b) => order[a.health.state] - order[b.health.state]);
    replace(
      root,
      h("div.heading", null, h("h1", null, "Agents"), h("p.when", null, summary(agents))),
      agents.length === 0
        ? emptyState(
          "No agent has sent anything yet.",
          "Point one here: in its configuration, under [listener], set url to ",
          h("code", null, `${location.origin}/ingest/postgres`),
          ". Then run ",
          h("code", null, "deno task doctor"),
          " there.",
        )
        : h(
          "div.agents",
          null,
          ...sorted.slice(0, cardsMax).map((agent) => card(agent, { nowMs, open: agents.length === 1 })),
        ),
    );
  };
  await draw();
  return draw;
}

/** @param {AgentSummary[]} agents */
function summary(agents) {
  const troubled = agents.filter(({ health }) => health.state !== "ok").length;
  if (agents.length === 0) return "";
  const shown = agents.length > cardsMax ? `; the first ${cardsMax} are shown, those in trouble before the others` : "";
  return `${plural(agents.length, "agent")}, ${troubled === 0 ? "all well" : `${troubled} to look at`}${shown}`;
}

/**
 * @param {AgentSummary} agent
 * @param {{ nowMs: number, open: boolean }} of
 */
function card(agent, { nowMs, open }) {
  const { id, host, project, version, health, status, receivedMs, missing } = agent;
  const reasons = health.reasons.length === 0
    ? null
    : h("ul.reasons", null, ...health.reasons.map((reason) => h("li", null, reason)));
  return h(
    "article.card",
    { "data-health": health.state, "aria-label": `Agent on ${host}` },
    h(
      "div.card-head",
      null,
      h("h2", null, h("a", { href: addressOf("now", { settings: { agent: id } }), "data-key": `agent-${id}` }, host)),
      h("span.health", { "data-state": health.state }, words[health.state]),
    ),
    h("p.hint", null, `project ${project} · version ${version} · heard ${ago(nowMs - receivedMs)}`),
    reasons,
    status === null ? h("p.hint", null, "Its own report has not come yet.") : facts(agent, status),
    status === null ? null : h(
      "details",
      { "data-key": `details-${id}`, open },
      h("summary", null, "Collectors, logs and losses"),
      collectors(agent, status),
      logs(agent, status),
      losses(agent, status),
    ),
    missing > 0
      ? null
      : h("p.complete", null, `Nothing is missing: all documents up to number ${agent.lastSequence} have arrived.`),
  );
}

/**
 * @param {AgentSummary} agent
 * @param {AgentStatus} status
 */
function facts({ missing, lost }, { buffer, circuit, database, process, uptime_s: uptimeS, governor }) {
  const filled = buffer.bytes / buffer.max_bytes * 100;
  const circuitWords = /** @type {Record<string, string>} */ ({
    closed: "sending",
    open: "keeping: the listener did not answer",
    half_open: "trying again",
  });
  /** @type {[string, import("./dom.js").Child][]} */
  const rows = [
    ["Delivery", circuitWords[circuit.state] ?? circuit.state],
    [
      "Buffer",
      h(
        "span",
        null,
        `${plural(buffer.records, "document")}, ${bytes(buffer.bytes)} of ${bytes(buffer.max_bytes)} `,
        h("meter", {
          min: 0,
          max: 100,
          high: 50,
          optimum: 0,
          value: Math.round(filled),
          "aria-label": "Buffer in use",
        }),
      ),
    ],
    ["Oldest waiting", buffer.oldest_at === null ? "none" : clock(Date.parse(buffer.oldest_at))],
    [
      "Missing here",
      missing === 0 ? "none" : `${plural(lost, "document")} lost, ${count(missing - lost)} still to come`,
    ],
    ["Cost to the server", `${duration(database.time_ms)} a cycle, ${plural(database.connections, "connection")}`],
    ["Database", database.reachable ? `PostgreSQL ${database.server_version ?? ""}` : "did not answer"],
    [
      "Agent",
      `${bytes(process.rss_bytes)} of memory, ${duration(process.cpu_s * 1_000)} of CPU in ${
        duration(uptimeS * 1_000)
      }`,
    ],
  ];
  if (governor) rows.push(["Budget", governorWords(governor)]);
  return h("dl.facts", null, ...rows.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))));
}

/** What each step leaves out beside those before it, docs/documents/agent_status.md. @type {Record<string, string>} */
const leftOut = {
  texts: "statement texts",
  statements: "four of five reads of statements",
  locks: "the blockers of all waiters but the 50 that wait longest",
  activity: "every other read of sessions and locks",
};
/** The governor's reason when it takes a step back. */
const calm = "The server is calm";

/** What the agent leaves out to spare its server, and what it costs it. @param {NonNullable<AgentStatus["governor"]>} governor */
function governorWords({ step, reason, since, server_ms: ms, budget_ms: budgetMs }) {
  const cost = ms === null ? `${duration(budgetMs)} a cycle` : `${duration(ms)} of ${duration(budgetMs)} this cycle`;
  if (step === "none") return cost;
  const steps = Object.keys(leftOut);
  const parts = steps.includes(step) ? Object.values(leftOut).slice(0, steps.indexOf(step) + 1) : [step];
  const things = parts.length === 1 ? parts.join() : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
  const when = `since ${clock(Date.parse(since))}`;
  const why = reason === null ? "" : `, because: ${reason[0]?.toLowerCase()}${reason.slice(1)}`;
  return reason === calm
    ? `Takes more in again ${when}, because the server is calm; still leaves out ${things}; ${cost}`
    : `Leaves out ${things} ${when}${why}; ${cost}`;
}

/**
 * @param {AgentSummary} agent
 * @param {AgentStatus} status
 */
function collectors({ host }, { collectors: all }) {
  const rows = all.map(({ name, ok, duration_ms: ms, rows, skipped, error, every = 1 }) =>
    h(
      "tr",
      null,
      h("td", null, h("code", null, name)),
      h(
        "td",
        null,
        error ?? skipped ?? (ok ? "ok" : "failed"),
        every > 1 ? h("span.tag.warn", { title: "It spares the server" }, `every ${every}th cycle`) : null,
      ),
      h("td.number", null, duration(ms)),
      h("td.number", null, count(rows)),
    )
  );
  const columns = [{ title: "Collector" }, { title: "Last run" }, { title: "Took", className: "number" }, {
    title: "Rows",
    className: "number",
  }];
  return table({ label: `Collectors of ${host}`, columns }, rows);
}

/**
 * @param {AgentSummary} agent
 * @param {AgentStatus} status
 */
function logs({ host }, { logs: files }) {
  if (files.length === 0) return h("p.hint", null, "It follows no log file: see collection.log_path.");
  const rows = files.map(({ file, format, offset, size }) =>
    h(
      "tr",
      null,
      h("td", null, h("code", null, file)),
      h("td", null, format),
      h("td.number", null, `${bytes(offset)} of ${bytes(size)}`),
    )
  );
  const columns = [{ title: "Log file" }, { title: "Format" }, { title: "Read", className: "number" }];
  return table({ label: `Logs of ${host}`, columns }, rows);
}

/**
 * @param {AgentSummary} agent
 * @param {AgentStatus} status
 */
function losses({ host, holes }, { loss }) {
  const lost = Object.entries(loss).filter(([, value]) => typeof value === "number" && value > 0);
  const counted = lost.length === 0 ? h("p.hint", null, "It reports no losses.") : h(
    "p",
    null,
    "It reports: ",
    lost.map(([name, value]) =>
      `${name.replaceAll("_", " ")} ${name.endsWith("bytes") ? bytes(Number(value)) : count(Number(value))}`
    ).join(", "),
    ".",
  );
  if (holes.length === 0) return counted;
  const rows = holes.map((hole) =>
    h(
      "tr",
      null,
      h("td.number", null, hole.from === hole.to ? hole.from : `${hole.from} – ${hole.to}`),
      h("td", null, `${clock(hole.fromMs)} – ${clock(hole.toMs)}`),
      h("td", null, reasonOf(hole)),
    )
  );
  const columns = [{ title: "Numbers", className: "number" }, { title: "Between" }, { title: "What became of them" }];
  return h("div", null, counted, table({ label: `Holes of ${host}`, columns }, rows));
}

/// <reference lib="dom" />
/**
 * Now: one server at the newest moment, or at one that the address names.
 *
 * @module
 */

/** @import { Now } from "../queries/now.ts" */

import { ask } from "./api.js";
import { emptyState, h, replace, section } from "./dom.js";
import { ago, bytes, clock, count, duration, percent, plural } from "./format.js";
import { lockTree } from "./lock_tree.js";
import { colorOf, figure, requestLink, stateBadge, statementText, table } from "./parts.js";
import { addressOf } from "./router.js";
import { kindOf, meanings } from "./colors.js";

/** Sessions in the table; the document has them all. */
const sessionsShownMax = 50;

/** @type {import("./app.js").View} */
export const nowView = { title: "Now", types: ["pg_stat_activity", "pg_locks", "system_metrics"], mount };

/** @param {import("./app.js").Context} context */
async function mount({ route, agent, root, signal, nowMs }) {
  const draw = async () => {
    /** @type {Now} */
    const now = await ask("now", signal, { agent: agent?.id, at: route.settings.at });
    const atMs = now.pg_stat_activity?.atMs ?? now.system_metrics?.atMs ?? null;
    replace(
      root,
      heading({ host: agent?.host ?? "", atMs, nowMs: nowMs(), at: route.settings.at }),
      now.recorded
        ? h(
          "p.hint",
          null,
          "Recorded second by second between two cycles: all are counted, the ten longest are listed.",
        )
        : null,
      figures(now),
      blocking(now),
      h("div.columns", null, waitsSection(now), statesSection(now)),
      sessionsSection(now),
    );
  };
  await draw();
  // A moment of the past stays as it was.
  return route.settings.at === undefined ? draw : async () => {};
}

/** @param {{ host: string, atMs: number | null, nowMs: number, at: string | undefined }} of */
function heading({ host, atMs, nowMs, at }) {
  const when = atMs === null
    ? ""
    : at === undefined
    ? `seen ${ago(nowMs - atMs)}, at ${clock(atMs)}`
    : `as it was at ${clock(atMs)}`;
  return h(
    "div.heading",
    null,
    h("h1", null, at === undefined ? "Now" : "Then", h("span.host", null, ` on ${host}`)),
    h("p.when", null, when, " ", at === undefined ? null : h("a", { href: addressOf("now") }, "Back to now")),
  );
}

/**
 * Sessions in a state; of a recording all that were counted, for it lists ten.
 *
 * @param {Now} now
 * @param {string} start of the state's name
 * @returns {number}
 */
function countIn({ pg_stat_activity: activity, recorded }, start) {
  /** @type {[string, number][]} */
  const states = recorded
    ? Object.entries(activity?.data.by_state ?? {})
    : (activity?.data.sessions ?? []).map((/** @type {any} */ one) => [one.state, 1]);
  return states.reduce((sum, [state, number]) => sum + (state.startsWith(start) ? number : 0), 0);
}

/** @param {Now} now */
function figures(now) {
  const { pg_stat_activity: activity, pg_locks: locks, system_metrics: system, system_before: before } = now;
  const sessions = activity?.data.sessions ?? [];
  const [active, idle] = [countIn(now, "active"), countIn(now, "idle in transaction")];
  const longest = sessions.reduce(
    (/** @type {number} */ most, /** @type {any} */ one) => Math.max(most, one.xact_ms ?? 0),
    0,
  );
  const waiting = locks?.data.waiting ?? 0;
  const data = system?.data;
  const passedS = system === null || before === null ? 0 : (system.atMs - before.atMs) / 1_000;
  const rate = (/** @type {string} */ group, /** @type {string} */ name) => {
    const [later, earlier] = [data?.[group]?.[name], before?.data[group]?.[name]];
    return later === undefined || earlier === undefined || later < earlier || passedS <= 0
      ? null
      : (later - earlier) / passedS;
  };
  const perS = (/** @type {number | null} */ value) => value === null ? "–" : `${bytes(value)}/s`;
  const load = data?.cpu?.load_average?.[0];
  const stalls = ["cpu", "memory", "io"];
  const pressure = stalls.map((name) => `${name} ${percent(data?.pressure?.[name]?.some?.avg10)}`).join(" · ");
  const stalled = Math.max(0, ...stalls.map((name) => data?.pressure?.[name]?.some?.avg10 ?? 0));
  /** @type {import("./parts.js").Figure[]} */
  const all = [
    {
      label: "Active sessions",
      value: count(active),
      more: `of ${plural(activity?.data.total_backends ?? 0, "backend")}`,
    },
    {
      label: "Waiting for a lock",
      value: count(waiting),
      more: waiting === 0 ? "nobody" : `behind ${plural(locks?.data.roots.length ?? 0, "session")}`,
      tone: waiting > 0 ? "bad" : null,
    },
    {
      label: "Idle in transaction",
      value: count(idle),
      more: idle === 0 ? "none" : "they may hold locks",
      tone: idle > 0 ? "warn" : null,
    },
    {
      label: "Longest transaction",
      value: longest === 0 ? "–" : duration(longest),
      more: "open now",
      tone: longest > 300_000 ? "warn" : null,
    },
    {
      label: "CPU",
      value: percent(data?.cpu?.percent),
      more: load === undefined ? "" : `load ${load.toFixed(1)} on ${plural(data?.cpu?.count ?? 0, "CPU")}`,
      tone: (data?.cpu?.percent ?? 0) > 90 ? "warn" : null,
    },
    {
      label: "Memory in use",
      value: percent(data?.memory?.percent),
      more: data?.memory ? `of ${bytes(data.memory.total)}` : "",
    },
    {
      label: "Disk",
      value: perS(rate("disk_io", "read_bytes")),
      more: data?.disk_io
        ? `read · ${perS(rate("disk_io", "write_bytes"))} written`
        : "not readable: see system.procfs_path",
    },
    { label: "Stalled (pressure)", value: percent(stalled), more: pressure, tone: stalled > 50 ? "warn" : null },
  ];
  return h("dl.figures", { "aria-label": "Key figures" }, ...all.map(figure));
}

/** @param {Now} now */
function blocking({ pg_locks: locks }) {
  const title = "Who waits for whom";
  if (locks === null || locks.data.waiting === 0) {
    const help = locks === null
      ? "No document of type pg_locks has come yet."
      : "Nobody was waiting for a lock at this moment. Sessions that do appear here as a tree, below the one to look at first.";
    return section(title, null, emptyState("Nobody waits.", help));
  }
  const aside = `${
    plural(locks.data.waiting, "session")
  } waiting. Look at the top of each tree: whoever stands there has to finish.`;
  return section(title, h("span.hint", null, aside), lockTree(locks.data));
}

/** @param {Now} now */
function waitsSection({ pg_stat_activity: activity, recorded }) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { state, wait_event_type: type, wait_event: event } of activity?.data.sessions ?? []) {
    if (state !== "active") continue;
    const name = type === null ? "CPU" : `${type}:${event ?? ""}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const listed = [...counts.values()].reduce((sum, number) => sum + number, 0);
  const rest = recorded ? (activity?.data.by_state.active ?? 0) - listed : 0;
  if (rest > 0) counts.set("not listed", rest);
  const rows = [...counts].sort((a, b) => b[1] - a[1]);
  const title = "What active sessions do";
  if (rows.length === 0) {
    return section(title, null, emptyState("No session is active.", "The server had nothing to do at this moment."));
  }
  return section(
    title,
    null,
    bars(rows.map(([name, value]) => ({
      label: name === "CPU" ? "running on a CPU" : name.replace(":", " · "),
      hint: meanings[kindOf(name)] ?? "",
      color: colorOf(kindOf(name)),
      value,
    }))),
  );
}

/** @param {Now} now */
function statesSection({ pg_stat_activity: activity }) {
  const states = Object.entries(/** @type {Record<string, number>} */ (activity?.data.by_state ?? {}));
  const names = /** @type {Record<string, string>} */ ({
    none: "background processes",
    insufficient_privilege: "not visible to the agent",
  });
  return section(
    "All backends by state",
    null,
    bars(
      states.sort((a, b) => b[1] - a[1]).map(([state, value]) => ({
        label: names[state] ?? state,
        hint: "",
        color: state === "active" ? colorOf("CPU") : state.startsWith("idle in") ? colorOf("idle") : "var(--bar)",
        value,
      })),
    ),
  );
}

/** @param {{ label: string, hint: string, color: string, value: number }[]} rows */
function bars(rows) {
  const most = Math.max(...rows.map(({ value }) => value), 1);
  return h(
    "ul.bars",
    null,
    ...rows.map(({ label, hint, color, value }) =>
      h(
        "li",
        null,
        h("span.bar-label", null, label, hint === "" ? null : h("small", null, hint)),
        h(
          "span.bar",
          { "aria-hidden": "true" },
          h("i", { style: { width: `${value / most * 100}%`, background: color } }),
        ),
        h("b", null, value),
      )
    ),
  );
}

/** @param {Now} now */
function sessionsSection({ pg_stat_activity: activity }) {
  const sessions = activity?.data.sessions ?? [];
  const title = "Sessions that are not idle";
  if (activity === null) {
    return section(
      title,
      null,
      emptyState(
        "No document of type pg_stat_activity has come yet.",
        "If the agent runs, see why on the page Agents.",
      ),
    );
  }
  if (sessions.length === 0) {
    return section(title, null, emptyState("All sessions are idle.", "Nothing was running when the agent looked."));
  }
  const rows = sessions.slice(0, sessionsShownMax).map((/** @type {any} */ one) => {
    const wait = one.wait_event_type === null ? null : `${one.wait_event_type}:${one.wait_event ?? ""}`;
    return h(
      "tr",
      null,
      h(
        "td",
        null,
        requestLink(one.correlation_id, `session-${one.pid}`),
        one.correlation_state === "doubtful"
          ? h("span.tag", { title: "A pooler may have left this name behind" }, "doubtful")
          : null,
      ),
      h("td", null, stateBadge(one.state, wait)),
      h("td.number", null, duration(one.query_ms)),
      h("td.number", null, duration(one.xact_ms)),
      h("td.wide", null, statementText(one.query, `session-sql-${one.pid}`)),
      h("td.minor", null, `${one.usename ?? ""}@${one.datname ?? ""}`),
      h("td.number.minor", null, one.pid),
    );
  });
  const columns = [
    { title: "Request" },
    { title: "Doing" },
    { title: "In statement", className: "number" },
    { title: "In transaction", className: "number" },
    { title: "Text", className: "wide" },
    { title: "User", className: "minor" },
    { title: "pid", className: "number minor" },
  ];
  const aside = sessions.length > rows.length
    ? `the ${rows.length} longest of ${sessions.length}`
    : "the longest transaction first";
  return section(title, h("span.hint", null, aside), table({ label: title, columns, stack: true }, rows));
}

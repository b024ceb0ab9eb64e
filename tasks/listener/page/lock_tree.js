/// <reference lib="dom" />
/**
 * Who waits for whom, as a tree: at its root who holds up others and waits for nobody.
 *
 * @module
 */

import { h } from "./dom.js";
import { duration, plural } from "./format.js";
import { requestLink, statementText } from "./parts.js";

/**
 * One pair and one root, by the names of docs/documents/pg_locks.md.
 *
 * @typedef {{ blocked_pid: number, blocked_user: string | null, blocked_correlation_id: string | null,
 *   blocked_statement: string | null, blocking_pid: number, root_pid: number, depth: number, locktype: string | null,
 *   mode: string | null, relation: string | null, wait_ms: number | null }} Pair
 * @typedef {{ pid: number, user: string | null, correlation_id: string | null, state: string | null,
 *   statement: string | null, xact_ms: number | null, blocked_count: number }} Root
 * @typedef {{ locks: Pair[], roots: Root[], waiting: number, truncated: boolean }} Locks
 */

/** Waiters below one holder that are shown at once; the rest opens. */
const shownMax = 12;

/** @param {Locks} locks */
export function lockTree({ locks, roots, waiting, truncated }) {
  const byHolder = Map.groupBy(locks, ({ blocking_pid: pid }) => pid);
  const trees = roots.map((root) => {
    const seen = new Set([root.pid]);
    return h("li.root", null, rootNode(root), waiters(root.pid, byHolder, seen));
  });
  const more = truncated
    ? h("p.hint", null, `${plural(waiting, "session")} wait; the agent left some out to keep its question small.`)
    : null;
  return h("div", null, h("ul.tree", null, ...trees), more);
}

/** @param {Root} root */
function rootNode({ pid, user, correlation_id: id, state, statement, xact_ms: xactMs, blocked_count: blocked }) {
  const doing = state?.startsWith("idle in transaction")
    ? "does nothing in an open transaction"
    : state === "active"
    ? "is running"
    : state ?? "its state is not visible";
  return h(
    "div.node",
    { "data-role": "root" },
    h(
      "p.node-line",
      null,
      h("strong", null, id === null ? `Process ${pid}` : "Request "),
      id === null ? null : requestLink(id, `root-${pid}`),
      h("span", null, ` ${doing}`),
      h("span.tag.bad", null, `holds up ${plural(blocked, "session")}`),
    ),
    h(
      "p.node-detail",
      null,
      [`pid ${pid}`, user ?? "", xactMs === null ? "" : `transaction open for ${duration(xactMs)}`].filter(Boolean)
        .join(" · "),
    ),
    statementText(statement, `root-sql-${pid}`),
  );
}

/**
 * @param {number} pid
 * @param {Map<number, Pair[]>} byHolder
 * @param {Set<number>} seen above: a deadlock is a ring, and is cut where it closes
 * @returns {HTMLElement | null}
 */
function waiters(pid, byHolder, seen) {
  const pairs = (byHolder.get(pid) ?? []).toSorted((a, b) => (b.wait_ms ?? 0) - (a.wait_ms ?? 0));
  if (pairs.length === 0) return null;
  const items = pairs.map((pair) => {
    const closes = seen.has(pair.blocked_pid);
    const below = closes ? null : waiters(pair.blocked_pid, byHolder, new Set([...seen, pair.blocked_pid]));
    return h("li", null, waiterNode(pair, closes), below);
  });
  const rest = items.slice(shownMax);
  const folded = rest.length === 0 ? null : h(
    "li",
    null,
    h(
      "details",
      { "data-key": `more-${pid}` },
      h("summary", null, `${plural(rest.length, "more session")} wait here`),
      h("ul", null, ...rest),
    ),
  );
  return h("ul", null, ...items.slice(0, shownMax), folded);
}

/**
 * @param {Pair} pair
 * @param {boolean} closes
 */
function waiterNode(pair, closes) {
  const { blocked_pid: pid, blocked_correlation_id: id, blocked_user: user, wait_ms: waitMs } = pair;
  const lock = [pair.mode, pair.locktype, pair.relation === null ? null : `on ${pair.relation}`].filter(Boolean).join(
    " ",
  );
  return h(
    "div.node",
    null,
    h(
      "p.node-line",
      null,
      h("strong", null, id === null ? `Process ${pid}` : "Request "),
      id === null ? null : requestLink(id, `waiter-${pid}-${pair.blocking_pid}`),
      h("span", null, waitMs === null ? " has just begun to wait" : " has waited "),
      waitMs === null ? null : h("b.wait", null, duration(waitMs)),
      closes ? h("span.tag.bad", null, "a ring: deadlock") : null,
    ),
    h("p.node-detail", null, [`pid ${pid}`, user ?? "", `for ${lock}`].filter(Boolean).join(" · ")),
    statementText(pair.blocked_statement, `waiter-sql-${pid}-${pair.blocking_pid}`),
  );
}

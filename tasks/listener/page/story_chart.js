/// <reference lib="dom" />
/**
 * A request's story as a drawing: one lane a process and one for each request that it waited for or that waited for it,
 * all along one time. The list below the drawing says the same in words, so the drawing itself is not read aloud.
 *
 * @module
 */

/** @import { Story, StoryProcess } from "../queries/story.ts" */
/** @import { Neighbour } from "./story_words.js" */

import { kindOf, waitColor } from "./colors.js";
import { h } from "./dom.js";
import { clock, duration, exactClock } from "./format.js";
import { requestLink } from "./parts.js";
import { neighbours } from "./story_words.js";

/** Neighbours with a lane of their own; the list has them all. */
const lanesMax = 12;
const ticksMax = 6;
/** In percent: behind it, the words of a tick have no room. */
const tickEnd = 88;

/**
 * @typedef {{ fromMs: number, toMs: number, className: string, title: string, color?: string }} Bar
 * @typedef {{ atMs: number, className: string, title: string }} Mark
 * @typedef {{ label: (Node | string | null)[], note: string, bars: Bar[], marks: Mark[] }} Lane
 */

/** @param {Story} story */
export function storyChart(story) {
  const own = story.processes.length > 0 ? story.processes.map((process) => ownLane(story, process)) : bareLanes(story);
  const waitedFor = neighbours(story, "waited").slice(0, lanesMax).map(neighbourLane);
  const held = neighbours(story, "held").slice(0, lanesMax).map(neighbourLane);
  const range = rangeOf([...own, ...waitedFor, ...held]);
  const group = (/** @type {string} */ title, /** @type {Lane[]} */ lanes) =>
    lanes.length === 0 ? [] : [h("h3.lane-title", null, title), ...lanes.map((lane) => drawLane(lane, range))];
  return h(
    "div.story-chart",
    null,
    axis(range),
    ...group("This request", own),
    ...group("It waited for", waitedFor),
    ...group("Waited for it", held),
    legend(),
  );
}

/**
 * @param {Story} story
 * @param {StoryProcess} process
 * @returns {Lane}
 */
function ownLane(story, { agentId, pid, sightings, datname, usename, leaderPid }) {
  /** @type {Bar[]} */
  const bars = [];
  const lastMs = Math.max(...sightings.map(({ atMs }) => atMs));
  for (const [xactStartMs, seen] of Map.groupBy(sightings, (one) => one.xactStartMs)) {
    if (xactStartMs === null) continue;
    const toMs = Math.max(...seen.map(({ atMs }) => atMs));
    bars.push({
      fromMs: xactStartMs,
      toMs,
      className: "xact",
      title: `transaction, seen for ${duration(toMs - xactStartMs)}`,
    });
  }
  for (const { atMs, state, wait, queryStartMs, queryMs, stateChangeMs } of sightings) {
    if (queryStartMs === null) continue;
    const active = state === "active";
    const toMs = active ? atMs : queryStartMs + (queryMs ?? 0);
    const color = active && wait !== null && kindOf(wait) !== "Lock" ? waitColor(wait) : waitColor("CPU");
    bars.push({
      fromMs: queryStartMs,
      toMs,
      className: "statement",
      color,
      title: `statement, ${duration(toMs - queryStartMs)}`,
    });
    if (!active && stateChangeMs !== null) {
      bars.push({
        fromMs: stateChangeMs,
        toMs: atMs,
        className: "idle",
        title: `${state}, ${duration(atMs - stateChangeMs)}`,
      });
    }
  }
  const marks = sightings.map(({ atMs, state }) => ({
    atMs,
    className: "seen",
    title: `the agent saw it ${state} at ${clock(atMs)}`,
  }));
  const lane = withWaits(story, { agentId, pid, bars, marks });
  const who = leaderPid === null ? `process ${pid}` : `worker ${pid}`;
  return { ...lane, label: [who], note: `${usename ?? ""}@${datname ?? ""}${lastMs > 0 ? "" : ""}` };
}

/** Lanes of processes that only locks or the log tell of. @param {Story} story @returns {Lane[]} */
function bareLanes(story) {
  const pids = new Map([
    ...story.waits.map(({ agentId, pid }) => /** @type {const} */ ([`${agentId}/${pid}`, { agentId, pid }])),
    ...story.log.map((
      { agentId, entry },
    ) => /** @type {const} */ ([`${agentId}/${entry.pid}`, { agentId, pid: entry.pid ?? 0 }])),
  ]);
  return [...pids.values()].map(({ agentId, pid }) => ({
    ...withWaits(story, { agentId, pid, bars: [], marks: [] }),
    label: [`process ${pid}`],
    note: "",
  }));
}

/**
 * @param {Story} story
 * @param {{ agentId: number, pid: number, bars: Bar[], marks: Mark[] }} lane
 */
function withWaits({ waits, log }, { agentId, pid, bars, marks }) {
  const own = waits.filter((wait) => wait.role === "waited" && wait.pid === pid && wait.agentId === agentId);
  const waited = own.map(({ startMs, endMs }) => ({
    fromMs: startMs,
    toMs: endMs,
    className: "wait",
    title: `waited for a lock, ${duration(endMs - startMs)}`,
  }));
  const lines = log.filter((line) => line.agentId === agentId && (line.entry.pid === pid || line.entry.pid === null));
  const ticks = lines.map(({ atMs, entry }) => ({
    atMs,
    className: ["ERROR", "FATAL", "PANIC"].includes(entry.level)
      ? "line bad"
      : entry.level === "WARNING"
      ? "line warn"
      : "line",
    title: `${exactClock(atMs)} ${entry.level} ${entry.message.slice(0, 200)}`,
  }));
  return { bars: [...bars, ...waited], marks: [...marks, ...ticks] };
}

/** @param {Neighbour} neighbour @returns {Lane} */
function neighbourLane({ correlationId, pid, waits, ms, role }) {
  const bars = waits.map(({ startMs, endMs, ended }) => ({
    ...{ fromMs: startMs, toMs: endMs, className: role === "waited" ? "holder" : "held" },
    title: `${role === "waited" ? "held this request up" : "waited for this request"}, ${duration(endMs - startMs)}${
      ended === "deadlock" ? ", a deadlock" : ""
    }`,
  }));
  const rings = waits.filter(({ ended }) => ended === "deadlock").map(({ endMs }) => ({
    atMs: endMs,
    className: "ring",
    title: "deadlock",
  }));
  return {
    ...{ bars, marks: rings },
    label: correlationId === null ? [`process ${pid}`] : [requestLink(correlationId, `lane-${role}-${correlationId}`)],
    note: ms > 0 ? duration(ms) : "",
  };
}

/** From the first to the last of all that is drawn, with a little room. @param {Lane[]} lanes */
function rangeOf(lanes) {
  const times = lanes.flatMap((
    { bars, marks },
  ) => [...bars.flatMap(({ fromMs, toMs }) => [fromMs, toMs]), ...marks.map(({ atMs }) => atMs)]);
  if (times.length === 0) return { fromMs: 0, toMs: 1 };
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const room = Math.max(100, (last - first) * 0.03);
  return { fromMs: first - room, toMs: last + room };
}

/** @typedef {{ fromMs: number, toMs: number }} Range */

/**
 * @param {Range} range
 * @param {number} atMs
 */
function place({ fromMs, toMs }, atMs) {
  return (atMs - fromMs) / (toMs - fromMs) * 100;
}

/**
 * @param {Lane} lane
 * @param {Range} range
 */
function drawLane({ label, note, bars, marks }, range) {
  const track = h("div.track", { "aria-hidden": "true" });
  for (const { fromMs, toMs, className, title, color } of bars) {
    const [left, right] = [place(range, fromMs), place(range, toMs)];
    const style = {
      left: `${left}%`,
      width: `${Math.max(0.4, right - left)}%`,
      ...color === undefined ? {} : { background: color },
    };
    track.append(h(`i.bar-${className}`, { style, title }));
  }
  for (const { atMs, className, title } of marks) {
    const element = h("i", { style: { left: `${place(range, atMs)}%` }, title });
    element.className = `mark ${className}`;
    track.append(element);
  }
  return h("div.lane", null, h("div.lane-label", null, h("span", null, ...label), h("span.note", null, note)), track);
}

/** @param {Range} range */
function axis(range) {
  const stepMs = niceStep((range.toMs - range.fromMs) / ticksMax);
  const ticks = [];
  for (let at = Math.ceil(range.fromMs / stepMs) * stepMs; place(range, at) < tickEnd; at += stepMs) ticks.push(at);
  return h(
    "div.lane.axis",
    { "aria-hidden": "true" },
    h("div.lane-label"),
    h(
      "div.track",
      null,
      ...ticks.map((at) =>
        h(
          "span.tick",
          { style: { left: `${place(range, at)}%` } },
          h("b", null, stepMs < 1_000 ? exactClock(at).slice(-6) : clock(at).slice(-8)),
        )
      ),
    ),
  );
}

/** The next step that people count in. @param {number} ms */
function niceStep(ms) {
  const steps = [100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, 72e5, 216e5, 864e5];
  return steps.find((step) => step >= ms) ?? 864e5;
}

function legend() {
  const items = [["xact", "transaction open"], ["statement", "statement"], ["wait", "waiting for a lock"], [
    "idle",
    "idle in transaction",
  ]];
  const marks = [["seen", "seen by the agent"], ["line", "log line"], ["line bad", "error"]];
  return h(
    "div.legend.story-legend",
    { "aria-hidden": "true" },
    ...items.map(([name, words]) => h("span.legend-item", null, h(`i.key.bar-${name}`), words)),
    ...marks.map(([name, words]) => {
      const mark = h("i");
      mark.className = `mark key ${name}`;
      return h("span.legend-item", null, mark, words);
    }),
  );
}

/// <reference lib="dom" />
/**
 * A request: its whole story on one page, for whoever has its id.
 *
 * @module
 */

/** @import { Story } from "../queries/story.ts" */
/** @import { Neighbour, StoryEvent } from "./story_words.js" */

import { ApiError, ask } from "./api.js";
import { emptyState, h, replace, section } from "./dom.js";
import { clock, duration, exactClock, plural } from "./format.js";
import { requestLink } from "./parts.js";
import { addressOf } from "./router.js";
import { storyChart } from "./story_chart.js";
import { errorsOf, errorWords, eventsOf, neighbours, waitedMs } from "./story_words.js";
import { entryDetails } from "./view_log.js";
import { finder } from "./view_requests.js";

/** Events in the list; beyond, only what is not a mere sighting. */
const eventsMax = 300;

/** @type {import("./app.js").View} */
export const requestView = { title: "Request", types: ["pg_stat_activity", "pg_locks", "pg_burst", "pg_log"], mount };

/** @param {import("./app.js").Context} context */
async function mount({ route, root, signal }) {
  const id = route.subject.toLowerCase().replace(/^bitville-/, "");
  const draw = async () => {
    try {
      /** @type {Story} */
      const story = await ask(`requests/${encodeURIComponent(id)}`, signal);
      replace(root, heading(id), verdict(story), drawing(story), happened(story), rest(story));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      replace(
        root,
        heading(id),
        emptyState(
          "This request is not known here.",
          error.message,
          " It shows up by itself as soon as a document tells of it.",
        ),
        finder(""),
      );
    }
  };
  await draw();
  return draw;
}

/** @param {string} id */
function heading(id) {
  const copy = h("button", {
    type: "button",
    "data-key": "copy",
    onclick: () => void navigator.clipboard?.writeText(location.href).then(() => copy.textContent = "Copied"),
  }, "Copy link");
  return h(
    "div.heading",
    null,
    h("h1", null, "Request ", h("code.id", null, id)),
    h("p.when", null, h("a", { href: addressOf("requests"), "data-key": "back" }, "← All requests"), " ", copy),
  );
}

/** What it came to, in some sentences. @param {Story} story */
function verdict(story) {
  const { firstMs, lastMs, servers, seenWaitingMs, heldUp } = story;
  const failed = errorsOf(story);
  const last = failed.at(-1)?.entry;
  const ms = waitedMs(story);
  const where = servers.map(({ host }) => host).join(" and ");
  const sentences = [
    h(
      "span",
      null,
      `It was seen on ${where} at ${clock(firstMs)}${
        lastMs - firstMs > 0 ? `, for at least ${duration(lastMs - firstMs)}` : ""
      }. `,
    ),
    ms > 0 || neighbours(story, "waited").length > 0
      ? h(
        "span",
        null,
        h("strong", null, `It waited ${ms > 0 ? duration(ms) : ""} for a lock`),
        " that ",
        ...who(neighbours(story, "waited")),
        " held. ",
      )
      : seenWaitingMs === null
      ? null
      : h(
        "span",
        null,
        h("strong", null, `It waited ${duration(seenWaitingMs)} for a lock`),
        "; who held it is not known. ",
      ),
    neighbours(story, "held").length > 0
      ? h("span", null, h("strong", null, "It held up "), ...who(neighbours(story, "held")), ". ")
      : heldUp
      ? h("span", null, h("strong", null, "It held up others"), "; who they were is not known. ")
      : null,
    last === undefined ? null : h(
      "span",
      null,
      h(
        "strong.bad",
        null,
        `It ended in an error${last.sqlstate === null ? "" : ` ${last.sqlstate}`}: ${last.message}`,
      ),
      errorWords(last.sqlstate) === null ? "." : ` – ${errorWords(last.sqlstate)}.`,
    ),
    ms === 0 && failed.length === 0 && story.waits.length === 0 && seenWaitingMs === null && !heldUp
      ? h("span", null, "It waited for no lock, held up nobody, and wrote no error.")
      : null,
  ];
  return h("p.verdict", { "data-tone": last === undefined ? (ms > 0 ? "warn" : "ok") : "bad" }, ...sentences);
}

/** Links to requests, in a sentence. @param {Neighbour[]} all */
function who(all) {
  const shown = all.slice(0, 4);
  const links = shown.flatMap(({ correlationId, pid, key }, index) => [
    index === 0 ? "" : index === all.length - 1 ? " and " : ", ",
    correlationId === null
      ? `process ${pid}`
      : h("span", null, "request ", requestLink(correlationId, `verdict-${key}`)),
  ]);
  return all.length > shown.length ? [...links, ` and ${plural(all.length - shown.length, "more", "more")}`] : links;
}

/** @param {Story} story */
function drawing(story) {
  if (story.processes.length === 0 && story.waits.length === 0 && story.log.length === 0) {
    return emptyState("Its documents are gone.", "They were older than this listener keeps them.");
  }
  return section(
    "Its time",
    h("span.hint", null, "between two looks of the agent, only what the server itself remembers is known"),
    storyChart(story),
  );
}

/** @param {Story} story */
function happened(story) {
  const all = eventsOf(story);
  const events = all.length <= eventsMax ? all : all.filter(({ kind }) => kind !== "seen").slice(0, eventsMax);
  const firstMs = events[0]?.atMs ?? story.firstMs;
  return section(
    "What happened",
    null,
    h("ol.events", null, ...collapsed(events).map((event, index) => item(event, firstMs, index))),
  );
}

/** Sightings of the same, one after the other, become one. @param {StoryEvent[]} events */
function collapsed(events) {
  /** @type {(StoryEvent & { times: number, lastMs: number })[]} */
  const shown = [];
  for (const event of events) {
    const before = shown.at(-1);
    if (event.kind === "seen" && before?.kind === "seen" && before.words === event.words) {
      before.times++;
      before.lastMs = event.atMs;
    } else shown.push({ ...event, times: 1, lastMs: event.atMs });
  }
  return shown;
}

/**
 * @param {StoryEvent & { times: number, lastMs: number }} event
 * @param {number} firstMs
 * @param {number} index
 */
function item(event, firstMs, index) {
  const { atMs, kind, words, correlationId, otherPid, statement, statementId, line, times, lastMs } = event;
  const other = otherPid === undefined
    ? null
    : correlationId === null || correlationId === undefined
    ? `process ${otherPid}`
    : h("span", null, "request ", requestLink(correlationId, `event-${index}`));
  const sentence = kind === "held"
    ? [h("span.capital", null, other), " ", words]
    : kind === "wait"
    ? [words, " ", other, "."]
    : [words];
  const again = times > 1 ? ` ${times} times until ${clock(lastMs)}.` : null;
  return h(
    "li",
    { "data-kind": kind },
    h("time", { datetime: new Date(atMs).toISOString(), title: exactClock(atMs) }, exactClock(atMs)),
    h("span.offset", null, atMs === firstMs ? "" : `+${duration(atMs - firstMs)}`),
    h(
      "div.event",
      null,
      line === undefined ? h("p", null, ...sentence, again) : logLine(line, index),
      statement ? h("pre.sql", null, statement) : null,
      statementId
        ? h(
          "a",
          { href: addressOf("statements", { subject: String(statementId) }), "data-key": `history-${index}` },
          "History of this statement",
        )
        : null,
    ),
  );
}

/**
 * @param {NonNullable<StoryEvent["line"]>} line
 * @param {number} index
 */
function logLine({ entry, n, i }, index) {
  const { level, sqlstate, message } = entry;
  return h(
    "details",
    { "data-key": `line-${n}-${i}-${index}`, open: sqlstate === "40P01" },
    h(
      "summary",
      null,
      h("span.level", { "data-level": level }, level),
      " ",
      sqlstate === null ? null : h("span.sqlstate", null, `${sqlstate} `),
      message,
    ),
    entryDetails(entry),
  );
}

/** The lines that the waits above were read from, as they are. @param {Story["log"]} log */
function lockLines(log) {
  const lines = log.filter(({ tellsOfWait, entry }) => tellsOfWait && entry.level === "LOG");
  if (lines.length === 0) return null;
  return h(
    "details.evidence",
    { "data-key": "lock-lines" },
    h("summary", null, `What the log says of its waits: ${plural(lines.length, "line")}`),
    ...lines.map((line, index) => h("div", null, h("time", null, exactClock(line.atMs)), " ", logLine(line, -index))),
  );
}

/** @param {Story} story */
function rest({ truncated, documents, processes, log }) {
  const doubtful = processes.some((process) => process.doubtful);
  return h(
    "div",
    null,
    lockLines(log),
    doubtful
      ? h(
        "p.hint",
        null,
        "Some sightings are doubtful: a connection pooler may have left this request's name on a connection that served another.",
      )
      : null,
    h(
      "p.hint",
      null,
      `Told by ${plural(documents, "document")}${
        truncated ? "; there are more, which are left out" : ""
      }. Open it from anywhere by its address.`,
    ),
  );
}

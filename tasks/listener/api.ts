/**
 * What the page asks: every answer is read from the database, bounded, and JSON. docs/listener.md lists them.
 *
 * @module
 */

import { type Context, Hono } from "hono";
import { streamSSE } from "hono/streaming";
import type { Database } from "./database.ts";
import { statementOrders } from "./extract_statements.ts";
import { logLevels } from "./extract_log.ts";
import type { Live, News } from "./live.ts";
import * as limits from "./limits.ts";
import { type Parameters, readInteger, readSpan, readText, readWord } from "./parameters.ts";
import { agents, servers } from "./queries/agents.ts";
import { documentOfId } from "./queries/documents.ts";
import { logEntries, logEntry } from "./queries/log.ts";
import { now } from "./queries/now.ts";
import { requestKinds, requests } from "./queries/requests.ts";
import { series } from "./queries/series.ts";
import { statementHistory, statements } from "./queries/statements.ts";
import { story } from "./queries/story.ts";
import { Refusal } from "./refusal.ts";

/** What the API reads from. */
export interface ApiParts {
  database: Database;
  live: Live;
  nowMs: () => number;
  /** Aborted when the listener stops: streams end. */
  stop: AbortSignal;
}

const uuid = /^(?:bitville-)?([a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12})$/;
const idMax = Number.MAX_SAFE_INTEGER;
const severities = [...logLevels];

/** The routes below `/api`. */
export function createApi({ database, live, nowMs, stop }: ApiParts): Hono {
  const api = new Hono();
  const read = (context: Context): Parameters => (name) => context.req.query(name);
  const agent = (context: Context) => readInteger(read(context), "agent", { min: 1, max: idMax });
  const span = (context: Context) => ({
    ...readSpan(read(context), nowMs()),
    points: readInteger(read(context), "points", { min: 10, max: limits.pointsMax, otherwise: 1_000 }),
  });
  api.get("/servers", (context) => context.json({ nowMs: nowMs(), servers: servers(database) }));
  api.get("/agents", (context) => context.json({ nowMs: nowMs(), agents: agents(database, nowMs()) }));
  api.get("/now", (context) => {
    const atMs = readInteger(read(context), "at", { min: 0, max: idMax, otherwise: nowMs() + limits.clockAheadMs });
    return context.json(now(database, agent(context), atMs));
  });
  api.get("/series", (context) => context.json(series(database, agent(context), span(context))));
  api.get("/statements", (context) => {
    const order = readWord(read(context), "order", statementOrders);
    const bounds = { min: 1, max: limits.statementsListedMax, otherwise: 100 };
    const limit = readInteger(read(context), "limit", bounds);
    return context.json(statements(database, agent(context), { ...span(context), order, limit }));
  });
  api.get("/statements/:id", (context) => {
    const id = readInteger((name) => context.req.param(name), "id", { min: 1, max: idMax });
    return context.json(known(statementHistory(database, id, span(context)), "statement"));
  });
  api.get("/log", (context) => {
    const filter = {
      ...span(context),
      severity: severities.indexOf(readWord(read(context), "level", severities)),
      sqlstate: readText(read(context), "sqlstate", 5).toUpperCase(),
      text: readText(read(context), "text", 200),
      limit: readInteger(read(context), "limit", { min: 1, max: limits.rowsMax, otherwise: 200 }),
    };
    return context.json(logEntries(database, agent(context), filter));
  });
  api.get("/log/:n/:i", (context) => {
    const part = (name: string) => readInteger((key) => context.req.param(key), name, { min: 0, max: idMax });
    return context.json(known(logEntry(database, { n: part("n"), i: part("i") }), "log entry"));
  });
  api.get("/requests", (context) => {
    const kind = readWord(read(context), "kind", requestKinds);
    const limit = readInteger(read(context), "limit", { min: 1, max: limits.rowsMax, otherwise: 100 });
    const prefix = readText(read(context), "prefix", 36).toLowerCase().replaceAll(/[^a-f0-9-]/g, "");
    return context.json({ requests: requests(database, { kind, prefix, limit }) });
  });
  api.get("/requests/:id", (context) => {
    const [, id] = uuid.exec(context.req.param("id").toLowerCase()) ?? [];
    if (id === undefined) throw new Refusal(400, "A request is named by a UUID, with or without bitville- before it");
    return context.json(known(story(database, id), "request"));
  });
  api.get(
    "/documents/:id",
    (context) => context.json(known(documentOfId(database, context.req.param("id")), "document")),
  );
  api.get("/live", (context) => streamLive(context, live, stop));
  return api;
}

function known<T>(found: T | null, what: string): T {
  if (found === null) throw new Refusal(404, `This ${what} is not known here: it may never have come, or be too old`);
  return found;
}

/** Sends an event for each batch of news, until the page goes away or the listener stops. */
function streamLive(context: Context, live: Live, stop: AbortSignal): Response {
  const waiting: News[] = [];
  let wake = () => {};
  const unlisten = live.listen((news) => {
    // A page that does not read gets one event for all that it has missed.
    if (waiting.length < 2) waiting.push(news);
    wake();
  });
  if (unlisten === null) throw new Refusal(503, "Too many pages are open", { "retry-after": "10" });
  return streamSSE(context, async (stream) => {
    const onStop = () => wake();
    stream.onAbort(onStop);
    stop.addEventListener("abort", onStop, { once: true });
    try {
      await stream.writeSSE({ event: "hello", data: "" });
      while (!stream.aborted && !stop.aborted) {
        const news = waiting.shift();
        if (news !== undefined) {
          await stream.writeSSE({ event: "documents", data: JSON.stringify(news) });
          continue;
        }
        const pulse = await new Promise<boolean>((resolve) => {
          const timer = setTimeout(() => resolve(true), limits.livePulseMs);
          wake = () => (clearTimeout(timer), resolve(false));
        });
        if (pulse) await stream.write(": still here\n\n");
      }
    } finally {
      unlisten();
      stop.removeEventListener("abort", onStop);
    }
  });
}

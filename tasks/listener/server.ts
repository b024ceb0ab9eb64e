/**
 * The listener's routes: documents come in at one, everything else is for its own page.
 *
 * @module
 */

import { type Context, Hono, type MiddlewareHandler } from "hono";
import { basicAuth } from "hono/basic-auth";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { secureHeaders } from "hono/secure-headers";
import { errorMessage } from "../../log.ts";
import { type ApiParts, createApi } from "./api.ts";
import { BodyBudget } from "./body_budget.ts";
import type { Intake } from "./intake.ts";
import type { Keys } from "./keys.ts";
import * as limits from "./limits.ts";
import { pageFiles } from "./page_files.ts";
import type { RateLimit } from "./rate_limit.ts";
import { Refusal } from "./refusal.ts";
import { readDelivered, readToken, refuseContent } from "./request.ts";
import type { Validate } from "./schemas.ts";

/** The path of the agent's `listener.url`. */
export const ingestPath = "/ingest/postgres";

/** What the routes need. */
export interface ServerParts extends ApiParts {
  keys: Keys;
  rateLimit: RateLimit;
  validate: Validate;
  intake: Intake;
  /** What opens the page; null when it is open to this machine alone. */
  pagePassword: string | null;
  /** Told of each delivery that is known already, and of each answer that is no success. */
  onDuplicate: () => void;
  onRefusal: (refusal: { status: number; reason: string }) => void;
  bodyMs?: number;
  bytesUnderWayMax?: number;
}

type Environment = { Bindings: { remoteAddr?: Deno.Addr } };

/** Makes the handler of all requests. */
export function createServer(parts: ServerParts): Hono<Environment> {
  const app = new Hono<Environment>();
  app.use(secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      styleSrc: ["'self'"],
      imgSrc: ["'self'"],
      connectSrc: ["'self'"],
      manifestSrc: ["'self'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
    },
    strictTransportSecurity: false,
    referrerPolicy: "no-referrer",
  }));
  app.get("/health", (context) => context.json({ status: "ok" }));
  app.get("/ready", (context) => {
    parts.database.get("SELECT count(*) FROM (SELECT 1 FROM document LIMIT 1)");
    if (parts.stop.aborted) throw new Refusal(503, "It is stopping");
    return context.json({ status: "ready" });
  });
  app.post(ingestPath, ingest(parts));
  app.all(ingestPath, () => {
    throw new Refusal(405, "Documents are sent by POST", { allow: "POST" });
  });
  app.use("*", parts.pagePassword === null ? onlyThisMachine : passwordOf(parts.pagePassword));
  app.route("/api", createApi(parts));
  for (const { path, type, body } of pageFiles) {
    app.get(path, (context) => context.body(body, 200, { "content-type": type, "cache-control": "no-cache" }));
  }
  app.notFound(() => {
    throw new Refusal(404, `There are ${ingestPath}, /health, /ready, the page / and /api`);
  });
  app.onError((error, context) => refuse(error, context, parts));
  return app;
}

function ingest(parts: ServerParts): (context: Context) => Promise<Response> {
  const { keys, rateLimit, validate, intake, bodyMs = limits.bodyMs } = parts;
  const budget = new BodyBudget(parts.bytesUnderWayMax ?? limits.bytesUnderWayMax);
  return async (context) => {
    const request = context.req.raw;
    const { token, projects } = readToken(request, keys);
    refuseContent(request);
    const waitS = rateLimit.take(token);
    if (waitS > 0) throw new Refusal(429, "This key delivers too fast", { "retry-after": String(waitS) });
    using share = budget.open();
    const delivered = await readDelivered(request, share, { projects, validate, bodyMs });
    const taken = await intake.take(delivered);
    if (taken === "duplicate") parts.onDuplicate();
    return context.json({ status: taken }, 202);
  };
}

async function refuse(error: Error, context: Context, parts: ServerParts): Promise<Response> {
  // What asks for the page's password is hono's.
  if (error instanceof HTTPException) return error.getResponse();
  const { status, headers } = error instanceof Refusal ? error : new Refusal(500, "");
  const reason = errorMessage(error);
  parts.onRefusal({ status, reason });
  const request = context.req.raw;
  // The rest of a body that nobody will read.
  if (!request.bodyUsed) await request.body?.cancel();
  return context.json({ status: "refused", reason }, status as ContentfulStatusCode, headers);
}

function passwordOf(password: string): MiddlewareHandler {
  return basicAuth({ username: "bitville", password, realm: "Bitville listener" });
}

const loopback = /^(?:127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+)$/;
const loopbackHost = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/i;

/**
 * The page shows texts of queries. Without a password it is for browsers on this machine, and only under a name of this
 * machine: a foreign site whose name has been made to lead here sends its own.
 */
async function onlyThisMachine(context: Context<Environment>, next: () => Promise<void>): Promise<void> {
  const address = context.env.remoteAddr;
  const isHere = address !== undefined && "hostname" in address && loopback.test(address.hostname);
  if (!isHere || !loopbackHost.test(context.req.header("host") ?? "")) {
    throw new Refusal(403, "Without --page-password-file the page is open to this machine alone, as localhost");
  }
  await next();
}

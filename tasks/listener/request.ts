/**
 * From a request to a document, or to the answer that says why not. What is cheap to check comes first, and nothing of a
 * body is read for somebody without a key.
 *
 * @module
 */

import { decompress } from "../../transport/gzip.ts";
import type { BodyShare } from "./body_budget.ts";
import type { Keys } from "./keys.ts";
import { anyProject } from "./keys.ts";
import * as limits from "./limits.ts";
import { Refusal } from "./refusal.ts";
import type { Validate, WireDocument } from "./schemas.ts";

/** A document as it came: its JSON compressed, for storing, and its size before. */
export interface Delivered {
  document: WireDocument;
  /** As the agent has compressed it; null when it has not. */
  gzip: Uint8Array | null;
  /** The JSON. */
  json: Uint8Array;
}

/** The token of the request, and the projects that it opens. Throws a {@link Refusal} unless there is one. */
export function readToken(request: Request, keys: Keys): { token: string; projects: string[] } {
  const token = /^Bearer (.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
  const projects = keys.projectsOf(token);
  if (projects.length === 0) {
    throw new Refusal(401, "The key is missing or wrong", { "www-authenticate": "Bearer" });
  }
  return { token, projects };
}

/** Throws a {@link Refusal} unless the headers that tell of the body are right. */
export function refuseContent(request: Request): void {
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) throw new Refusal(415, "Content-Type must be application/json");
  if (!["identity", "gzip"].includes(encodingOf(request))) {
    throw new Refusal(415, "Content-Encoding must be gzip or absent", { "accept-encoding": "gzip" });
  }
  if (Number(request.headers.get("content-length") ?? 0) > limits.bodyBytesMax) throw tooLarge();
}

/** What a document is held against. */
export interface Checks {
  projects: readonly string[];
  validate: Validate;
  bodyMs: number;
}

/** Reads and checks the body. Throws a {@link Refusal}. */
export async function readDelivered(request: Request, share: BodyShare, checks: Checks): Promise<Delivered> {
  const body = await readBody(request, share, checks.bodyMs);
  const isGzip = encodingOf(request) === "gzip";
  const json = isGzip ? await unpack(body) : body;
  if (isGzip) share.grow(json.length);
  const document = parse(json);
  const problem = checks.validate(document);
  if (problem !== null) throw new Refusal(422, problem);
  refuseIdentity(request, document as WireDocument, checks.projects);
  return { document: document as WireDocument, gzip: isGzip ? body : null, json };
}

function refuseIdentity(request: Request, document: WireDocument, projects: readonly string[]): void {
  const { id, project, timestamp } = document;
  if (request.headers.get("idempotency-key") !== id) {
    throw new Refusal(422, "The header Idempotency-Key must equal the document's id");
  }
  if (!projects.includes(anyProject) && !projects.includes(project)) {
    throw new Refusal(403, "The key is not one of this document's project");
  }
  if (Number.isNaN(Date.parse(timestamp))) throw new Refusal(422, "/timestamp must be a time that there is");
}

async function readBody(request: Request, share: BodyShare, bodyMs: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const announced = Number(request.headers.get("content-length") ?? limits.unknownBodyBytes);
  share.grow(announced);
  const reader = request.body?.getReader();
  const overdue = setTimeout(() => void reader?.cancel(new Refusal(408, "")), bodyMs);
  const deadlineMs = performance.now() + bodyMs;
  try {
    for (;;) {
      const part = await reader?.read();
      if (part === undefined || part.done) break;
      length += part.value.length;
      if (length > limits.bodyBytesMax) throw tooLarge();
      if (length > announced) share.grow(part.value.length);
      parts.push(part.value);
    }
  } finally {
    clearTimeout(overdue);
    reader?.releaseLock();
  }
  if (performance.now() >= deadlineMs) throw new Refusal(408, `A body must have come within ${bodyMs / 1_000} s`);
  return joined(parts, length);
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const body = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    body.set(part, offset);
    offset += part.length;
  }
  return body;
}

async function unpack(body: Uint8Array): Promise<Uint8Array> {
  try {
    return await decompress(body, limits.bodyBytesMax);
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge();
    throw new Refusal(400, "The body is not gzip, as Content-Encoding says it is");
  }
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw new Refusal(400, "The body is not JSON in UTF-8");
  }
}

function encodingOf(request: Request): string {
  return request.headers.get("content-encoding")?.toLowerCase() ?? "identity";
}

function tooLarge(): Refusal {
  return new Refusal(413, `A body may have ${limits.bodyBytesMax} bytes, before and after decompression`);
}

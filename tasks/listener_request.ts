/**
 * Of the reference listener: from a request to a document, or to the answer that says why not. What is cheap to check
 * comes first, and nothing of a body is read for somebody without the key.
 *
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";
import { decompress } from "../transport/gzip.ts";
import type { Validate, WireDocument } from "./listener_schemas.ts";

/** Of a body, compressed and not: above the largest document that an agent sends (16 MiB). */
export const bodyBytesMax = 20 * 1024 * 1024;

/** An answer that is not 202: the sender's mistake. The message is for the sender to read. */
export class Refusal extends Error {
  readonly status: number;
  readonly headers: Record<string, string>;

  constructor(status: number, reason: string, headers: Record<string, string> = {}) {
    super(reason);
    this.name = "Refusal";
    this.status = status;
    this.headers = headers;
  }
}

/** Throws a {@link Refusal} unless method, key and content headers are right. */
export function refuseHeaders(request: Request, apiKey: string): void {
  if (request.method !== "POST") throw new Refusal(405, "Documents are sent by POST", { allow: "POST" });
  const token = /^Bearer (.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  if (token === undefined || !isSameSecret(token, apiKey)) {
    throw new Refusal(401, "The key is missing or wrong", { "www-authenticate": "Bearer" });
  }
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json\s*(;|$)/i.test(type)) throw new Refusal(415, "Content-Type must be application/json");
  if (!["identity", "gzip"].includes(encodingOf(request))) {
    throw new Refusal(415, "Content-Encoding must be gzip or absent", { "accept-encoding": "gzip" });
  }
  if (Number(request.headers.get("content-length") ?? 0) > bodyBytesMax) throw tooLarge();
}

/** Reads and checks the body. Throws a {@link Refusal}. */
export async function readDocument(request: Request, validate: Validate): Promise<WireDocument> {
  const document = parse(await readBody(request));
  const problem = validate(document);
  if (problem !== null) throw new Refusal(422, problem);
  const { id } = document as WireDocument;
  if (request.headers.get("idempotency-key") !== id) {
    throw new Refusal(422, "The header Idempotency-Key must equal the document's id");
  }
  return document as WireDocument;
}

async function readBody(request: Request): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request.body ?? []) {
    length += part.length;
    if (length > bodyBytesMax) throw tooLarge();
    parts.push(part);
  }
  const body = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    body.set(part, offset);
    offset += part.length;
  }
  return encodingOf(request) === "gzip" ? await unpack(body) : body;
}

async function unpack(body: Uint8Array): Promise<Uint8Array> {
  try {
    return await decompress(body, bodyBytesMax);
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
  return new Refusal(413, `A body may have ${bodyBytesMax} bytes, before and after decompression`);
}

/** Takes equally long wherever the two differ. Digests, because the comparison needs equal lengths. */
function isSameSecret(given: string, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected));
}

function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

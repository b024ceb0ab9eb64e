/**
 * Documents for tests of the transport, and the way back from what was stored.
 *
 * @module
 */

import * as limits from "../../limits.ts";
import { createSeal, type Draft, type Seal } from "../../transport/envelope.ts";
import { decompress } from "../../transport/gzip.ts";
import type { OutboxEntry } from "../../transport/outbox.ts";

/** A document that holds `name`, and random bytes so that compression leaves about `bytes`. */
export function draftOf(name: string, bytes = 0): Draft {
  return {
    type: "test",
    timestamp: new Date("2026-11-21T03:00:00.000Z"),
    data: { name, filling: incompressible(bytes) },
  };
}

/** Seals as the agent does. */
export function testSeal(): Seal {
  return createSeal({ project: "tests", host: "tests", version: "0.0.0" }, { now: () => new Date() });
}

/** What is in a stored document. */
export async function readEntry(entry: OutboxEntry): Promise<{ id: string; sequence: number; data: { name: string } }> {
  return JSON.parse(new TextDecoder().decode(await decompress(entry.gzip, limits.documentBytesMax)));
}

/** Base64 of random bytes: gzip brings it back to the random bytes' number. */
function incompressible(bytes: number): string {
  const parts: string[] = [];
  for (let left = bytes; left > 0; left -= 30_000) {
    const part = crypto.getRandomValues(new Uint8Array(Math.min(left, 30_000)));
    parts.push(btoa(String.fromCharCode(...part)));
  }
  return parts.join("");
}

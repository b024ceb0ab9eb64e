/**
 * Compression of documents: what is stored, and what is sent where the listener takes it.
 *
 * @module
 */

import { promisify } from "node:util";
import { gunzip, gunzipSync, gzip, gzipSync } from "node:zlib";
import { gzipChunkBytes, gzipInlineBytesMax, gzipSmallBytesMax } from "../limits.ts";

const gzipBytes = promisify(gzip) as (bytes: Uint8Array, options: { level: number }) => Promise<Buffer>;
const gunzipBytes = promisify(gunzip) as (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer>;

type Buffer = ReturnType<typeof gunzipSync>;

/**
 * Of zlib's levels the one from which on time grows faster than size falls: for 250 KB of documents 1.06 ms and 62 KB,
 * where level 1 takes 0.71 ms for 84 KB and level 3 takes 1.30 ms for 58 KB (docs/performance.md).
 */
const usualLevel = 2;
const hurriedLevel = 1;

/** A window of 8 KB and little beside it: the usual 268 KB are taken from the system anew for each document. */
const smallState = { windowBits: 13, memLevel: 5 };

/** Compresses bytes, ten to one and more for typical documents; in a hurry to a third more in half the time. */
export async function compress(bytes: Uint8Array, { isHurried = false } = {}): Promise<Uint8Array<ArrayBuffer>> {
  const level = isHurried ? hurriedLevel : usualLevel;
  if (bytes.length > gzipInlineBytesMax) return viewOf(await gzipBytes(bytes, { level }));
  const options = bytes.length <= gzipSmallBytesMax ? { level, ...smallState } : { level, chunkSize: gzipChunkBytes };
  // A copy: the buffer behind what comes of it at once has 16 KB, however small it is.
  return new Uint8Array(gzipSync(bytes, options));
}

/** The bytes that were compressed. Throws when they are not gzip, or come to more than `bytesMax`. */
export async function decompress(bytes: Uint8Array, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const options = { maxOutputLength: bytesMax };
  if (bytes.length <= gzipInlineBytesMax / 4) return viewOf(gunzipSync(bytes, options));
  return viewOf(await gunzipBytes(bytes, options));
}

/** The same bytes without Node's class around them: Deno KV stores a Buffer as an object. */
function viewOf(buffer: Buffer): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer.buffer as ArrayBuffer, buffer.byteOffset, buffer.byteLength);
}

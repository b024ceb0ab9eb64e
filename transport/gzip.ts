/**
 * Compression of documents: what is stored, and what is sent where the listener takes it.
 *
 * @module
 */

import { promisify } from "node:util";
import { gunzip, type gunzipSync, gzip } from "node:zlib";

const gzipBytes = promisify(gzip) as (bytes: Uint8Array, options: { level: number }) => Promise<Buffer>;
const gunzipBytes = promisify(gunzip) as (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer>;

type Buffer = ReturnType<typeof gunzipSync>;

/**
 * Of zlib's levels the one from which on time grows faster than size falls: for a document of log entries 0.14 ms and
 * 29 to one, where the usual level 6 takes 0.34 ms for 39 to one (docs/performance.md).
 */
const level = 3;

/** Compresses bytes. Ten to one and more for typical documents. */
export async function compress(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  return viewOf(await gzipBytes(bytes, { level }));
}

/** The bytes that were compressed. Throws when they are not gzip, or come to more than `bytesMax`. */
export async function decompress(bytes: Uint8Array, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  return viewOf(await gunzipBytes(bytes, { maxOutputLength: bytesMax }));
}

/** The same bytes without Node's class around them: Deno KV stores a Buffer as an object. */
function viewOf(buffer: Buffer): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer.buffer as ArrayBuffer, buffer.byteOffset, buffer.byteLength);
}

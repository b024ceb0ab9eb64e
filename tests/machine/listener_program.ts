/**
 * A listener inside a machine's network: prints one line a document that it takes, and answers as it is told by lines on
 * its input, each a status.
 *
 * @module
 */

import { gunzipSync } from "node:zlib";

let status = 202;
const decoder = new TextDecoder();

Deno.serve({ hostname: "127.0.0.1", port: Number(Deno.args[0]), onListen: () => console.log("{}") }, take);
for await (const piece of Deno.stdin.readable) status = Number(decoder.decode(piece).trim().split("\n").at(-1));
Deno.exit(0);

async function take(request: Request): Promise<Response> {
  const bytes = new Uint8Array(await request.arrayBuffer());
  const text = decoder.decode(request.headers.get("content-encoding") === "gzip" ? gunzipSync(bytes) : bytes);
  if (status === 202) console.log(JSON.stringify({ key: request.headers.get("authorization"), ...JSON.parse(text) }));
  return new Response(null, { status });
}

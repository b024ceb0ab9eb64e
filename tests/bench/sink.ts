/**
 * A listener that takes everything and keeps figures only, in a process of its own so that its memory is not the
 * agent's. Prints its URL; answers GET with the figures.
 *
 * @module
 */

/** What arrived, by type of document, and of each `agent_status` what the bench needs. */
export interface SinkReport {
  types: Record<string, { documents: number; bytesMedian: number; bytesMax: number; rowsMax: number }>;
  statuses: {
    atMs: number;
    timeMs: number;
    cpuS: number;
    rssBytes: number;
    missed: number;
    collectors: { name: string; ok: boolean; durationMs: number; rows: number; every: number }[];
  }[];
}

const sizes = new Map<string, { bytes: number[]; rowsMax: number }>();
const statuses: SinkReport["statuses"] = [];

if (import.meta.main) {
  Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: ({ port }) => console.log(`http://127.0.0.1:${port}/ingest/postgres`),
  }, async (request) => {
    if (request.method === "GET") return Response.json(report());
    take(await request.text());
    return new Response(null, { status: 202 });
  });
}

function take(body: string): void {
  const { type, data } = JSON.parse(body);
  const size = sizes.get(type) ?? { bytes: [], rowsMax: 0 };
  sizes.set(type, size);
  size.bytes.push(new TextEncoder().encode(body).length);
  size.rowsMax = Math.max(size.rowsMax, data.count ?? 1);
  if (type !== "agent_status") return;
  const collectors = data.collectors.map((one: Record<string, unknown>) => {
    const { name, ok, duration_ms: durationMs, rows, every } = one;
    return { name, ok, durationMs, rows, every };
  });
  const { cpu_s: cpuS, rss_bytes: rssBytes } = data.process;
  const [timeMs, missed] = [data.database.time_ms, data.loss.missed_runs];
  statuses.push({ atMs: performance.now(), timeMs, cpuS, rssBytes, missed, collectors });
}

function report(): SinkReport {
  const types = [...sizes].map(([type, { bytes, rowsMax }]) => {
    const sorted = bytes.toSorted((one, other) => one - other);
    const bytesMedian = sorted[Math.floor(sorted.length / 2)]!;
    return [type, { documents: bytes.length, bytesMedian, bytesMax: sorted.at(-1)!, rowsMax }] as const;
  });
  return { types: Object.fromEntries(types), statuses };
}

/**
 * A listener that takes everything and keeps figures only, in a process of its own so that its memory is not the
 * agent's. Prints its URL; answers GET with the figures.
 *
 * @module
 */

/** What arrived, and of each `agent_status` what the bench needs. Times are of the machine's clock. */
export interface SinkReport {
  firstAtMs: number | null;
  documents: number;
  bytes: number;
  statuses: { cpuS: number; missed: number; failed: string[] }[];
  /** When a line of a log arrived, by the `bench-line-…` in it. */
  lines: Record<string, number>;
}

const report: SinkReport = { firstAtMs: null, documents: 0, bytes: 0, statuses: [], lines: {} };

if (import.meta.main) {
  Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen: ({ port }) => console.log(`http://127.0.0.1:${port}/ingest/postgres`),
  }, async (request) => {
    if (request.method === "GET") return Response.json(report);
    take(new Uint8Array(await request.arrayBuffer()));
    return new Response(null, { status: 202 });
  });
}

function take(bytes: Uint8Array): void {
  report.firstAtMs ??= Date.now();
  report.documents += 1;
  report.bytes += bytes.length;
  const body = new TextDecoder().decode(bytes);
  const beginning = body.slice(0, 400);
  if (beginning.includes('"type":"pg_log"')) {
    for (const [line] of body.matchAll(/bench-line-\d+/g)) report.lines[line] ??= Date.now();
  }
  if (!beginning.includes('"type":"agent_status"')) return;
  const { data } = JSON.parse(body);
  report.statuses.push({
    cpuS: data.process.cpu_s,
    missed: data.loss.missed_runs,
    failed: data.collectors.filter(({ ok }: { ok: boolean }) => !ok).map(({ error }: { error: string }) => error),
  });
}

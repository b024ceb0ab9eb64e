/**
 * What of a document the page asks for by time, by request or by statement: small rows beside the document, which is
 * kept whole. Types that nobody knows here have none, and are stored all the same.
 *
 * @module
 */

import { activityExtract, locksExtract } from "./extract_activity.ts";
import { burstExtract, burstType } from "./extract_burst.ts";
import { logExtract } from "./extract_log.ts";
import type { Extract, LossRange } from "./extract_shapes.ts";
import { statementsExtract } from "./extract_statements.ts";
import type { WireDocument } from "./schemas.ts";

/** The types whose documents have figures. */
export const figureTypes = ["pg_stat_activity", "pg_locks", "system_metrics", "agent_status"] as const;

/** Takes out of a document's `data` what a type has for the page. The data has been held against its schema. */
export function extract(document: WireDocument, atMs: number): Extract {
  const nothing: Extract = { figures: null, moments: [], sightings: [], statements: [], log: [], losses: [] };
  const one = Object.hasOwn(extractors, document.type) ? extractors[document.type]! : () => ({});
  return { ...nothing, ...one(document.data as never, atMs) };
}

const extractors: Record<string, (data: never, atMs: number) => Partial<Extract>> = {
  pg_stat_activity: activityExtract,
  pg_locks: locksExtract,
  pg_stat_statements: statementsExtract,
  system_metrics: systemExtract,
  agent_status: statusExtract,
  pg_log: logExtract,
  [burstType]: burstExtract,
};

type Stall = { some: { avg10: number } | null } | null;

interface SystemData {
  cpu: { percent: number | null; count: number | null; load_average: number[] | null } | null;
  memory: { total: number; used: number; percent: number } | null;
  disk_io: { read_bytes: number; write_bytes: number } | null;
  network_io: { bytes_sent: number; bytes_recv: number } | null;
  pressure: { cpu: Stall; memory: Stall; io: Stall } | null;
}

function systemExtract(data: SystemData): Partial<Extract> {
  const { cpu, memory, disk_io: disk, network_io: network, pressure } = data;
  return {
    figures: onlyNumbers({
      cpu_percent: cpu?.percent,
      load: cpu?.load_average?.[0],
      memory_percent: memory?.percent,
      disk_read: disk?.read_bytes,
      disk_write: disk?.write_bytes,
      network_sent: network?.bytes_sent,
      network_recv: network?.bytes_recv,
      pressure_cpu: pressure?.cpu?.some?.avg10,
      pressure_memory: pressure?.memory?.some?.avg10,
      pressure_io: pressure?.io?.some?.avg10,
    }),
  };
}

interface StatusData {
  buffer: { records: number; bytes: number };
  loss: {
    evicted_records: number;
    rejected_records: number;
    quarantined_records: number;
    unstored_records: number;
    ranges: LossRange[];
  };
  database: { time_ms: number; connections: number };
  process: { rss_bytes: number };
}

function statusExtract({ buffer, loss, database, process }: StatusData): Partial<Extract> {
  return {
    figures: {
      buffered: buffer.records,
      buffered_bytes: buffer.bytes,
      lost: loss.evicted_records + loss.rejected_records + loss.quarantined_records + loss.unstored_records,
      database_ms: database.time_ms,
      rss_bytes: process.rss_bytes,
    },
    losses: loss.ranges.map(({ reason, from, to, records }) => ({ reason, from, to, records })),
  };
}

function onlyNumbers(values: Record<string, number | null | undefined>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).filter((pair): pair is [string, number] => typeof pair[1] === "number"),
  );
}

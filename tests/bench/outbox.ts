/**
 * How fast documents are stored and drained, and what of it reaches the disk, beside bare sets of Deno KV.
 *
 * @module
 */

import type { Figure } from "./figures.ts";
import type { StoreReport } from "./programs/store_documents.ts";
import { programPath } from "./service.ts";

const sizes = [
  { name: "4 KB", bytes: 4_000, share: 1 },
  { name: "32 KB", bytes: 32_000, share: 0.5 },
  { name: "250 KB", bytes: 250_000, share: 0.2 },
];

/** `documents` are as many as are stored of the smallest size in a run; of larger ones fewer. */
export async function measureOutbox({ runs, documents }: { runs: number; documents: number }): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const { name, bytes, share } of sizes) {
    const report = await store({ bytes, documents: Math.round(documents * share), runs });
    const reference = { name: "bare KV sets", values: report.bareStored };
    const written = { name: "bare KV sets", values: report.bareWrittenPerByte };
    figures.push(
      { name: `outbox/${name}/stored`, unit: "/s", values: report.stored, reference },
      { name: `outbox/${name}/drained`, unit: "/s", values: report.drained },
      {
        name: `outbox/${name}/written per byte stored`,
        unit: "B",
        values: report.writtenPerByte,
        reference: written,
      },
    );
  }
  return figures;
}

async function store(options: { bytes: number; documents: number; runs: number }): Promise<StoreReport> {
  const folder = await Deno.makeTempDir();
  try {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--unstable-kv", "--allow-all", programPath("store_documents.ts"), folder],
        ...[options.bytes, options.documents, options.runs].map(String),
      ],
      stderr: "inherit",
    }).output();
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

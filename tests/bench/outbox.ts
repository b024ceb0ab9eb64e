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

/** Documents of the agent as they come in life, and what is hardest: nothing to compress, nothing to share a commit. */
const kinds = [
  { kind: "agent", atOnce: 5, name: "" },
  { kind: "random", atOnce: 1, name: "/random text, one by one" },
];

/** `documents` are as many as are stored of the smallest size in a run; of larger ones fewer. */
export async function measureOutbox({ runs, documents }: { runs: number; documents: number }): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const { kind, atOnce, name } of kinds) {
    for (const { name: size, bytes, share } of sizes) {
      const report = await store({ bytes, documents: Math.round(documents * share), runs, kind, atOnce });
      figures.push(...figuresOf(`outbox/${size}${name}`, report));
    }
  }
  return figures;
}

function figuresOf(name: string, report: StoreReport): Figure[] {
  const bare = "bare KV sets";
  return [
    {
      name: `${name}/stored`,
      unit: "/s",
      values: report.stored,
      reference: { name: bare, values: report.bareStored },
    },
    { name: `${name}/drained`, unit: "/s", values: report.drained },
    {
      name: `${name}/written per byte stored`,
      unit: "B",
      values: report.writtenPerByte,
      reference: { name: bare, values: report.bareWrittenPerByte },
    },
    { name: `${name}/compressed to`, unit: "B", values: [report.compressedTo] },
  ];
}

interface StoreOptions {
  bytes: number;
  documents: number;
  runs: number;
  kind: string;
  atOnce: number;
}

async function store({ bytes, documents, runs, kind, atOnce }: StoreOptions): Promise<StoreReport> {
  const folder = await Deno.makeTempDir();
  try {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--unstable-kv", "--allow-all", programPath("store_documents.ts"), folder],
        ...[bytes, documents, runs, kind, atOnce].map(String),
      ],
      stderr: "inherit",
    }).output();
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

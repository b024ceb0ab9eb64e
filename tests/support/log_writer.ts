/**
 * A program that writes a server's log as PostgreSQL does, at a given speed, and rotates it in every way there is:
 * `log_writer.ts FOLDER --rate=MB/s --seconds=N --rotate=SECONDS --seed=N`. What it says on stdout, one JSON object a
 * line, is the ground truth: which entries each generation of the log was given, and what became of it.
 *
 * @module
 */

import { join } from "node:path";
import { parseArgs } from "node:util";
import { seededRandom } from "./seeded_random.ts";

/** How a generation ends: as the programs of the world do it. */
export const rotations = ["rename", "copytruncate", "new name", "truncate"] as const;
export type Rotation = typeof rotations[number];

/** A generation that has ended: its entries are those from `first` to before `next`. */
export interface WrittenGeneration {
  first: number;
  next: number;
  bytes: number;
  /** `none` for the last one, which stays. After `truncate` nothing is left of it. */
  end: Rotation | "none";
}

/** The prefix of all lines: one that is found out from the file. */
const prefix = "%m [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ";
const words = "select update orders customers stock total where id between join limit returning value".split(" ");
/** What one write holds, as a pipe does. */
const blockChars = 64 * 1024;
/** Files that logrotate would keep: more than any run makes. */
const keptMax = 40;

/** The lines of one entry, which depend on its number alone; `at` is their time. */
function entryText(number: number, at: string): string {
  const random = seededRandom(number);
  const chosen = Math.floor(random() * 40);
  const app = chosen === 0 ? `bitville-${uuidOf(number)}` : "web";
  const start = prefix.replace("%m", at).replace("%p", `${1_000 + number % 50}`).replace("%l", `${number}`)
    .replace("%u", "app").replace("%d", "shop").replace("%a", app).replace("%h", "[local]");
  const words = wordsOf(random, 20 + Math.floor(random() ** 3 * 180));
  if (chosen < 4) return `${start}LOG:  no ${number} statement: ${words}\n\t${wordsOf(random, 9)}\n\t\tend ${number}\n`;
  if (chosen < 8) {
    return `${start}ERROR:  no ${number} ${words}\n${start}DETAIL:  detail ${number} é\n` +
      `${start}STATEMENT:  select ${number},\n\t${wordsOf(random, 6)}\n`;
  }
  return `${start}LOG:  no ${number} duration: ${(random() * 90).toFixed(3)} ms  ${words}\n`;
}

function wordsOf(random: () => number, count: number): string {
  return Array.from({ length: count }, () => words[Math.floor(random() * words.length)]).join(" ");
}

function uuidOf(number: number): string {
  return `0b0e8a3e-7a3a-4a53-9d55-${number.toString(16).padStart(12, "0")}`;
}

/** A log that is written and rotated. */
class LogWriter {
  #next = 0;
  #first = 0;
  #bytes = 0;
  #names = 0;
  #path: string;
  #file: Deno.FsFile;

  constructor(readonly folder: string) {
    this.#path = this.#newName();
    this.#file = open(this.#path);
  }

  /** Writes a block and returns its bytes. */
  write(): number {
    const at = new Date().toISOString().replace("T", " ").replace("Z", " UTC");
    let text = "";
    while (text.length < blockChars) text += entryText(this.#next++, at);
    const bytes = encoder.encode(text);
    for (let written = 0; written < bytes.length;) written += this.#file.writeSync(bytes.subarray(written));
    this.#bytes += bytes.length;
    return bytes.length;
  }

  /** Ends the generation. Nothing is written meanwhile, so that nothing but a truncation takes anything away. */
  rotate(end: Rotation): void {
    if (end === "rename" || end === "copytruncate") this.#shift();
    if (end === "rename") Deno.renameSync(this.#path, `${this.#path}.1`);
    else if (end === "copytruncate") Deno.copyFileSync(this.#path, `${this.#path}.1`);
    this.#say(end);
    if (end === "new name") this.#path = this.#newName();
    if (end === "rename" || end === "new name") this.#reopen();
    else this.#file.truncateSync(0);
  }

  close(): void {
    this.#say("none");
    this.#file.close();
  }

  #reopen(): void {
    this.#file.close();
    this.#file = open(this.#path);
  }

  #newName(): string {
    return join(this.folder, `postgresql-${++this.#names}.log`);
  }

  #shift(): void {
    for (let number = keptMax; number >= 1; number--) {
      try {
        Deno.renameSync(`${this.#path}.${number}`, `${this.#path}.${number + 1}`);
      } catch {
        // There are not so many yet.
      }
    }
  }

  #say(end: WrittenGeneration["end"]): void {
    const generation: WrittenGeneration = { first: this.#first, next: this.#next, bytes: this.#bytes, end };
    console.log(JSON.stringify(generation));
    [this.#first, this.#bytes] = [this.#next, 0];
  }
}

const encoder = new TextEncoder();

function open(path: string): Deno.FsFile {
  return Deno.openSync(path, { append: true, create: true });
}

async function main(): Promise<void> {
  const option = { type: "string" } as const;
  const { positionals: [folder = "."], values } = parseArgs({
    allowPositionals: true,
    options: { rate: option, seconds: option, rotate: option, seed: option },
  });
  const random = seededRandom(Number(values.seed));
  const [bytesPerMs, endMs, everyMs] = [
    Number(values.rate) * 1_000,
    Number(values.seconds) * 1_000,
    Number(values.rotate) * 1_000,
  ];
  const writer = new LogWriter(folder);
  const startMs = performance.now();
  // Each kind has its own rhythm, so that they come in every order.
  const due = rotations.map((kind) => ({ kind, atMs: everyMs * (0.2 + 0.8 * random()) }));
  for (let bytes = 0;;) {
    const elapsedMs = performance.now() - startMs;
    if (elapsedMs >= endMs) break;
    for (const rotation of due.filter(({ atMs }) => atMs <= elapsedMs)) {
      writer.rotate(rotation.kind);
      rotation.atMs += everyMs * (0.9 + 0.2 * random());
    }
    while (bytes < elapsedMs * bytesPerMs) bytes += writer.write();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  writer.close();
}

if (import.meta.main) await main();

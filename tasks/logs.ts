/**
 * `deno task logs FILE…`: reads PostgreSQL's log files offline with the parsers of the agent. Entries go to stdout, one
 * JSON object a line, a summary to stderr. Memory does not grow with the files.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { createLogParser, detectFormat, fittingPrefix, guessPrefix } from "../collectors/logs/detect.ts";
import type { LogEntryLevel } from "../collectors/logs/entry.ts";
import { type LogFormat, logFormats, type LogParser, type LogRecord } from "../collectors/logs/log_parser.ts";
import { defaultPrefix } from "../collectors/logs/prefix.ts";
import { TimeZone } from "../collectors/logs/timezone.ts";
import * as limits from "../limits.ts";
import { errorMessage } from "../log.ts";
import { givenPath } from "../paths.ts";
import { type CommandContext, exitClean, exitFailure } from "./command.ts";
import { refusalText } from "./help.ts";

/** What `--help` prints. */
export const help = `Usage: deno task logs FILE... [--format auto|${logFormats.join("|")}] [--prefix PREFIX]
                         [--timezone ZONE]
  Parses logs of PostgreSQL and prints an entry a line, a summary to stderr.
  FILE        - is stdin
  --prefix    log_line_prefix of the server; default '${defaultPrefix}', or what fits the file if that does not
  --timezone  log_timezone of the server, such as Europe/Paris: for times with an abbreviation such as CET
`;

/** Characters that are written at once. */
const printCharsMax = 64 * 1024;

/** What the arguments ask for. */
interface LogsOptions {
  files: string[];
  format: LogFormat | null;
  prefix: string | null;
  zone: TimeZone;
}

/** Reads a few bytes up to what fits; null at the end. */
type Read = (buffer: Uint8Array) => Promise<number | null>;

/** Answers 0 when every file was read to its end, else 1. */
export async function run(context: CommandContext): Promise<number> {
  let options: LogsOptions;
  try {
    options = readArguments(context.args);
  } catch (error) {
    context.printError(`${refusalText(error, help)}\n`);
    return exitFailure;
  }
  const summary = new Summary();
  let isWhole = true;
  for (const file of options.files) {
    try {
      await readFile(file, { options, summary, context });
    } catch (error) {
      // Whoever read the entries wants no more.
      if (error instanceof Deno.errors.BrokenPipe) return exitFailure;
      context.printError(`Cannot read ${file}: ${errorMessage(error)}\n`);
      isWhole = false;
    }
    if (context.stop.aborted) break;
  }
  context.printError(summary.text());
  return isWhole && !context.stop.aborted ? exitClean : exitFailure;
}

function readArguments(args: string[]): LogsOptions {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      format: { type: "string", default: "auto" },
      prefix: { type: "string" },
      timezone: { type: "string" },
    },
  });
  if (positionals.length === 0) throw new Error("Cannot read logs because no file is named");
  const format = logFormats.find((name) => name === values.format) ?? null;
  if (format === null && values.format !== "auto") {
    throw new Error(`Cannot read the format "${values.format}": it must be auto, ${logFormats.join(", ")}`);
  }
  return { files: positionals, format, prefix: values.prefix ?? null, zone: zoneOf(values.timezone) };
}

function zoneOf(name: string | undefined): TimeZone {
  try {
    return new TimeZone(name);
  } catch (cause) {
    throw new Error(`Cannot read times of "${name}": it must be a name such as Europe/Paris`, { cause });
  }
}

interface Reading {
  options: LogsOptions;
  summary: Summary;
  context: CommandContext;
}

async function readFile(file: string, reading: Reading): Promise<void> {
  if (file === "-") return await readAll((buffer) => Deno.stdin.read(buffer), { file, ...reading });
  using handle = await Deno.open(givenPath(file, reading.context.environment));
  await readAll((buffer) => handle.read(buffer), { file, ...reading });
}

async function readAll(read: Read, reading: Reading & { file: string }): Promise<void> {
  const { options, summary, context, file } = reading;
  const buffer = new Uint8Array(limits.logBlockBytes);
  const beginning = await fill(buffer, read);
  if (beginning[0] === 0x1f && beginning[1] === 0x8b) throw new Error("It is compressed: pass it through gunzip first");
  const { format, prefix } = chooseFormat(beginning, options);
  const parser = createLogParser(format, { file: file === "-" ? null : file, zone: options.zone, prefix });
  const startMs = performance.now();
  await print(parser.push(beginning), reading);
  for (let count = await read(buffer); count !== null && !context.stop.aborted; count = await read(buffer)) {
    await print(parser.push(buffer.subarray(0, count)), reading);
  }
  if (!context.stop.aborted) await print(parser.finish(), reading);
  summary.addFile({ file, format, prefix, parser, ms: performance.now() - startMs });
}

/** The format is told by the beginning; a pipe gives it in pieces. */
async function fill(buffer: Uint8Array, read: Read): Promise<Uint8Array> {
  let length = 0;
  while (length < buffer.length) {
    const count = await read(buffer.subarray(length));
    if (count === null) break;
    length += count;
  }
  return buffer.slice(0, length);
}

function chooseFormat(beginning: Uint8Array, options: LogsOptions): { format: LogFormat; prefix: string } {
  const format = options.format ?? detectFormat(beginning);
  if (options.prefix === null) return { format, prefix: guessPrefix(beginning) ?? defaultPrefix };
  // A blank at the end is easily lost.
  return { format, prefix: fittingPrefix(beginning, [`${options.prefix} `, options.prefix]) ?? options.prefix };
}

async function print(records: readonly LogRecord[], { summary, context }: Reading): Promise<void> {
  let text = "";
  for (const { entry } of records) {
    summary.addEntry(entry.level);
    text += JSON.stringify(entry) + "\n";
    if (text.length < printCharsMax) continue;
    await context.print(text);
    text = "";
  }
  if (text !== "") await context.print(text);
}

/** What has been read. */
class Summary {
  readonly #files: string[] = [];
  readonly #levels = new Map<LogEntryLevel, number>();
  #bytes = 0;
  #ms = 0;

  addEntry(level: LogEntryLevel): void {
    this.#levels.set(level, (this.#levels.get(level) ?? 0) + 1);
  }

  addFile(read: { file: string; format: LogFormat; prefix: string; parser: LogParser; ms: number }): void {
    const { file, format, prefix, parser, ms } = read;
    const { bytes, lines, blankLines, cutEntries, skippedBytes, unknownTimes } = parser.counts;
    const counts = [
      `${format}${format === "stderr" ? ` with prefix '${prefix}'` : ""}`,
      `${bytes} bytes`,
      `${lines} lines (${blankLines} blank)`,
      `${cutEntries} entries cut`,
      `${skippedBytes} bytes of overlong records skipped`,
      ...(unknownTimes > 0 ? [`${unknownTimes} times not understood (give --timezone)`] : []),
    ];
    this.#files.push(`${file}: ${counts.join(", ")}\n`);
    this.#bytes += bytes;
    this.#ms += ms;
  }

  text(): string {
    const entries = [...this.#levels.values()].reduce((sum, count) => sum + count, 0);
    const levels = [...this.#levels].map(([level, count]) => `${level} ${count}`).join(", ");
    const rate = this.#ms > 0 ? (this.#bytes / 1_000 / this.#ms).toFixed(1) : "0";
    return this.#files.join("") + `${this.#files.length} files, ${entries} entries${levels && ` (${levels})`}, ` +
      `${this.#bytes} bytes in ${(this.#ms / 1_000).toFixed(1)} s, ${rate} MB/s\n`;
  }
}

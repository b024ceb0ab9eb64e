/**
 * The arguments of `deno task listener`. Read twice: by what computes its permissions (`launch.ts`), and by itself.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { givenPath, join } from "../../paths.ts";
import * as limits from "./limits.ts";

/** What to say to arguments that make no sense. */
export const listenerUsage = `Usage: deno task listener [options]
  --host 127.0.0.1            address to listen at
  --port 8080
  --api-key demo-key          the key of all projects
  --keys-file PATH            instead of it: lines of "project = key"
  --data PATH                 folder of the database (default ~/.local/state/bitville-listener)
  --keep-days ${limits.retentionDaysDefault}               what is older is forgotten
  --max-size-mb ${limits.databaseMbDefault}          and the oldest, when the database is larger
  --page-password-file PATH   opens the page to other machines, for the user bitville
  --json                      print whole documents, one a line
`;

export interface ListenerArguments {
  host: string;
  port: number;
  apiKey: string;
  keysFile: string | null;
  pagePasswordFile: string | null;
  /** The folder of the database. */
  data: string;
  keepDays: number;
  megabytesMax: number;
  /** Whether to print whole documents, one a line. */
  json: boolean;
}

type Environment = (name: string) => string | undefined;

/**
 * Throws for arguments that make no sense, saying which. Paths are made absolute.
 */
export function readListenerArguments(args: readonly string[], environment: Environment): ListenerArguments {
  const values = parse(args);
  const empty = Object.entries(values).find(([, value]) => value === "");
  if (empty !== undefined) throw new Error(`Cannot use --${empty[0]} because it must not be empty`);
  const path = (given: string) => givenPath(given, environment);
  const pathOrNull = (given: string | undefined) => given === undefined ? null : path(given);
  return {
    host: values.host ?? "127.0.0.1",
    port: wholeNumber(values.port, { name: "port", otherwise: 8080, min: 0, max: 65_535 }),
    apiKey: values["api-key"] ?? "demo-key",
    keysFile: pathOrNull(values["keys-file"]),
    pagePasswordFile: pathOrNull(values["page-password-file"]),
    data: path(values.data ?? defaultFolder(environment)),
    keepDays: wholeNumber(values["keep-days"], {
      ...{ name: "keep-days", otherwise: limits.retentionDaysDefault, min: 1, max: 3_650 },
    }),
    megabytesMax: wholeNumber(values["max-size-mb"], {
      ...{ name: "max-size-mb", otherwise: limits.databaseMbDefault, min: 16, max: 1e6 },
    }),
    json: values.json ?? false,
  };
}

function parse(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      host: { type: "string" },
      port: { type: "string" },
      "api-key": { type: "string" },
      "keys-file": { type: "string" },
      data: { type: "string" },
      "keep-days": { type: "string" },
      "max-size-mb": { type: "string" },
      "page-password-file": { type: "string" },
      json: { type: "boolean" },
    },
  }).values;
}

function wholeNumber(
  given: string | undefined,
  { name, otherwise, min, max }: { name: string; otherwise: number; min: number; max: number },
): number {
  if (given === undefined) return otherwise;
  const value = /^\d{1,9}$/.test(given) ? Number(given) : NaN;
  if (value >= min && value <= max) return value;
  throw new Error(
    `Cannot use --${name} because it must be a whole number from ${min} to ${max}: current value is ${given}`,
  );
}

/** Where programs keep what should outlive them. */
function defaultFolder(environment: Environment): string {
  const home = environment("HOME");
  const state = environment("XDG_STATE_HOME") ?? (home === undefined ? undefined : join(home, ".local/state"));
  if (state !== undefined) return join(state, "bitville-listener");
  throw new Error("Cannot choose a folder because there is no home: name one with --data");
}

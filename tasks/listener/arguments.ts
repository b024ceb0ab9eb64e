/**
 * The arguments of `deno task listener`. Read twice: by what computes its permissions (`tasks/launch.ts`), and by itself.
 *
 * @module
 */

import { posix } from "node:path";
import { parseArgs } from "node:util";
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

/** Null when they make no sense. Paths are meant from where the caller stands (INIT_CWD), and made absolute. */
export function readListenerArguments(args: readonly string[], environment: Environment): ListenerArguments | null {
  const values = parse(args);
  if (values === null) return null;
  const port = wholeNumber(values.port, { otherwise: 8080, min: 0, max: 65_535 });
  const keepDays = wholeNumber(values["keep-days"], { otherwise: limits.retentionDaysDefault, min: 1, max: 3_650 });
  const megabytesMax = wholeNumber(values["max-size-mb"], { otherwise: limits.databaseMbDefault, min: 16, max: 1e6 });
  const data = values.data ?? defaultFolder(environment);
  if (port === null || keepDays === null || megabytesMax === null || data === null) return null;
  if (Object.values(values).includes("")) return null;
  const path = (given: string | undefined) =>
    given === undefined ? null : posix.resolve(environment("INIT_CWD") ?? Deno.cwd(), given);
  return {
    ...{ port, keepDays, megabytesMax, data: path(data)!, json: values.json ?? false },
    host: values.host ?? "127.0.0.1",
    apiKey: values["api-key"] ?? "demo-key",
    keysFile: path(values["keys-file"]),
    pagePasswordFile: path(values["page-password-file"]),
  };
}

function parse(args: readonly string[]) {
  try {
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
  } catch {
    return null;
  }
}

function wholeNumber(
  given: string | undefined,
  { otherwise, min, max }: { otherwise: number; min: number; max: number },
): number | null {
  if (given === undefined) return otherwise;
  const value = /^\d{1,9}$/.test(given) ? Number(given) : NaN;
  return value >= min && value <= max ? value : null;
}

/** Where programs keep what should outlive them; null when there is no home. */
function defaultFolder(environment: Environment): string | null {
  const home = environment("HOME");
  const state = environment("XDG_STATE_HOME") ?? (home === undefined ? undefined : posix.join(home, ".local/state"));
  return state === undefined ? null : posix.join(state, "bitville-listener");
}

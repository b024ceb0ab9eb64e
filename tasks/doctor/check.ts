/**
 * What the doctor's checks are made of: a check looks at one subject and returns findings, each with what mends it.
 *
 * @module
 */

import type { Clock } from "../../clock.ts";
import type { Database, Row, Server } from "../../collectors/database.ts";
import { type Config, defaultConfigPath, type Problem, sourceWithoutFile } from "../../config.ts";
import type { Log } from "../../log.ts";
import { quote } from "../quote.ts";

/** `FAIL`: the agent does not do its work; `warn`: it does, but something is missing or will be. */
export type State = "ok" | "warn" | "FAIL";

/**
 * What mends a finding, exactly: `sql` as a superuser, each statement on its own, in a database or, if null, in any;
 * `shell` as root; `setting` in the agent's configuration, where an empty value means no value; `advice` where only
 * people can know the command.
 */
export type Mend =
  | { kind: "sql"; statements: string[]; database: string | null; restart?: boolean }
  | { kind: "shell"; command: string }
  | { kind: "setting"; section: string; key: string; value: string }
  | { kind: "advice"; text: string };

/** One line of the report. */
export interface Finding {
  /** The subject, such as `connection`. */
  name: string;
  state: State;
  text: string;
  mend?: Mend;
}

/** Who runs the doctor, as the shell that started it says. */
export interface Surroundings {
  /** The user's name; the agent's permissions do not let it ask. */
  user: string;
  /** Of the unit's drop-in on a server with the agent installed; null elsewhere. */
  dropIn: "current" | "stale" | "missing" | null;
  /** Whether systemd runs the agent now. */
  isActive: boolean;
}

/** What checks look at. */
export interface Patient {
  config: Config;
  warnings: readonly Problem[];
  database: Database;
  clock: Clock;
  environment: (name: string) => string | undefined;
  surroundings: Surroundings;
  agentVersion: string;
  signal: AbortSignal;
}

/** One subject. */
export interface Check {
  readonly name: string;
  /** Whether it can only be run while the database answers. */
  readonly needsDatabase?: true;
  /** Looks, and changes nothing that stays. What it throws is reported as a failure of the check. */
  run(patient: Patient): Promise<Finding[]>;
}

/** The doctor says what is wrong in its own lines. */
export const silent: Log = { debug: () => {}, info: () => {}, warning: () => {}, error: () => {} };

/** Of what another check will have told the cause of. */
export const mendElsewhere: Mend = { kind: "advice", text: "mend what the lines above say; else report this line" };

/** A check with the database's answer at hand. */
export function databaseCheck(
  name: string,
  run: (patient: Patient, server: Server) => Promise<Finding[]>,
): Check {
  return { name, needsDatabase: true, run: async (patient) => run(patient, await patient.database.server()) };
}

/** The one row of a statement that returns one. */
export async function askRow({ database, signal }: Patient, text: string): Promise<Row> {
  const [row] = await database.query({ text }, signal);
  if (row === undefined) throw new Error("Cannot read the answer because it has no row");
  return row;
}

/** A name as it may stand in SQL: quoted where it has to be. */
export function sqlName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** Statements that set server settings, and have them taken up by a reload or a restart. */
export function alterSystem(settings: Record<string, string>, restart = false): Mend {
  const statements = Object.entries(settings).map(([name, value]) => `ALTER SYSTEM SET ${name} = ${value}`);
  return restart
    ? { kind: "sql", statements, database: null, restart }
    : { kind: "sql", statements: [...statements, "SELECT pg_reload_conf()"], database: null };
}

/** A mend in words: a command to copy, or what to do where there is none. */
export function mendText(mend: Mend, config: Config): string {
  switch (mend.kind) {
    case "shell":
      return mend.command;
    case "advice":
      return mend.text;
    case "setting": {
      const line = mend.value === "" ? `${mend.key} =` : `${mend.key} = ${mend.value}`;
      const file = config.source === sourceWithoutFile ? defaultConfigPath : config.source;
      return `set "${line}" under [${mend.section}] in ${file} and restart the agent`;
    }
    case "sql": {
      return sqlText(mend, config);
    }
  }
}

/** On the server's own machine by its operator's account, from elsewhere by its superuser's password. */
function sqlText({ statements, database, restart }: Mend & { kind: "sql" }, config: Config): string {
  const { host, port } = config.database;
  const isLocal = isLocalHost(host);
  const who = isLocal ? "sudo -u postgres psql" : `psql -U postgres -h ${quote(host)}`;
  const where = isLocal && host.startsWith("/") ? ` -h ${quote(host)}` : "";
  const commands = statements.map((statement) => ` -c ${doubleQuoted(`${statement};`)}`).join("");
  const after = restart ? isLocal ? " && sudo systemctl restart postgresql" : " and restart PostgreSQL" : "";
  return `${who}${where} -p ${port} -d ${quote(database ?? "postgres")}${commands}${after}`;
}

/** Whether a host of the configuration is this machine. */
export function isLocalHost(host: string): boolean {
  return host.startsWith("/") || /^(?:localhost|127(?:\.\d+){3}|::1)$/.test(host);
}

function doubleQuoted(text: string): string {
  return `"${text.replace(/["\\$`]/g, "\\$&")}"`;
}

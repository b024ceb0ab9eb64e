/**
 * INI file and environment → {@link Config}: the only maker of one. Everything that is wrong is found before anything
 * is refused, so that an operator mends it in one go. What may be set is in `config/settings.ts`.
 *
 * @module
 */

import { type Entry, readConfigFile } from "./config/file.ts";
import type { LogLevel } from "./log_interface.ts";
import {
  checkFile,
  failureText,
  type Findings,
  type FoundSecret,
  type GivenTexts,
  type Problem,
  problemOf,
  readSecret,
  readValues,
} from "./config/sources.ts";
import {
  type Setting,
  type SettingName,
  settingOf,
  settings,
  type SettingValues,
  variableOf,
} from "./config/settings.ts";

export { allowedText, type Setting, settings, variableOf } from "./config/settings.ts";
export type { Problem } from "./config/sources.ts";
export { isLoopback } from "./config/values.ts";

/** Read when no file is named, if it exists. */
export const defaultConfigPath = "/etc/bitville/postgres-agent.ini";
/** Names the configuration file, unless `--config` does. */
export const configPathVariable = "BITVILLE_PG_CONFIG_PATH";
/**
 * The folder of the secrets that systemd hands to a service (`LoadCredential=`), each in a file named as its setting.
 * They serve where neither the secret nor its file is set.
 */
export const credentialsVariable = "CREDENTIALS_DIRECTORY";
/** A {@link Config.source} that is no file. */
export const sourceWithoutFile = "environment and defaults";

/** A text that shows itself only when asked: in messages, JSON and inspections it is `[secret]`. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The secret itself, for whoever must send it. */
  reveal(): string {
    return this.#value;
  }

  get isEmpty(): boolean {
    return this.#value === "";
  }

  toString(): string {
    return "[secret]";
  }

  toJSON(): string {
    return "[secret]";
  }

  [Symbol.for("Deno.customInspect")](): string {
    return "[secret]";
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return "[secret]";
  }
}

/** What the agent is set to. Paths are absolute and normalised; an empty path means none. */
export interface Config {
  /** The path of the file, or {@link sourceWithoutFile}. */
  readonly source: string;
  readonly database: {
    /** A host name, an IP address without brackets, or a socket directory if it starts with `/`. */
    readonly host: string;
    readonly port: number;
    readonly name: string;
    readonly user: string;
    readonly password: Secret;
    /** Where the password was read from; empty if it came directly or there is none. */
    readonly passwordFile: string;
    readonly sslmode: SettingValues["db_sslmode"];
    readonly sslrootcert: string;
    readonly statementTimeoutMs: number;
    readonly poolMaxSize: number;
  };
  readonly collection: {
    /** Divides an hour. */
    readonly intervalS: number;
    /** A file, a directory or a glob; empty turns log collection off. */
    readonly logPath: string;
    readonly queryText: SettingValues["query_text"];
  };
  /** Without url, key and project only where the listener is not required. */
  readonly listener: {
    readonly url: URL | null;
    readonly apiKey: Secret;
    /** Where the key was read from; empty if it came directly or the listener is not required. */
    readonly apiKeyFile: string;
    readonly projectId: string;
    readonly timeoutS: number;
    readonly caFile: string;
    readonly compression: SettingValues["listener_compression"];
  };
  readonly buffer: { readonly path: string; readonly maxBytes: number };
  readonly system: { readonly procfsPath: string };
  readonly logging: { readonly level: LogLevel };
}

/** A configuration, or everything that is wrong with it. */
export type Loaded =
  | { kind: "loaded"; config: Config; warnings: Problem[] }
  | { kind: "refused"; problems: Problem[]; warnings: Problem[] };

/** Where configuration comes from. Environment and files are passed in: whoever starts the process owns them. */
export interface ConfigSource {
  /** As of `--config`: wins over the variable and the default. */
  path?: string;
  environment: (name: string) => string | undefined;
  readTextFile: (path: string) => Promise<string>;
  /** What must be set. Files of the listener are read only if it is required. */
  requires: "listener" | "database";
}

/** Reads the configuration. Never throws for what an operator gave: that is `refused`. */
export async function loadConfig(source: ConfigSource): Promise<Loaded> {
  const findings: Findings = { problems: [], warnings: [] };
  const file = await readNamedFile(source, findings);
  const { values, given } = readValues({ environment: source.environment, entries: file.entries }, findings);
  const required = source.requires === "listener";
  const credentials = source.environment(credentialsVariable) ?? "";
  const reader = { readTextFile: source.readTextFile, values, given, findings, credentials };
  const password = await readSecret(reader, { direct: "db_password", file: "db_password_file" });
  await checkFile(reader, "db_sslrootcert");
  const apiKey = required
    ? await readSecret(reader, { direct: "listener_api_key", file: "listener_api_key_file" })
    : { text: values.listener_api_key, file: "" };
  if (required) await checkFile(reader, "listener_ca_file");
  // Without the file that was named, everything in it would seem to be missing.
  if (required && !file.failed) checkRequired({ ...values, listener_api_key: apiKey.text }, findings);
  warnOfCombinations(values, given, findings);
  const { problems, warnings } = findings;
  if (problems.length > 0) return { kind: "refused", problems, warnings };
  return { kind: "loaded", config: buildConfig(file.source, values, { password, apiKey }), warnings };
}

interface NamedFile {
  source: string;
  entries: Map<string, Entry>;
  failed: boolean;
}

async function readNamedFile(source: ConfigSource, findings: Findings): Promise<NamedFile> {
  const fromVariable = source.path === undefined ? source.environment(configPathVariable) || undefined : undefined;
  const named = source.path ?? fromVariable;
  const path = named ?? defaultConfigPath;
  try {
    if (/[,\0]/.test(path) || path === "") throw new Error("its path must not be empty nor hold a comma");
    const { entries, oddities } = await readConfigFile(await source.readTextFile(path));
    findings.warnings.push(...oddities.map((oddity) => ({ ...oddity, variable: null })));
    return { source: path, entries, failed: false };
  } catch (error) {
    // Under restricted permissions a default file that was not there at the start may not even be looked for.
    const absent = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable;
    const none = { source: sourceWithoutFile, entries: new Map<string, Entry>() };
    if (named === undefined && absent) return { ...none, failed: false };
    const variable = fromVariable === undefined ? null : configPathVariable;
    const by = variable === null ? "" : ` named by ${variable}`;
    const message = `Cannot read configuration file ${path}${by} because ${failureText(error)}`;
    findings.problems.push({ section: null, key: null, variable, value: path, message });
    return { ...none, failed: true };
  }
}

function checkRequired(values: SettingValues, findings: Findings): void {
  const refused = new Set(findings.problems.map((problem) => `${problem.section}.${problem.key}`));
  for (const setting of settings as readonly Setting[]) {
    const { section, key } = setting;
    const byFile = settings.find((other) => other.section === section && other.key === `${key}_file`);
    const isGiven = values[setting.name as SettingName] || (byFile !== undefined && values[byFile.name]);
    if (!setting.required || isGiven || refused.has(`${section}.${key}`)) continue;
    if (byFile !== undefined && refused.has(`${section}.${byFile.key}`)) continue;
    const choices = [setting, ...(byFile === undefined ? [] : [byFile])];
    const ways = choices.map((choice) => `${choice.key} under [${section}] or the variable ${variableOf(choice)}`);
    const message = `Cannot start without ${section}.${key}: set ${ways.join(", or ")}`;
    findings.problems.push({ section, key, variable: null, message });
  }
}

function warnOfCombinations(values: SettingValues, given: GivenTexts, findings: Findings): void {
  const warn = (name: SettingName, text: string) => {
    const from = given.get(name) ?? { text: String(values[name]), variable: null };
    findings.warnings.push(problemOf(settingOf(name), from, (setting) => `Setting ${setting} ${text}`));
  };
  if (values.db_sslmode.startsWith("verify-") && values.db_host.startsWith("/")) {
    warn("db_sslmode", "has no effect because database.host is a socket directory, where there is no TLS");
  }
  if (/^\/(proc|sys)(\/|$)/.test(values.procfs_path)) {
    warn("procfs_path", "cannot be read because Deno keeps /proc and /sys closed: mount what is needed elsewhere");
  }
}

function buildConfig(
  source: string,
  values: SettingValues,
  secrets: Record<"password" | "apiKey", FoundSecret>,
): Config {
  return {
    source,
    database: {
      host: values.db_host,
      port: values.db_port,
      name: values.db_name,
      user: values.db_user,
      password: new Secret(secrets.password.text),
      passwordFile: secrets.password.file,
      sslmode: values.db_sslmode,
      sslrootcert: values.db_sslrootcert,
      statementTimeoutMs: values.statement_timeout_ms,
      poolMaxSize: values.pool_max_size,
    },
    collection: {
      intervalS: values.collection_interval_s,
      logPath: values.postgres_log_path,
      queryText: values.query_text,
    },
    listener: {
      url: values.listener_url,
      apiKey: new Secret(secrets.apiKey.text),
      apiKeyFile: secrets.apiKey.file,
      projectId: values.project_id,
      timeoutS: values.listener_timeout_s,
      caFile: values.listener_ca_file,
      compression: values.listener_compression,
    },
    buffer: { path: values.buffer_path, maxBytes: values.buffer_max_size_mb * 1024 * 1024 },
    system: { procfsPath: values.procfs_path },
    logging: { level: values.log_level },
  };
}

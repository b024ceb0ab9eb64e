/**
 * Every setting of the agent in one table. Configuration, permissions, messages and the table in
 * `docs/configuration.md` all come from here, so that they cannot drift apart. Texts become values in
 * `values.ts`.
 *
 * @module
 */

import { connectionsMax } from "../limits.ts";
import type { LogLevel } from "../log_interface.ts";

/** What kind of text a setting takes. */
export type SettingKind =
  | { readonly kind: "integer"; readonly min: number; readonly max: number; readonly outside: "clamped" | "refused" }
  | { readonly kind: "interval" }
  | { readonly kind: "choice"; readonly choices: readonly string[] }
  | { readonly kind: "text"; readonly charsMax: number }
  | { readonly kind: "secret"; readonly inHeader: boolean }
  | { readonly kind: "host" | "path" | "log_path" | "ca_file" | "secret_file" | "url" };

/** One row of the table. */
export type Setting = SettingKind & {
  readonly section: string;
  readonly key: string;
  /** The variable is `BITVILLE_PG_` and this in capitals. */
  readonly name: string;
  /** As it would stand in the INI file. */
  readonly default: string;
  /** What an empty value means; without it an empty value is refused. */
  readonly empty?: string;
  /** Whether the agent cannot start without it. */
  readonly required?: true;
};

/** The intervals that can be had, in seconds: cron keeps only whole minutes, and evenly only those that divide an hour. */
export const intervals: readonly number[] = [1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60].map((minutes) => minutes * 60);

/** All settings, in the order of the documentation. */
export const settings = [
  { section: "database", key: "host", name: "db_host", kind: "host", default: "localhost" },
  {
    section: "database",
    key: "port",
    name: "db_port",
    kind: "integer",
    default: "5432",
    min: 1,
    max: 65535,
    // Not clamped: a port nearby would be another server.
    outside: "refused",
  },
  { section: "database", key: "name", name: "db_name", kind: "text", default: "postgres", charsMax: 255 },
  { section: "database", key: "user", name: "db_user", kind: "text", default: "bitville_monitor", charsMax: 255 },
  {
    section: "database",
    key: "password",
    name: "db_password",
    kind: "secret",
    default: "",
    inHeader: false,
    empty: "no password, or the one in password_file",
  },
  {
    section: "database",
    key: "password_file",
    name: "db_password_file",
    kind: "secret_file",
    default: "",
    empty: "no file",
  },
  {
    section: "database",
    key: "sslmode",
    name: "db_sslmode",
    kind: "choice",
    default: "prefer",
    choices: ["disable", "prefer", "require", "verify-ca", "verify-full"],
  },
  {
    section: "database",
    key: "sslrootcert",
    name: "db_sslrootcert",
    kind: "ca_file",
    default: "",
    empty: "the certificates that Deno trusts",
  },
  {
    section: "database",
    key: "statement_timeout_ms",
    name: "statement_timeout_ms",
    kind: "integer",
    default: "5000",
    min: 1000,
    max: 5000,
    outside: "clamped",
  },
  {
    section: "database",
    key: "pool_max_size",
    name: "pool_max_size",
    kind: "integer",
    default: "3",
    min: 1,
    max: connectionsMax,
    outside: "clamped",
  },
  { section: "collection", key: "interval_s", name: "collection_interval_s", kind: "interval", default: "60" },
  {
    section: "collection",
    key: "log_path",
    name: "postgres_log_path",
    kind: "log_path",
    default: "/var/log/postgresql",
    empty: "logs are not collected",
  },
  {
    section: "collection",
    key: "query_text",
    name: "query_text",
    kind: "choice",
    default: "full",
    choices: ["full", "redacted", "none"],
  },
  {
    section: "listener",
    key: "url",
    name: "listener_url",
    kind: "url",
    default: "",
    empty: "not set",
    required: true,
  },
  {
    section: "listener",
    key: "api_key",
    name: "listener_api_key",
    kind: "secret",
    default: "",
    inHeader: true,
    empty: "the one in api_key_file",
    required: true,
  },
  {
    section: "listener",
    key: "api_key_file",
    name: "listener_api_key_file",
    kind: "secret_file",
    default: "",
    empty: "no file",
  },
  {
    section: "listener",
    key: "project_id",
    name: "project_id",
    kind: "text",
    default: "",
    charsMax: 64,
    empty: "not set",
    required: true,
  },
  {
    section: "listener",
    key: "timeout_s",
    name: "listener_timeout_s",
    kind: "integer",
    default: "5",
    min: 1,
    max: 60,
    outside: "clamped",
  },
  {
    section: "listener",
    key: "ca_file",
    name: "listener_ca_file",
    kind: "ca_file",
    default: "",
    empty: "no extra certificate",
  },
  {
    section: "listener",
    key: "compression",
    name: "listener_compression",
    kind: "choice",
    default: "none",
    choices: ["none", "gzip"],
  },
  {
    section: "buffer",
    key: "path",
    name: "buffer_path",
    kind: "path",
    default: "/var/lib/bitville-postgres-agent/buffer",
  },
  {
    section: "buffer",
    key: "max_size_mb",
    name: "buffer_max_size_mb",
    kind: "integer",
    default: "100",
    min: 1,
    max: 10240,
    outside: "clamped",
  },
  {
    section: "system",
    key: "procfs_path",
    name: "procfs_path",
    kind: "path",
    default: "/run/bitville-postgres-agent/proc",
  },
  {
    section: "logging",
    key: "level",
    name: "log_level",
    kind: "choice",
    default: "info",
    choices: ["debug", "info", "warning", "error"] satisfies LogLevel[],
  },
] as const satisfies readonly Setting[];

type Row = (typeof settings)[number];
type ValueOf<R extends Row> = R extends { kind: "integer" | "interval" } ? number
  : R extends { choices: readonly (infer Choice)[] } ? Choice
  : R extends { kind: "url" } ? URL | null
  : string;

/** The name of a setting, such as `db_host`. */
export type SettingName = Row["name"];

/** The value of each setting by its name. Secrets are still plain here: it never leaves `config.ts`. */
export type SettingValues = { [R in Row as R["name"]]: ValueOf<R> };

/** The environment variable of a setting. */
export function variableOf(setting: { name: string }): string {
  return `BITVILLE_PG_${setting.name.toUpperCase()}`;
}

/** The row of a setting. */
export function settingOf(name: SettingName): Setting {
  const setting = settings.find((candidate) => candidate.name === name);
  if (setting === undefined) throw new Error(`Cannot find setting ${name}`);
  return setting;
}

/** What a setting may be, to follow "must be" in a message and for the table in the documentation. */
export function allowedText(setting: Setting): string {
  switch (setting.kind) {
    case "integer":
      return `a whole number from ${setting.min} to ${setting.max}`;
    case "interval":
      return `seconds that are whole minutes dividing an hour: ${intervals.join(", ")}`;
    case "choice":
      return setting.choices.join(", ").replace(/, ([^,]*)$/, " or $1");
    case "text":
      return `1 to ${setting.charsMax} characters without NUL`;
    case "secret":
      return setting.inHeader
        ? "text that fits into an HTTP header: no control characters, nothing beyond Latin-1, no blank at its ends"
        : "text without NUL";
    case "host":
      return "a host name, an IPv4 address, an IPv6 address without brackets and zone, " +
        "or an absolute socket directory without comma";
    case "url":
      return "an http or https URL with a plain host, without user name and password, " +
        "and without a port of another protocol such as 22, 25 or 6000";
    case "log_path":
      return "an absolute path without comma to a file, a directory or a glob (* and ? in its last part), below a named folder";
    default:
      return "an absolute path without comma, not /";
  }
}

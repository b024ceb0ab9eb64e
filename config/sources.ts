/**
 * Where the values of settings come from: environment, file, defaults, and the files that settings name for secrets and
 * certificates. Collects what is wrong with them instead of stopping at the first.
 *
 * @module
 */

import { allowedText, type Setting, settingOf, settings, type SettingValues, variableOf } from "./settings.ts";
import { isSecretAllowed, readSetting, shownText } from "./values.ts";

/** One thing that is wrong or odd, ready for a log line. Holds no secret. */
export interface Problem {
  section: string | null;
  key: string | null;
  /** Where the value came from, if not from the file. */
  variable: string | null;
  /** As given, unless it may not be shown. */
  value?: string;
  /** The whole of it, for people. */
  message: string;
}

/** What reading has found so far: problems refuse the configuration, warnings do not. */
export interface Findings {
  problems: Problem[];
  warnings: Problem[];
}

/** Where the texts come from. */
export interface TextSources {
  environment: (name: string) => string | undefined;
  /** Of the file, by `section.key`. */
  entries: ReadonlyMap<string, { text: string }>;
}

/** The text of a setting and where it came from. */
export interface Given {
  text: string;
  variable: string | null;
}

/** By the name of the setting. */
export type GivenTexts = Map<string, Given>;

/** Reads every setting: the variable wins over the file and the file over the default. */
export function readValues(
  sources: TextSources,
  findings: Findings,
): { values: SettingValues; given: GivenTexts } {
  const values: Record<string, unknown> = {};
  const given: GivenTexts = new Map();
  for (const setting of settings) {
    const text = giveText(setting, sources);
    given.set(setting.name, text);
    const reading = readSetting(setting, text.text);
    if (reading.kind === "refused") {
      const why = `because it must be ${allowedText(setting)}`;
      findings.problems.push(problemOf(setting, text, (name) => `Cannot use ${name} ${why}`));
    } else if (reading.notice !== undefined) {
      findings.warnings.push(problemOf(setting, text, (name) => `Setting ${name} ${reading.notice}`));
    }
    // Of what was refused only the shape matters from here on: the default keeps it.
    const kept = reading.kind === "refused" ? readSetting(setting, setting.default) : reading;
    values[setting.name] = kept.kind === "value" ? kept.value : undefined;
  }
  // The table gives each name the kind of value that readSetting makes of it; a test holds the two together.
  return { values: values as SettingValues, given };
}

function giveText(setting: Setting, sources: TextSources): Given {
  const variable = variableOf(setting);
  const raw = sources.environment(variable) ?? "";
  const text = setting.kind === "secret" ? raw : raw.trim();
  if (text !== "") return { text, variable };
  return { text: sources.entries.get(`${setting.section}.${setting.key}`)?.text ?? setting.default, variable: null };
}

/** A problem or warning about one setting, with where its value came from and what may be shown of it. */
export function problemOf(setting: Setting, given: Given, message: (name: string) => string): Problem {
  const { section, key } = setting;
  const shown = shownText(setting, given.text);
  const from = given.variable === null ? "" : ` from ${given.variable}`;
  const current = shown === undefined ? "" : `: current value is ${shown === "" ? "empty" : shown}`;
  return {
    section,
    key,
    variable: given.variable,
    ...(shown === undefined ? {} : { value: shown }),
    message: `${message(`${section}.${key}${from}`)}${current}`,
  };
}

/** What reading the files that settings name takes. */
export interface FileReader {
  readTextFile: (path: string) => Promise<string>;
  values: SettingValues;
  given: GivenTexts;
  findings: Findings;
  /** The folder of the secrets that a service manager hands over; empty when there is none. */
  credentials: string;
}

/** A secret, and the file that it was read from, if any. */
export interface FoundSecret {
  text: string;
  file: string;
}

type SecretName = "db_password" | "listener_api_key";
type SecretFileName = "db_password_file" | "listener_api_key_file";

/** The secret of a setting or of its file. */
export async function readSecret(
  reader: FileReader,
  names: { direct: SecretName; file: SecretFileName },
): Promise<FoundSecret> {
  const direct = reader.values[names.direct];
  const path = reader.values[names.file];
  // A value that was refused still wins: the file must not stand in for it.
  const given = reader.given.get(names.direct)?.text ?? "";
  if (given !== "") return { text: direct, file: "" };
  if (path === "") return await readCredential(reader, names);
  const text = (await readNonEmpty(reader, names.file))?.replace(/\r?\n$/, "");
  if (text === undefined) return { text: "", file: path };
  if (text === "" || !isAllowed(text, names.direct)) refuseFile(reader, names.file, contentText(text, names.direct));
  return { text, file: path };
}

/** A credential that is absent or empty is none: the server may trust the socket's peer. */
async function readCredential(
  reader: FileReader,
  names: { direct: SecretName; file: SecretFileName },
): Promise<FoundSecret> {
  if (!reader.credentials.startsWith("/")) return { text: "", file: "" };
  const file = `${reader.credentials}/${names.direct}`;
  const refuse = (why: string) => {
    const { section, key } = settingOf(names.direct);
    const message = `Cannot use credential ${file} for ${section}.${key} because ${why}`;
    reader.findings.problems.push({ section, key, variable: null, message });
    return { text: "", file };
  };
  try {
    const text = (await reader.readTextFile(file)).replace(/\r?\n$/, "");
    return isAllowed(text, names.direct) ? { text, file } : refuse(contentText(text, names.direct));
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? { text: "", file: "" } : refuse(failureText(error));
  }
}

function isAllowed(text: string, name: SecretName): boolean {
  const secret = settingOf(name);
  return !text.includes("\uFFFD") && secret.kind === "secret" && (text === "" || isSecretAllowed(secret, text));
}

function contentText(text: string, name: SecretName): string {
  return text === "" ? "it is empty" : `its content must be ${allowedText(settingOf(name))}, in UTF-8`;
}

/** Refuses a CA file that cannot be read now, rather than at the first connection. */
export async function checkFile(reader: FileReader, name: "db_sslrootcert" | "listener_ca_file"): Promise<void> {
  if (reader.values[name] === "") return;
  const text = await readNonEmpty(reader, name);
  if (text !== undefined && !text.includes("-----BEGIN CERTIFICATE-----")) {
    refuseFile(reader, name, "it holds no PEM certificate");
  }
}

type FileName = SecretFileName | "db_sslrootcert" | "listener_ca_file";

async function readNonEmpty(reader: FileReader, name: FileName): Promise<string | undefined> {
  try {
    const text = await reader.readTextFile(reader.values[name]);
    if (text !== "") return text;
    refuseFile(reader, name, "it is empty");
  } catch (error) {
    refuseFile(reader, name, failureText(error));
  }
  return undefined;
}

function refuseFile(reader: FileReader, name: FileName, why: string): void {
  const given = reader.given.get(name) ?? { text: reader.values[name], variable: null };
  const message = (setting: string) => `Cannot use the file of ${setting} because ${why}`;
  reader.findings.problems.push(problemOf(settingOf(name), given, message));
}

/** Why a file could not be read. */
export function failureText(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "it does not exist";
  if (error instanceof Deno.errors.PermissionDenied) return "this user may not read it";
  if (error instanceof Deno.errors.NotCapable) {
    return "this process was started without permission for it: restart the agent to use it";
  }
  return error instanceof Error ? error.message : String(error);
}

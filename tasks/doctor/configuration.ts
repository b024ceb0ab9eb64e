/**
 * The doctor's look at the configuration: what is odd about it, and who can read its secrets.
 *
 * @module
 */

import { posix } from "node:path";
import { type Config, settings, variableOf } from "../../config.ts";
import type { Check, Finding, Patient } from "./check.ts";
import { quote } from "../quote.ts";

const name = "configuration";

/** Warnings of the file, and modes of the files with secrets. */
export const configurationCheck: Check = {
  name,
  async run(patient) {
    const { config, warnings } = patient;
    const odd = warnings.map(({ message, section, key }): Finding => ({
      name,
      state: "warn",
      text: message,
      mend: { kind: "advice", text: `correct ${place(section, key)} in ${config.source}` },
    }));
    const open = await openFiles(patient);
    const findings = [...odd, ...open];
    return findings.length > 0 ? findings : [{ name, state: "ok", text: `${config.source}, nothing odd about it` }];
  },
};

/** Where a problem is, for people. */
export function place(section: string | null, key: string | null): string {
  return section === null ? "the line" : key === null ? `[${section}]` : `${section}.${key}`;
}

async function openFiles(patient: Patient): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const path of secretFiles(patient)) {
    const info = await Deno.stat(path);
    if (info.isFile && ((info.mode ?? 0) & 0o007) !== 0) {
      const mode = ((info.mode ?? 0) & 0o770).toString(8).padStart(4, "0");
      findings.push({
        name,
        state: "FAIL",
        text: `${path} holds a secret, and every user of this machine can read or write it`,
        mend: { kind: "shell", command: `chmod ${mode} ${quote(path)}` },
      });
    }
  }
  return findings;
}

/** The configuration itself holds a secret if one is set that comes neither from a file nor from a variable. */
function secretFiles({ config, environment }: Patient): string[] {
  const { database, listener } = config;
  const inFile = (name: "db_password" | "listener_api_key") =>
    !environment(variableOf(settings.find((setting) => setting.name === name)!));
  const holdsPassword = !database.password.isEmpty && database.passwordFile === "" && inFile("db_password");
  const holdsKey = !listener.apiKey.isEmpty && listener.apiKeyFile === "" && inFile("listener_api_key");
  const named = [database.passwordFile, listener.apiKeyFile].filter((path) => path !== "");
  return holdsPassword || holdsKey ? [...named, sourcePath(config)] : named;
}

function sourcePath(config: Config): string {
  return posix.resolve(config.source);
}

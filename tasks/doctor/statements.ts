/**
 * The doctor's look at pg_stat_statements: loaded, created in the agent's database, up to date, within reach, large
 * enough, and switched on.
 *
 * @module
 */

import type { Row } from "../../collectors/database.ts";
import { readBoolean, readCount, readNumber, readText } from "../../collectors/row.ts";
import { type Extension, extensionSql, readFinding } from "../../collectors/statement_extension.ts";
import {
  alterSystem,
  askRow,
  type Check,
  databaseCheck,
  type Finding,
  type Mend,
  type Patient,
  sqlName,
} from "./check.ts";

const name = "pg_stat_statements";

/** Entries that fill the view, and drops an hour, from which on statements come and go unseen. */
const fullShare = 0.95;
const dropsAnHourMax = 10;

const settingsSql = `/* bitville-monitor: doctor statements */
select current_setting('shared_preload_libraries', true) as libraries,
  current_setting('pg_stat_statements.max', true)::int as max,
  current_setting('pg_stat_statements.track', true) as track,
  current_setting('compute_query_id', true) as query_id,
  current_setting('track_activities')::boolean as activities`;

/** The view can be read and tells of all statements. */
export const statementsCheck: Check = databaseCheck(name, async (patient, { user, readsAllStats }) => {
  const row = await askRow(patient, extensionSql);
  // Who may not see all settings is told so by the check of the role, and cannot be told more here.
  const settings = await askRow(patient, settingsSql).catch(() => null);
  const missing = missingExtension(row, settings, patient);
  if (missing !== null) return [missing];
  const found = readFinding(row);
  if (found.kind === "missing") {
    return [fail(found.missing.reason, update(patient))];
  }
  const { extension } = found;
  const reached = await reach(extension, { patient, user });
  const findings = [
    ...reached.findings,
    ...ageFindings(extension, patient),
    ...(settings === null ? [] : settingFindings(settings)),
    ...(settings === null || !readsAllStats ? [] : await roomFindings(extension, { settings, reached, patient })),
  ];
  if (findings.length > 0) return findings;
  const text = `version ${extension.version} in schema ${extension.schema}, ${reached.entries} entries`;
  return [{ name, state: "ok", text }];
});

function fail(text: string, mend: Mend): Finding {
  return { name, state: "FAIL", text, mend };
}

/** Not loaded and not created are two steps: the first one that is missing is told. */
function missingExtension(row: Row, settings: Row | null, { config }: Patient): Finding | null {
  if (readText(row, "available_version") === null) {
    return fail("The server's files lack the extension", {
      kind: "advice",
      text: "install PostgreSQL's contrib package (Debian: it is part of postgresql-NN)",
    });
  }
  if (!readBoolean(row, "loaded")) {
    const libraries = settings === null ? "" : readText(settings, "libraries") ?? "";
    const list = [...libraries.split(",").map((one) => one.trim()).filter((one) => one !== ""), "pg_stat_statements"];
    const mend = alterSystem({
      shared_preload_libraries: list.map((one) => `'${one.replaceAll("'", "''")}'`).join(", "),
    }, true);
    return fail("Its library is not loaded", mend);
  }
  if (readText(row, "version") !== null) return null;
  return fail(`It is not created in database ${config.database.name}`, {
    kind: "sql",
    statements: ["CREATE EXTENSION pg_stat_statements"],
    database: config.database.name,
  });
}

interface Reached {
  findings: Finding[];
  entries: number;
}

async function reach({ schema }: Extension, { patient, user }: { patient: Patient; user: string }): Promise<Reached> {
  try {
    const row = await askRow(
      patient,
      `/* bitville-monitor: doctor entries */ select count(*)::int as entries from ${schema}.pg_stat_statements(false)`,
    );
    return { findings: [], entries: readCount(row, "entries") };
  } catch (error) {
    const what = /for schema/.test(String(error)) ? `USAGE ON SCHEMA ${schema}` : null;
    const right = what ?? `EXECUTE ON FUNCTION ${schema}.pg_stat_statements(boolean)`;
    const statements = [`GRANT ${right} TO ${sqlName(user)}`];
    const mend = { kind: "sql" as const, statements, database: patient.config.database.name };
    return { findings: [fail(error instanceof Error ? error.message : String(error), mend)], entries: 0 };
  }
}

function ageFindings({ version, availableVersion }: Extension, patient: Patient): Finding[] {
  if (availableVersion === null) return [];
  const text = `Version ${version} is installed, and the server's files have ${availableVersion}`;
  return [{ name, state: "warn", text, mend: update(patient) }];
}

function update({ config }: Patient): Mend {
  const statements = ["ALTER EXTENSION pg_stat_statements UPDATE"];
  return { kind: "sql", statements, database: config.database.name };
}

function settingFindings(settings: Row): Finding[] {
  const findings: Finding[] = [];
  const off = (text: string, change: Record<string, string>) => findings.push(fail(text, alterSystem(change)));
  if (readText(settings, "track") === "none") {
    off("pg_stat_statements.track is none: nothing is counted", { "pg_stat_statements.track": "top" });
  }
  if (readText(settings, "query_id") === "off") {
    off("compute_query_id is off: nothing is counted", { compute_query_id: "auto" });
  }
  if (!readBoolean(settings, "activities")) {
    off("track_activities is off: sessions show no statement", { track_activities: "on" });
  }
  return findings;
}

/** The view drops entries when it is full; 14 and later count how often. */
async function roomFindings(
  extension: Extension,
  { settings, reached, patient }: { settings: Row; reached: Reached; patient: Patient },
): Promise<Finding[]> {
  const max = readNumber(settings, "max");
  if (max === null || reached.findings.length > 0) return [];
  const drops = extension.hasInfo ? await dropsAnHour(extension, patient) : 0;
  if (reached.entries < max * fullShare && drops <= dropsAnHourMax) return [];
  const text = `${reached.entries} of ${max} entries are in use, ${Math.round(drops)} times an hour some are dropped`;
  return [{ name, state: "warn", text, mend: alterSystem({ "pg_stat_statements.max": String(max * 2) }, true) }];
}

async function dropsAnHour({ schema }: Extension, patient: Patient): Promise<number> {
  const row = await askRow(
    patient,
    `/* bitville-monitor: doctor drops */ select dealloc::float8 /
  greatest(1, extract(epoch from clock_timestamp() - stats_reset) / 3600)::float8 as drops
from ${schema}.pg_stat_statements_info()`,
  );
  return readNumber(row, "drops") ?? 0;
}

/**
 * The doctor's look at the agent's role: it sees everybody's statistics and all settings, and can do nothing else.
 *
 * @module
 */

import { readBoolean, readCount } from "../../collectors/row.ts";
import { askRow, type Check, databaseCheck, type Finding, sqlName } from "./check.ts";

const name = "role";

const roleSql = `/* bitville-monitor: doctor role */
select current_setting('is_superuser') = 'on' as superuser,
  pg_has_role('pg_read_all_settings', 'usage') as reads_all_settings, rolconnlimit as connections
from pg_catalog.pg_roles where rolname = current_user`;

/** Rights that are missing, and those that are too many. */
export const roleCheck: Check = databaseCheck(name, async (patient, { user, readsAllStats }) => {
  const row = await askRow(patient, roleSql);
  const findings: Finding[] = [];
  const grant = (role: string) => ({
    kind: "sql" as const,
    statements: [`GRANT ${role} TO ${sqlName(user)}`],
    database: null,
  });
  if (!readsAllStats) {
    const text = `${user} does not see what other roles do: sessions without statements, no statistics`;
    findings.push({ name, state: "FAIL", text, mend: grant("pg_read_all_stats") });
  }
  if (!readBoolean(row, "reads_all_settings")) {
    const text = `${user} does not see where the server writes its log`;
    findings.push({ name, state: "warn", text, mend: grant("pg_read_all_settings") });
  }
  if (readBoolean(row, "superuser")) {
    const text = `${user} is a superuser, and the agent needs none: a stolen password would be everything`;
    const mend = { kind: "setting" as const, section: "database", key: "user", value: "bitville_monitor" };
    findings.push({ name, state: "warn", text, mend });
  }
  const connections = readCount(row, "connections") ?? -1;
  const wanted = patient.config.database.poolMaxSize;
  if (connections >= 0 && connections < wanted) {
    const text = `${user} may open ${connections} connections, and database.pool_max_size is ${wanted}`;
    const statements = [`ALTER ROLE ${sqlName(user)} CONNECTION LIMIT ${wanted}`];
    findings.push({ name, state: "warn", text, mend: { kind: "sql", statements, database: null } });
  }
  return findings.length > 0 ? findings : [{ name, state: "ok", text: `${user} sees all statistics and settings` }];
});

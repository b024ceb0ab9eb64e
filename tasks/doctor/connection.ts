/**
 * The doctor's look at the connection: whether the server answers, who it is, how far away, and what is in between.
 *
 * @module
 */

import { DatabaseError } from "../../collectors/database.ts";
import { readCount, readText } from "../../collectors/row.ts";
import { errorMessage } from "../../log.ts";
import {
  askRow,
  type Check,
  databaseCheck,
  type Finding,
  isLocalHost,
  type Mend,
  type Patient,
  sqlName,
} from "./check.ts";

const name = "connection";

/** The versions that the agent is tested with. */
const versions = { oldest: 12, newest: 18 };

const sessionSql = `/* bitville-monitor: doctor connection */
select (select ssl from pg_catalog.pg_stat_ssl where pid = pg_catalog.pg_backend_pid()) as ssl,
  host(inet_server_addr()) as address, inet_server_port() as server_port, current_setting('port') as port,
  (select split_part(setting, ',', 1) from pg_catalog.pg_settings where name = 'unix_socket_directories') as folder`;

/** The server answers, encrypted if it is elsewhere. */
export const connectionCheck: Check = {
  name,
  async run(patient) {
    const { database, config, clock } = patient;
    const { host, port, name: databaseName } = config.database;
    const where = `${host}:${port}/${databaseName}`;
    let ms: number;
    let row;
    try {
      await database.server();
      const startedMs = clock.monotonicMs();
      row = await askRow(patient, sessionSql);
      ms = clock.monotonicMs() - startedMs;
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      return [{ name, state: "FAIL", text: `${where}: ${errorMessage(error)}`, mend: mendOf(error, patient) }];
    }
    const isLocal = isLocalHost(host);
    const isEncrypted = row.ssl === true;
    const text = `${where} answers in ${ms.toFixed(1)} ms, ${isEncrypted ? "with TLS" : "without TLS"}`;
    if (isEncrypted || isLocal) return [{ name, state: "ok", text }];
    return [{
      name,
      state: "warn",
      text: `${text}: password and statements cross the network in the clear`,
      mend: { kind: "setting", section: "database", key: "sslmode", value: "verify-full" },
    }];
  },
};

function mendOf({ kind, sqlstate, message }: DatabaseError, { config, surroundings }: Patient): Mend {
  const { user, name: databaseName, passwordFile } = config.database;
  const role = sqlName(user);
  if (sqlstate === "3D000") {
    return { kind: "sql", statements: [`CREATE DATABASE ${sqlName(databaseName)}`], database: null };
  }
  if (/role ".*" does not exist/.test(message)) {
    return {
      kind: "sql",
      statements: [`CREATE ROLE ${role} LOGIN IN ROLE pg_read_all_stats, pg_read_all_settings`],
      database: null,
    };
  }
  if (/is not permitted to log in/.test(message)) {
    return { kind: "sql", statements: [`ALTER ROLE ${role} LOGIN`], database: null };
  }
  if (/permission denied for database/.test(message)) {
    return {
      kind: "sql",
      statements: [`GRANT CONNECT ON DATABASE ${sqlName(databaseName)} TO ${role}`],
      database: null,
    };
  }
  if (sqlstate === "28P01" || /client password must be/.test(message)) {
    const place = passwordFile === "" ? "database.password_file" : passwordFile;
    return {
      kind: "advice",
      text: `write the password of role ${role} to ${place}, or set it in psql: \\password ${role}`,
    };
  }
  if (/Peer authentication failed/.test(message)) {
    const [hba, ident] = [
      `local ${sqlName(databaseName)} ${role} peer map=bitville`,
      `bitville ${surroundings.user} ${role}`,
    ];
    const text = `add "${hba}" at the top of pg_hba.conf and "${ident}" to pg_ident.conf, then SELECT pg_reload_conf()`;
    return { kind: "advice", text };
  }
  if (/no pg_hba\.conf entry/.test(message)) {
    const line = `host ${sqlName(databaseName)} ${role} samehost scram-sha-256`;
    return { kind: "advice", text: `add "${line}" to pg_hba.conf, then SELECT pg_reload_conf()` };
  }
  if (/too many connections for role/.test(message)) {
    return { kind: "sql", statements: [`ALTER ROLE ${role} CONNECTION LIMIT 5`], database: null };
  }
  if (kind === "full") return { kind: "advice", text: "raise max_connections, or end sessions that nobody uses" };
  if (/does not support SSL/i.test(message)) {
    return { kind: "setting", section: "database", key: "sslmode", value: "prefer" };
  }
  if (/certificate/i.test(message)) {
    return { kind: "advice", text: "set database.sslrootcert to the authority that signed the server's certificate" };
  }
  return { kind: "advice", text: "start it (systemctl start postgresql), or correct database.host and database.port" };
}

/** Deno, the agent and the server. */
export const versionsCheck: Check = databaseCheck("versions", (patient, server) => {
  const text = `agent ${patient.agentVersion}, Deno ${Deno.version.deno}, PostgreSQL ${server.version}`;
  const major = Number.parseInt(server.version);
  const finding: Finding = { name: "versions", state: "ok", text };
  if (major < versions.oldest) {
    finding.state = "FAIL";
    finding.mend = { kind: "advice", text: `upgrade PostgreSQL to ${versions.oldest} or later` };
  } else if (major > versions.newest) {
    finding.state = "warn";
    finding.mend = { kind: "advice", text: `upgrade the agent: it was tested up to PostgreSQL ${versions.newest}` };
  }
  return Promise.resolve([finding]);
});

/** No pooler is in between: the server itself says where it is. */
export const poolerCheck: Check = databaseCheck("pooler", async (patient, { pooled }) => {
  if (!pooled) return [{ name: "pooler", state: "ok", text: "none between the agent and PostgreSQL" }];
  const row = await askRow(patient, sessionSql);
  const host = readText(row, "address") ?? readText(row, "folder") ?? "localhost";
  const port = readText(row, "port") ?? String(readCount(row, "server_port"));
  const text = "PgBouncer or another pooler is in between: names that earlier clients left behind are seen as sessions";
  const { config } = patient;
  const setting = { kind: "setting" as const, section: "database" };
  const findings: Finding[] = [{ name: "pooler", state: "warn", text, mend: { ...setting, key: "port", value: port } }];
  if (config.database.host !== host) {
    findings.push({
      name: "pooler",
      state: "warn",
      text: `PostgreSQL itself is at ${host}`,
      mend: { ...setting, key: "host", value: host },
    });
  }
  return findings;
});

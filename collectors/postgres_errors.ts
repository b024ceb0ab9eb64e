/**
 * What the driver throws, as the seam's errors.
 *
 * @module
 */

import { DatabaseError, type DatabaseErrorKind } from "./database.ts";

/** Turns what was thrown into a {@link DatabaseError}. `phase` tells whether a session had been established. */
export function toDatabaseError(
  error: unknown,
  options: { phase: "connect" | "query"; cancelled: boolean },
): DatabaseError {
  if (error instanceof DatabaseError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = codeOf(error);
  const sqlstate = isOfServer(error) ? code : null;
  const kind = options.cancelled
    ? "cancelled"
    : isDatabaseUnknownToPooler(message)
    ? "refused"
    : sqlstate !== null
    ? kindOfSqlstate(sqlstate, options.phase)
    : kindOfMessage(message, code);
  return new DatabaseError(message === "" ? code ?? "Unknown error" : message, { kind, sqlstate, cause: error });
}

/** Whether the server told that it does not speak TLS: what `prefer` falls back on. */
export function isTlsUnsupported(error: unknown): boolean {
  return error instanceof Error && error.message.includes("does not support SSL");
}

/** Whether pg_hba.conf has no entry for a session of this kind, as libpq's `prefer` takes for a reason to try without TLS. */
export function isHostEntryMissing(error: unknown): boolean {
  return codeOf(error) === "28000";
}

/** Whether the server ended a session because nothing was asked (idle_session_timeout): nobody is away. */
export function isIdleTimeout(error: unknown): boolean {
  return codeOf(error) === "57P05";
}

/** Whether a question that failed so leaves a session that can be asked again. */
export function leavesSession({ sqlstate }: DatabaseError): boolean {
  // 25P03 and 25P04 are timeouts that end the session, not the statement.
  return sqlstate !== null && !/^(?:08|57P|25P0)/.test(sqlstate);
}

/** Whether a pooler refused startup parameters that PostgreSQL itself knows. */
export function isStartupParameterRefused(error: unknown): boolean {
  return error instanceof Error && codeOf(error) === "08P01" && error.message.includes("startup parameter");
}

/** What an operator should look at, or null where nobody can tell. */
export function hintOf({ kind, sqlstate, message, cause }: DatabaseError): string | null {
  if (kind === "unreachable") return "Check that PostgreSQL runs and that database.host and database.port are right";
  if (kind === "full") {
    return "Raise max_connections, or reserve connections for the agent's role (reserved_connections)";
  }
  if (kind !== "refused") return null;
  if (sqlstate === "3D000" || isDatabaseUnknownToPooler(message)) return "Check database.name";
  const code = codeOf(cause) ?? "";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return "Set database.host to a name in the server's certificate, or database.sslmode to verify-ca";
  }
  if (code === "CERT_HAS_EXPIRED") return "Have the server's certificate renewed, and check this machine's clock";
  if (isCertificateCode(code)) {
    return "Set database.sslrootcert to the certificate of the authority that issued the server's certificate";
  }
  if (message.includes("does not support SSL")) return "Turn on ssl on the server, or set database.sslmode to prefer";
  return "Check database.user, database.password, database.sslmode and pg_hba.conf";
}

/** Such as SELF_SIGNED_CERT_IN_CHAIN, UNABLE_TO_VERIFY_LEAF_SIGNATURE, ERR_TLS_CERT_ALTNAME_INVALID. */
function isCertificateCode(code: string): boolean {
  return /CERT|SIGNATURE|^ERR_(?:TLS|SSL)|^UNABLE_TO/.test(code);
}

/** PgBouncer's words; its code is that of any broken protocol. */
function isDatabaseUnknownToPooler(message: string): boolean {
  return message.startsWith("no such database: ");
}

/** Whether the server has said it. A code alone does not tell: EPIPE is the system's and looks like a SQLSTATE. */
function isOfServer(error: unknown): boolean {
  return error instanceof Error && "severity" in error;
}

function codeOf(error: unknown): string | null {
  const code = error instanceof Error && "code" in error ? error.code : null;
  return typeof code === "string" ? code : null;
}

/** By https://www.postgresql.org/docs/current/errcodes-appendix.html */
function kindOfSqlstate(sqlstate: string, phase: "connect" | "query"): DatabaseErrorKind {
  if (sqlstate === "53300") return "full";
  if (sqlstate === "57014" || sqlstate === "55P03" || sqlstate.startsWith("25P0")) return "timeout";
  if (sqlstate.startsWith("28") || sqlstate === "3D000") return "refused";
  if (sqlstate.startsWith("08") || sqlstate.startsWith("57P")) return "unreachable";
  // Such as a startup parameter that the server does not take.
  return phase === "connect" ? "refused" : "statement";
}

function kindOfMessage(message: string, code: string | null): DatabaseErrorKind {
  if (message === "Query read timeout") return "timeout";
  if (message.startsWith("SASL") || /password/i.test(message)) return "refused";
  if (message.includes("does not support SSL")) return "refused";
  if (code !== null && isCertificateCode(code)) return "refused";
  return "unreachable";
}

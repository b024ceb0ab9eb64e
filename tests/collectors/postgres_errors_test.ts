// What the driver throws, sorted into the seam's kinds.
import assert from "node:assert/strict";
import { DatabaseError, type DatabaseErrorKind } from "../../collectors/database.ts";
import {
  hintOf,
  isHostEntryMissing,
  isIdleTimeout,
  isStartupParameterRefused,
  isTlsUnsupported,
  leavesSession,
  toDatabaseError,
} from "../../collectors/postgres_errors.ts";

function coded(code: string, message = "message"): Error {
  return Object.assign(new Error(message), { code });
}

/** As the driver makes it of what the server sends. */
function said(code: string, message = "message"): Error {
  return Object.assign(coded(code, message), { severity: "ERROR" });
}

function kindOf(error: unknown, phase: "connect" | "query" = "query"): DatabaseErrorKind {
  return toDatabaseError(error, { phase, cancelled: false }).kind;
}

Deno.test("toDatabaseError sorts the server's own codes", () => {
  const kinds: Record<string, DatabaseErrorKind> = {
    "53300": "full",
    "57014": "timeout",
    "55P03": "timeout",
    "25P03": "timeout",
    "25P04": "timeout",
    "28000": "refused",
    "28P01": "refused",
    "3D000": "refused",
    "08006": "unreachable",
    "57P01": "unreachable",
    "57P03": "unreachable",
    "42501": "statement",
    "42P01": "statement",
    "25006": "statement",
  };
  for (const [code, kind] of Object.entries(kinds)) {
    const error = toDatabaseError(said(code), { phase: "query", cancelled: false });
    assert.deepEqual([error.kind, error.sqlstate], [kind, code]);
  }
});

Deno.test("toDatabaseError takes what a server does not accept at the start as refused", () => {
  assert.equal(kindOf(said("42704"), "connect"), "refused");
  assert.equal(kindOf(said("22023"), "connect"), "refused");
  assert.equal(kindOf(said("53300"), "connect"), "full");
});

Deno.test("toDatabaseError sorts what never reached a server", () => {
  assert.equal(kindOf(coded("ECONNREFUSED")), "unreachable");
  assert.equal(kindOf(coded("ENOTFOUND")), "unreachable");
  assert.equal(kindOf(coded("EPIPE"), "connect"), "unreachable");
  assert.equal(toDatabaseError(coded("EPIPE"), { phase: "query", cancelled: false }).sqlstate, null);
  assert.equal(kindOf(new Error("Connection terminated unexpectedly")), "unreachable");
  assert.equal(kindOf(new Error("Query read timeout")), "timeout");
  assert.equal(kindOf(new Error("SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string")), "refused");
  assert.equal(kindOf(coded("DEPTH_ZERO_SELF_SIGNED_CERT")), "refused");
  assert.equal(kindOf(coded("UNABLE_TO_VERIFY_LEAF_SIGNATURE")), "refused");
  assert.equal(kindOf(coded("ERR_TLS_CERT_ALTNAME_INVALID")), "refused");
  assert.equal(kindOf(new Error("The server does not support SSL connections")), "refused");
  assert.equal(kindOf("a text"), "unreachable");
});

Deno.test("toDatabaseError says cancelled whatever the end looked like, keeps the cause, and never an empty message", () => {
  const cause = said("57014", "");
  const error = toDatabaseError(cause, { phase: "query", cancelled: true });
  assert.deepEqual([error.kind, error.message, error.cause], ["cancelled", "57014", cause]);
  assert.equal(toDatabaseError(error, { phase: "query", cancelled: false }), error);
});

Deno.test("leavesSession is false for what ends the session", () => {
  const leaves = (sqlstate: string | null) =>
    leavesSession(new DatabaseError("message", { kind: "cancelled", sqlstate }));
  for (const sqlstate of ["57014", "55P03", "42P01"]) assert.equal(leaves(sqlstate), true, sqlstate);
  for (const sqlstate of [null, "57P01", "08006", "25P03", "25P04"]) {
    assert.equal(leaves(sqlstate), false, `${sqlstate}`);
  }
});

Deno.test("the reasons for a humbler attempt are told from other failures", () => {
  assert.ok(isTlsUnsupported(new Error("The server does not support SSL connections")));
  assert.ok(isHostEntryMissing(said("28000")));
  assert.ok(!isHostEntryMissing(said("28P01")));
  assert.ok(isStartupParameterRefused(said("08P01", "unsupported startup parameter: statement_timeout")));
  assert.ok(isStartupParameterRefused(said("08P01", "unsupported startup parameter in options: search_path")));
  assert.ok(!isStartupParameterRefused(said("08P01", "no such database: x")));
  assert.ok(isIdleTimeout(said("57P05")));
});

Deno.test("hintOf tells what to look at for whatever a connection failed of", () => {
  const hints: [unknown, RegExp][] = [
    [coded("ECONNREFUSED"), /database\.host and database\.port/],
    [said("53300"), /max_connections/],
    [said("28P01"), /database\.user, database\.password/],
    [said("3D000", 'database "nowhere" does not exist'), /^Check database\.name$/],
    [said("08P01", "no such database: nowhere"), /^Check database\.name$/],
    [coded("SELF_SIGNED_CERT_IN_CHAIN"), /^Set database\.sslrootcert /],
    [coded("DEPTH_ZERO_SELF_SIGNED_CERT"), /^Set database\.sslrootcert /],
    [coded("UNABLE_TO_VERIFY_LEAF_SIGNATURE"), /^Set database\.sslrootcert /],
    [coded("CERT_HAS_EXPIRED"), /renewed/],
    [coded("ERR_TLS_CERT_ALTNAME_INVALID"), /^Set database\.host /],
    [new Error("The server does not support SSL connections"), /^Turn on ssl /],
  ];
  for (const [thrown, hint] of hints) {
    const error = toDatabaseError(thrown, { phase: "connect", cancelled: false });
    assert.match(hintOf(error) ?? "", hint);
  }
  assert.equal(hintOf(toDatabaseError(said("42P01"), { phase: "query", cancelled: false })), null);
});

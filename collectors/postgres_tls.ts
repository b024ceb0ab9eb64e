/**
 * libpq's `sslmode` in the driver's terms.
 *
 * @module
 */

/** As in libpq: https://www.postgresql.org/docs/current/libpq-ssl.html */
export type SslMode = "disable" | "prefer" | "require" | "verify-ca" | "verify-full";

/** The driver's TLS options; `false` for none. */
export type TlsOptions = false | {
  rejectUnauthorized: boolean;
  ca?: string;
  checkServerIdentity?: () => undefined;
};

/**
 * What a mode asks for. `rootCertificates` is PEM or null: without it `verify-ca` and `verify-full` trust the
 * authorities that Deno brings along, and `require` believes any certificate; with it, `require` means `verify-ca`,
 * as in libpq.
 */
export function tlsOptions(mode: SslMode, rootCertificates: string | null): TlsOptions {
  const ca = rootCertificates === null ? {} : { ca: rootCertificates };
  if (mode === "disable") return false;
  if (mode === "prefer" || (mode === "require" && rootCertificates === null)) return { rejectUnauthorized: false };
  if (mode === "verify-full") return { rejectUnauthorized: true, ...ca };
  return { rejectUnauthorized: true, ...ca, checkServerIdentity: acceptAnyName };
}

/** The chain has been verified; whose name the certificate bears is not asked. */
function acceptAnyName(): undefined {
  return undefined;
}

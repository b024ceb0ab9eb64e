/**
 * What the TLS library says of a listener that cannot be trusted, in words for an operator: what is wrong with which
 * host, and what to do. The library's words are rustls's, through Deno's `fetch`.
 *
 * @module
 */

/** Why there is no TLS with a listener, and what mends it. */
export interface TlsProblem {
  /** Whether it is the certificate, which stays wrong until somebody changes it. */
  isCertificate: boolean;
  reason: string;
  hint: string;
}

const certificateHints: readonly (readonly [words: RegExp, reason: string, hint: string])[] = [
  [/Expired/, "it has expired", "Have the listener's certificate renewed, and check this machine's clock"],
  [/NotValidYet/, "it is not valid yet", "Check this machine's clock and the listener's certificate"],
  [/not valid for name|NotValidForName/, "it is for another name", "Set listener.url to a name in the certificate"],
  [/Revoked/, "it is revoked", "Have the listener's certificate replaced"],
  [
    /UnknownIssuer/,
    "nobody who is trusted has issued it",
    "Set listener.ca_file to the certificate of the authority that issued it",
  ],
  [
    /CaUsedAsEndEntity/,
    "it is that of an authority, not of a server",
    "Have the listener use a certificate with basicConstraints CA:FALSE, and set listener.ca_file to its issuer's",
  ],
];

/** Reads what `fetch` said of `host`; null when it was not about TLS. */
export function readTlsProblem(message: string, host: string): TlsProblem | null {
  const [, words] = /invalid peer certificate: (.*)$/s.exec(message) ?? [];
  if (words !== undefined) {
    const [, why = words, hint = "Check the listener's certificate and listener.ca_file"] =
      certificateHints.find(([pattern]) => pattern.test(words)) ?? [];
    const names = /only valid for (.*)$/s.exec(words)?.[1] ?? "";
    const others = [...names.matchAll(/\("([^"]*)"\)/g)].map(([, name]) => name).join(", ");
    const reason = `Cannot trust the certificate of ${host}: ${why}${others === "" ? "" : `, ${others}`}`;
    return { isCertificate: true, reason, hint };
  }
  if (message.includes("corrupt message of type")) {
    return {
      isCertificate: false,
      reason: `Cannot reach ${host}: what answers there does not speak TLS`,
      hint: "Check scheme and port of listener.url",
    };
  }
  if (message.includes("alert: ProtocolVersion")) {
    return {
      isCertificate: false,
      reason: `Cannot reach ${host}: it speaks neither TLS 1.2 nor TLS 1.3`,
      hint: "Have the listener speak TLS 1.2 or 1.3",
    };
  }
  return null;
}

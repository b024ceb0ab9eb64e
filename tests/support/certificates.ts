/**
 * Certificates for the servers of a test, made with `openssl`.
 *
 * @module
 */

import { join } from "node:path";

/** Why tests that need certificates do not run here, or null. */
export const opensslMissing: string | null = await findOpenssl() ? null : "skipped: there is no openssl";

/** Files with PEM: a CA and a server's key and certificate by it. */
export interface Certificates {
  ca: string;
  key: string;
  certificate: string;
}

/** Makes a CA in `folder`, and a server's certificate by it for these names, such as `DNS:localhost`. */
export async function makeCertificates(folder: string, names: readonly string[]): Promise<Certificates> {
  const path = (name: string) => join(folder, name);
  const ca = ["-subj", "/CN=Test CA", "-keyout", path("ca.key"), "-out", path("ca.pem")];
  await openssl("req", "-x509", ...newKey, "-days", "30", ...ca);
  return await issueCertificate(folder, { name: "server", names });
}

/** Has the CA in `folder` issue another certificate; `days` below 0 make one that has expired. */
export async function issueCertificate(
  folder: string,
  { name, names, days = 30 }: { name: string; names: readonly string[]; days?: number },
): Promise<Certificates> {
  const path = (name: string) => join(folder, name);
  const [key, request, certificate] = [path(`${name}.key`), path(`${name}.csr`), path(`${name}.pem`)];
  await Deno.writeTextFile(path("extensions"), `subjectAltName=${names.join(",")}\n`);
  await openssl("req", ...newKey, "-subj", "/CN=server", "-keyout", key, "-out", request);
  const issuer = ["-CA", path("ca.pem"), "-CAkey", path("ca.key"), "-CAcreateserial"];
  const validity = ["-days", `${days}`, "-extfile", path("extensions")];
  await openssl("x509", "-req", "-in", request, ...issuer, ...validity, "-out", certificate);
  return { ca: path("ca.pem"), key, certificate };
}

/** Makes a certificate that is its own issuer, as `openssl req -x509` does; with `isServer` it is none of a CA. */
export async function signOneself(
  folder: string,
  { name, names, isServer }: { name: string; names: readonly string[]; isServer: boolean },
): Promise<Certificates> {
  const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
  const extensions = [`subjectAltName=${names.join(",")}`, ...(isServer ? ["basicConstraints=critical,CA:FALSE"] : [])];
  const added = extensions.flatMap((extension) => ["-addext", extension]);
  const subject = ["-days", "30", "-subj", "/CN=localhost", ...added];
  await openssl("req", "-x509", ...newKey, ...subject, "-keyout", key, "-out", certificate);
  return { ca: certificate, key, certificate };
}

const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

async function openssl(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args, stdout: "null", stderr: "piped" }).output();
  if (!success) throw new Error(`Cannot make certificates: ${new TextDecoder().decode(stderr)}`);
}

async function findOpenssl(): Promise<boolean> {
  try {
    return (await new Deno.Command("openssl", { args: ["version"], stdout: "null", stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

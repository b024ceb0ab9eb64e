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
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await Deno.writeTextFile(path("extensions"), `subjectAltName=${names.join(",")}\n`);
  await openssl(
    "req",
    "-x509",
    ...newKey,
    "-days",
    "30",
    "-subj",
    "/CN=Test CA",
    "-keyout",
    path("ca.key"),
    "-out",
    path("ca.pem"),
  );
  await openssl("req", ...newKey, "-subj", "/CN=server", "-keyout", path("server.key"), "-out", path("server.csr"));
  await openssl(
    "x509",
    "-req",
    "-in",
    path("server.csr"),
    "-CA",
    path("ca.pem"),
    "-CAkey",
    path("ca.key"),
    "-CAcreateserial",
    "-days",
    "30",
    "-extfile",
    path("extensions"),
    "-out",
    path("server.pem"),
  );
  return { ca: path("ca.pem"), key: path("server.key"), certificate: path("server.pem") };
}

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

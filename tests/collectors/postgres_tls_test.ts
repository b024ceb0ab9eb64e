// libpq's sslmode in the driver's terms, and what servers and their certificates make of it.
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseError } from "../../collectors/database.ts";
import { type SslMode, tlsOptions } from "../../collectors/postgres_tls.ts";
import {
  type EmbeddedPostgres,
  isRoot,
  startEmbeddedPostgres,
  unprivilegedUser,
} from "../../tasks/demo/embedded_postgres.ts";
import { type Certificates, makeCertificates, opensslMissing } from "../support/certificates.ts";
import { openDatabase } from "../support/open_database.ts";

const pem = "-----BEGIN CERTIFICATE-----";

/** What a mode verifies: nothing, the chain, or the chain and the name; null for no TLS. */
function verified(mode: SslMode, rootCertificates: string | null): string | null {
  const options = tlsOptions(mode, rootCertificates);
  if (options === false) return null;
  if (!options.rejectUnauthorized) return "nothing";
  assert.equal(options.ca, rootCertificates ?? undefined);
  return options.checkServerIdentity === undefined ? "chain and name" : "chain";
}

Deno.test("tlsOptions verifies what libpq verifies", () => {
  const table: [SslMode, string | null, string | null][] = [
    ["disable", null, null],
    ["prefer", "nothing", "nothing"],
    ["require", "nothing", "chain"],
    ["verify-ca", "chain", "chain"],
    ["verify-full", "chain and name", "chain and name"],
  ];
  for (const [mode, without, withRoot] of table) {
    assert.equal(verified(mode, null), without, mode);
    assert.equal(verified(mode, pem), withRoot, mode);
  }
});

Deno.test({
  name: opensslMissing === null
    ? "every sslmode accepts and refuses the servers that libpq does"
    : `every sslmode accepts and refuses the servers that libpq does (${opensslMissing})`,
  ignore: opensslMissing !== null,
  async fn(test) {
    const folder = await Deno.makeTempDir();
    await using server = await startEmbeddedPostgres({ version: 18, hba });
    try {
      const right = await makeCertificates(await subfolder(folder, "right"), ["DNS:localhost"]);
      const wrong = await makeCertificates(await subfolder(folder, "wrong"), ["DNS:localhost"]);
      await server.query("create role plain login; create role encrypted login");
      await test.step("on a server without TLS", () => checkWithoutTls(server));
      await installCertificate(server, right);
      for (const host of ["localhost", "127.0.0.1"]) {
        for (const [root, sslrootcert] of [["none", ""], ["right", right.ca], ["wrong", wrong.ca]] as const) {
          await test.step(`on a server with TLS as ${host}, root certificate: ${root}`, async () => {
            for (const [mode, outcome] of Object.entries(expected(host, root))) {
              const sslmode = mode as SslMode;
              assert.equal(await connect(server, { host, sslmode, sslrootcert }), outcome, mode);
            }
          });
        }
      }
      await test.step("says of a certificate that it does not believe which setting mends it", async () => {
        const verifyCa = { sslmode: "verify-ca", sslrootcert: wrong.ca } as const;
        assert.match(await hint(server, verifyCa), /^Set database\.sslrootcert to the certificate of the authority/);
        const verifyFull = { host: "127.0.0.1", sslmode: "verify-full", sslrootcert: right.ca } as const;
        assert.match(await hint(server, verifyFull), /^Set database\.host to a name in the server's certificate/);
      });
      await test.step("where pg_hba.conf wants the one or the other", async () => {
        assert.equal(await connect(server, { user: "plain", sslmode: "prefer" }), "plain");
        assert.equal(await connect(server, { user: "plain", sslmode: "require" }), "refused");
        assert.equal(await connect(server, { user: "encrypted", sslmode: "prefer" }), "TLS");
        assert.equal(await connect(server, { user: "encrypted", sslmode: "disable" }), "refused");
      });
      await test.step("on a Unix socket, where there is no TLS", async () => {
        for (const sslmode of sslModes) {
          assert.equal(await connect(server, { host: server.socketDirectory, sslmode }), "plain", sslmode);
        }
      });
      await test.step("with a root certificate that cannot be read", async () => {
        assert.equal(await connect(server, { sslmode: "verify-ca", sslrootcert: join(folder, "none.pem") }), "refused");
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

const sslModes: readonly SslMode[] = ["disable", "prefer", "require", "verify-ca", "verify-full"];

const hba = [
  "hostnossl all plain 127.0.0.1/32 trust",
  "hostssl all encrypted 127.0.0.1/32 trust",
  "host all plain,encrypted 127.0.0.1/32 reject",
];

/** How a connection ends: `TLS`, `plain`, or the kind of the failure. */
async function connect(server: EmbeddedPostgres, changes: Parameters<typeof openDatabase>[1]): Promise<string> {
  await using open = openDatabase(server, changes);
  try {
    const sql = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    const [row] = await open.database.query({ text: sql });
    assert.deepEqual(open.log.events, ["connection_pool_verified"]);
    assert.equal(open.log.entries[0]?.fields.tls, row?.ssl);
    return row?.ssl === true ? "TLS" : "plain";
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    assert.deepEqual(open.log.events, ["database_unavailable"]);
    return error.kind;
  }
}

/** What the log tells an operator to do about a connection that does not come about. */
async function hint(server: EmbeddedPostgres, changes: Parameters<typeof openDatabase>[1]): Promise<string> {
  await using open = openDatabase(server, changes);
  await assert.rejects(open.database.server(), DatabaseError);
  const [unavailable] = open.log.of("database_unavailable");
  assert.equal(unavailable?.fields.host, changes?.host ?? server.host);
  return String(unavailable?.fields.hint);
}

/** The certificate is for the name localhost. */
function expected(host: string, root: "none" | "right" | "wrong"): Record<SslMode, string> {
  const chain = root === "right" ? "TLS" : "refused";
  return {
    disable: "plain",
    prefer: "TLS",
    require: root === "none" ? "TLS" : chain,
    "verify-ca": chain,
    "verify-full": host === "localhost" ? chain : "refused",
  };
}

async function checkWithoutTls(server: EmbeddedPostgres): Promise<void> {
  for (const sslmode of sslModes) {
    const outcome = sslmode === "disable" || sslmode === "prefer" ? "plain" : "refused";
    assert.equal(await connect(server, { sslmode }), outcome, sslmode);
    if (outcome === "refused") assert.match(await hint(server, { sslmode }), /^Turn on ssl on the server/, sslmode);
  }
}

async function subfolder(folder: string, name: string): Promise<string> {
  const path = join(folder, name);
  await Deno.mkdir(path);
  return path;
}

/** Turns TLS on, and waits until it is. */
async function installCertificate(server: EmbeddedPostgres, { key, certificate }: Certificates): Promise<void> {
  for (const [from, name] of [[key, "server.key"], [certificate, "server.crt"]] as const) {
    const to = join(server.dataDirectory, name);
    await Deno.copyFile(from, to);
    await Deno.chmod(to, 0o600);
    if (isRoot()) await Deno.chown(to, unprivilegedUser().uid, unprivilegedUser().gid);
  }
  await server.query("alter system set ssl = on");
  await server.restart();
}

// What connections are made of: the configuration alone, and text that comes through whatever its bytes.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../tasks/demo/embedded_postgres.ts";
import { openDatabase } from "../support/open_database.ts";

let server: EmbeddedPostgres;

Deno.test.beforeAll(async () => {
  server = await startEmbeddedPostgres({ version: 18 });
});

Deno.test.afterAll(async () => await server[Symbol.asyncDispose]());

/** Prints what a session is like, as a process of its own: its environment is read once. */
const script = `
const { openDatabase } = await import(${JSON.stringify(new URL("../support/open_database.ts", import.meta.url).href)});
const [host, port] = Deno.args;
await using open = openDatabase({ host, port: Number(port) }, { sslmode: "disable" });
const [row] = await open.database.query({ text: \`select current_user::text as user, current_database()::text as name,
  current_setting('application_name') as application_name, current_setting('search_path') as search_path,
  current_setting('work_mem') as work_mem, current_setting('client_encoding') as encoding\` });
console.log(JSON.stringify(row));`;

Deno.test("createPool does not listen to the environment", async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--ext=ts", script, server.host, String(server.port)],
    cwd: fileURLToPath(new URL("../../", import.meta.url)),
    env: {
      PGHOST: "192.0.2.1",
      PGHOSTADDR: "192.0.2.1",
      PGPORT: "1",
      PGUSER: "somebody",
      PGDATABASE: "elsewhere",
      PGPASSWORD: "other",
      PGOPTIONS: "-c work_mem=7MB",
      PGAPPNAME: "other",
      PGSSLMODE: "verify-full",
      PGSSLNEGOTIATION: "direct",
      PGREPLICATION: "database",
      PGCLIENTENCODING: "LATIN1",
      PGCLIENT_ENCODING: "LATIN1",
      PGCONNECT_TIMEOUT: "1",
      PGBINARY: "1",
    },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), {
    user: "postgres",
    name: "postgres",
    application_name: "bitville-monitor",
    search_path: "pg_catalog",
    work_mem: "4MB",
    encoding: "UTF8",
  });
});

Deno.test("createPool reads a database without an encoding, whatever bytes it holds", async () => {
  await server.query("create database raw encoding 'SQL_ASCII' template template0");
  await using open = openDatabase(server, { name: "raw" });
  const [row] = await open.database.query({ text: "select e'caf\\xe9 ' || e'\\xc3\\xa9' as text" });
  assert.equal(row?.text, "caf\ufffd é");
});

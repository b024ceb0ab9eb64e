/**
 * Embedded servers of the oldest and the newest version: that they work, stop, and leave nothing behind.
 *
 * @module
 */

import assert from "node:assert/strict";
import { dirname } from "node:path";
import { isRoot, startEmbeddedPostgres, unprivilegedUser } from "../../../tasks/demo/embedded_postgres.ts";
import { waitFor } from "../../support/wait_for.ts";

const module = new URL("../../../tasks/demo/embedded_postgres.ts", import.meta.url).href;

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

for (const version of [12, 18] as const) {
  Deno.test(`startEmbeddedPostgres runs PostgreSQL ${version} with pg_stat_statements, in UTF-8`, async () => {
    await using postgres = await startEmbeddedPostgres({
      version,
      settings: { work_mem: "5MB", log_line_prefix: "'" },
    });
    await postgres.query("CREATE EXTENSION pg_stat_statements");
    const [row] = await postgres.query(
      `SELECT current_setting('server_version_num')::integer / 10000 AS version, current_setting('work_mem') AS work_mem,
        current_setting('log_line_prefix') AS prefix, current_setting('server_encoding') AS encoding,
        (SELECT count(*) > 0 FROM pg_stat_statements) AS counts`,
    );
    assert.deepEqual(row, { version, work_mem: "5MB", prefix: "'", encoding: "UTF8", counts: true });
  });

  Deno.test(`EmbeddedPostgres ${version} keeps data and port over stop, restart and a crash`, async () => {
    await using postgres = await startEmbeddedPostgres({ version });
    const { port } = postgres;
    await postgres.query("CREATE TABLE kept AS SELECT 42 AS answer");
    await postgres.stop();
    assert.equal(postgres.pid, null);
    await assert.rejects(postgres.query("SELECT 1"), /ECONNREFUSED|refused/);
    await postgres.start();
    await postgres.restart("immediate");
    assert.equal(postgres.port, port);
    assert.deepEqual(await postgres.query("SELECT answer FROM kept"), [{ answer: 42 }]);
  });
}

Deno.test("startEmbeddedPostgres lets pg_hba.conf lines go before its own", async () => {
  await using postgres = await startEmbeddedPostgres({ version: 18, hba: ["host all locked_out 127.0.0.1/32 reject"] });
  await postgres.query("CREATE ROLE locked_out LOGIN");
  const [rule] = await postgres.query("SELECT user_name, auth_method FROM pg_hba_file_rules ORDER BY line_number");
  assert.deepEqual(rule, { user_name: ["locked_out"], auth_method: "reject" });
});

Deno.test("startEmbeddedPostgres ends a start that fails with the tail of the server's log", async () => {
  await assert.rejects(
    startEmbeddedPostgres({ version: 18, settings: { shared_buffers: "nonsense" } }),
    /Cannot start PostgreSQL 18: its log ends in[^]*invalid value for parameter "shared_buffers"/,
  );
});

Deno.test("startEmbeddedPostgres throws the reason of its signal", async () => {
  const stop = AbortSignal.abort(new Error("Not any more"));
  await assert.rejects(startEmbeddedPostgres({ version: 18, signal: stop }), /Not any more/);
});

Deno.test("EmbeddedPostgres stops even when it is halted, and disposal removes its folder", async () => {
  const postgres = await startEmbeddedPostgres({ version: 18 });
  postgres.signal("SIGSTOP");
  await postgres[Symbol.asyncDispose]();
  assert.equal(await exists(dirname(postgres.dataDirectory)), false);
});

Deno.test("EmbeddedPostgres runs two servers side by side", async () => {
  const servers = await Promise.all([12, 18].map((version) => startEmbeddedPostgres({ version: version as 12 | 18 })));
  try {
    assert.notEqual(servers[0]!.port, servers[1]!.port);
    for (const server of servers) assert.deepEqual(await server.query("SELECT 1 AS one"), [{ one: 1 }]);
  } finally {
    for (const server of servers) await server[Symbol.asyncDispose]();
  }
});

Deno.test({
  name: "EmbeddedPostgres runs as nobody when this process is root (needs root)",
  ignore: !isRoot(),
  async fn() {
    await using postgres = await startEmbeddedPostgres({ version: 18 });
    assert.equal((await Deno.stat(postgres.dataDirectory)).uid, unprivilegedUser().uid);
  },
});

Deno.test("EmbeddedPostgres does not survive the process that started it, killed by SIGKILL", async () => {
  const code = `import { startEmbeddedPostgres } from ${JSON.stringify(module)};
    const { port, dataDirectory } = await startEmbeddedPostgres({ version: 18 });
    console.log(JSON.stringify({ port, dataDirectory }));
    await new Promise((resolve) => setTimeout(resolve, 60_000));`;
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", code], stdout: "piped" }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { port, dataDirectory } = JSON.parse((await reader.read()).value ?? "");
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  await waitFor("the removal of its folder", async () => !(await exists(dirname(dataDirectory))));
  await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port }), Deno.errors.ConnectionRefused);
});

// What a reload takes over and what needs a restart.
import assert from "node:assert/strict";
import { agentGrants } from "../../tasks/permissions.ts";
import { planReload } from "../../tasks/reload.ts";
import { config, type Setup } from "../support/config_loading.ts";

const files = {
  "/key": "first key",
  "/other-key": "second key",
  "/password": "first password",
  "/ca.pem": "-----BEGIN CERTIFICATE-----",
};

const base: Record<string, Record<string, string>> = {
  database: { host: "db", port: "5432", password_file: "/password" },
  listener: { url: "https://listener/a", api_key_file: "/key", project_id: "p" },
  collection: { interval_s: "60", log_path: "/logs/main.log" },
};

function configOf(changes: Record<string, Record<string, string>> = {}, setup: Setup = {}) {
  const sections = [...new Set([...Object.keys(base), ...Object.keys(changes)])].map((section) => {
    const keys = Object.entries({ ...base[section], ...changes[section] });
    return `[${section}]\n${keys.map(([key, value]) => `${key} = ${value}`).join("\n")}`;
  });
  return config({ ini: sections.join("\n"), files, requires: "listener", ...setup });
}

async function planOf(changes: Record<string, Record<string, string>>, setup: Setup = {}) {
  const running = await configOf();
  const next = await configOf(changes, setup);
  return { running, next, ...planReload(running, next, agentGrants(running)) };
}

Deno.test("planReload finds nothing to do in the same configuration", async () => {
  const { config, running, changed, restartNeeded } = await planOf({});
  assert.equal(config, running);
  assert.deepEqual([changed, restartNeeded], [[], []]);
});

Deno.test("planReload takes over what needs no other permission", async () => {
  const { config, next, changed, restartNeeded } = await planOf({
    database: { user: "other", statement_timeout_ms: "2000", sslmode: "disable" },
    listener: { url: "https://listener/b", project_id: "q", timeout_s: "7", compression: "gzip" },
    collection: { interval_s: "300", query_text: "none", log_path: "/logs/other.log" },
    buffer: { max_size_mb: "7" },
    logging: { level: "debug" },
  });
  assert.deepEqual(restartNeeded, []);
  assert.deepEqual(changed, [
    "database.user",
    "database.sslmode",
    "database.statement_timeout_ms",
    "listener.url",
    "listener.project_id",
    "listener.timeout_s",
    "listener.compression",
    "collection.log_path",
    "collection.interval_s",
    "collection.query_text",
    "buffer.max_size_mb",
    "logging.level",
  ]);
  assert.deepEqual(config, next);
});

Deno.test("planReload takes over secrets whose files have another content, and names them without showing them", async () => {
  const renewed = { ...files, "/key": "new key", "/password": "new password" };
  const plan = await planOf({}, { files: renewed });
  assert.deepEqual(plan.changed, ["database.password", "listener.api_key"]);
  assert.equal(plan.config.listener.apiKey.reveal(), "new key");
  assert(!JSON.stringify(plan).includes("new "));
});

Deno.test("planReload leaves a section of addresses and secrets whole when one of them needs a restart", async () => {
  for (
    const changes of [
      { listener: { url: "https://elsewhere/a", api_key_file: "/key", timeout_s: "7" } },
      { listener: { api_key_file: "/other-key", timeout_s: "7" } },
      { listener: { ca_file: "/ca.pem", timeout_s: "7" } },
    ]
  ) {
    const { config, running, changed, restartNeeded } = await planOf(changes);
    assert.equal(config, running, "a new key must not reach the listener of before");
    assert.deepEqual(changed, []);
    assert(restartNeeded.includes("listener.timeout_s"), restartNeeded.join());
  }
  const { config, running, restartNeeded } = await planOf({ database: { port: "5433", user: "other" } });
  assert.equal(config, running);
  assert.deepEqual(restartNeeded, ["database.port", "database.user"]);
});

Deno.test("planReload takes over the rest beside what needs a restart", async () => {
  const { config, running, changed, restartNeeded } = await planOf({
    collection: { log_path: "/elsewhere/main.log", query_text: "redacted" },
    buffer: { path: "/elsewhere", max_size_mb: "7" },
    system: { procfs_path: "/elsewhere" },
    logging: { level: "error" },
  });
  assert.deepEqual(restartNeeded, ["collection.log_path", "system.procfs_path", "buffer.path"]);
  assert.deepEqual(changed, ["collection.query_text", "buffer.max_size_mb", "logging.level"]);
  assert.equal(config.collection.logPath, running.collection.logPath);
  assert.equal(config.collection.queryText, "redacted");
  assert.deepEqual(config.buffer, { path: running.buffer.path, maxBytes: 7 * 1024 * 1024 });
  assert.equal(config.logging.level, "error");
});

Deno.test("planReload knows every setting", async () => {
  const { settings } = await import("../../config.ts");
  // Each in turn, so that a setting that is added and forgotten here is found.
  const running = await configOf();
  for (const { section, key } of settings) {
    const other = others[`${section}.${key}`];
    assert(other !== undefined, `no other value for ${section}.${key}`);
    const next = await configOf({ [section]: { [key]: other } });
    const { changed } = planReload(running, next, () => true);
    const { restartNeeded } = planReload(running, next, () => false);
    assert([...changed, ...restartNeeded].includes(`${section}.${key}`), `${section}.${key} is overlooked`);
  }
});

/** For each setting a value that is not the one of `base`. */
const others: Record<string, string> = {
  "database.host": "other",
  "database.port": "1",
  "database.name": "other",
  "database.user": "other",
  "database.password": "other",
  "database.password_file": "/other-key",
  "database.sslmode": "require",
  "database.sslrootcert": "/ca.pem",
  "database.statement_timeout_ms": "1500",
  "database.pool_max_size": "2",
  "collection.interval_s": "600",
  "collection.log_path": "/other/x.log",
  "collection.query_text": "none",
  "listener.url": "https://other",
  "listener.api_key": "other",
  "listener.api_key_file": "/other-key",
  "listener.project_id": "other",
  "listener.timeout_s": "9",
  "listener.ca_file": "/ca.pem",
  "listener.compression": "gzip",
  "buffer.path": "/other",
  "buffer.max_size_mb": "9",
  "system.procfs_path": "/other",
  "logging.level": "error",
};

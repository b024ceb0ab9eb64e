/**
 * What each kind of setting takes, clamps and refuses, and in which words.
 *
 * @module
 */

import assert from "node:assert/strict";
import { blockedPorts } from "../../config/blocked_ports.ts";
import type { Config } from "../../config.ts";
import { config, load, refusals, warned } from "../support/config_loading.ts";

Deno.test("loadConfig clamps numbers to their bounds with a warning", async () => {
  const cases: [string, string, (config: Config) => number, number][] = [
    ["database", "statement_timeout_ms = 999", (config) => config.database.statementTimeoutMs, 1000],
    ["database", "statement_timeout_ms = 5001", (config) => config.database.statementTimeoutMs, 5000],
    ["database", "pool_max_size = 0", (config) => config.database.poolMaxSize, 1],
    ["database", "pool_max_size = 999999999999999999999", (config) => config.database.poolMaxSize, 5],
    ["listener", "timeout_s = -1", (config) => config.listener.timeoutS, 1],
    ["listener", "timeout_s = 61", (config) => config.listener.timeoutS, 60],
    ["buffer", "max_size_mb = 0", (config) => config.buffer.maxBytes, 1048576],
    ["buffer", "max_size_mb = 10241", (config) => config.buffer.maxBytes, 10737418240],
  ];
  for (const [section, line, value, expected] of cases) {
    const { config, message } = await warned({ ini: `[${section}]\n${line}` });
    assert.equal(value(config), expected, line);
    assert.match(message, /^Setting \S+ is clamped to \d+ because it must be .*: current value is -?\d+$/);
  }
});

Deno.test("loadConfig sets the interval to the next that is whole minutes and divides an hour", async () => {
  const cases = { "-5": 60, 0: 60, 59: 60, 61: 120, 90: 120, 361: 600, 420: 600, 1801: 3600, 3601: 3600, 86400: 3600 };
  for (const [given, expected] of Object.entries(cases)) {
    const { config, message } = await warned({ environment: { BITVILLE_PG_COLLECTION_INTERVAL_S: given } });
    assert.equal(config.collection.intervalS, expected, given);
    assert.match(message, new RegExp(`from BITVILLE_PG_COLLECTION_INTERVAL_S is set to ${expected} because`));
  }
  for (const given of [60, 120, 180, 240, 300, 360, 600, 720, 900, 1200, 1800, 3600]) {
    const { collection } = await config({ environment: { BITVILLE_PG_COLLECTION_INTERVAL_S: String(given) } });
    assert.equal(collection.intervalS, given);
  }
});

Deno.test("loadConfig refuses values of the wrong type and the empty ones that mean nothing", async () => {
  const lines: [string, string][] = [
    ...["", "5s", "1.5", "1e3", "0x10", "0", "65536", "-1"].map((text) => ["database.port", text] as [string, string]),
    ...["", "60s", "one minute"].map((text) => ["collection.interval_s", text] as [string, string]),
    ...["", "Full text", "all"].map((text) => ["collection.query_text", text] as [string, string]),
    ...["", "warn", "trace"].map((text) => ["logging.level", text] as [string, string]),
    ...["", "true"].map((text) => ["database.pool_max_size", text] as [string, string]),
    ["database.name", ""],
    ["database.user", ""],
    ["database.user", '"a\\u0000b"'],
    ["listener.project_id", "x".repeat(65)],
    ["buffer.path", ""],
  ];
  for (const [name, text] of lines) {
    const [section, key] = name.split(".");
    const [message = "", ...more] = await refusals({ ini: `[${section}]\n${key} = ${text}` });
    assert.ok(message.startsWith(`Cannot use ${name} because it must be `), `${name} ${text}: ${message}`);
    assert.deepEqual(more, []);
  }
});

Deno.test("loadConfig takes choices in any case and a project of 1 to 64 characters", async () => {
  const { logging, listener } = await config({ ini: "[logging]\nlevel = WARNING\n[listener]\nproject_id=🐘" });
  assert.equal(logging.level, "warning");
  assert.equal(listener.projectId, "🐘");
  await config({ environment: { BITVILLE_PG_PROJECT_ID: "🐘".repeat(64) } });
});

Deno.test("loadConfig takes hosts that a network permission can name, and no others", async () => {
  for (const host of ["db", "my_db.internal", "10.0.0.1", "::1", "2001:db8::1", "xn--mnchen-3ya.de", "DB.example."]) {
    assert.equal((await config({ environment: { BITVILLE_PG_DB_HOST: host } })).database.host, host);
  }
  const socket = await config({ environment: { BITVILLE_PG_DB_HOST: "/var/run//postgresql/" } });
  assert.equal(socket.database.host, "/var/run/postgresql");
  for (
    const host of ["*.example", "a,b", "a b", "[::1]", "fe80::1%eth0", "a/b", "münchen.de", "-a", "/", "/a,b", "a:1"]
  ) {
    const [message = ""] = await refusals({ environment: { BITVILLE_PG_DB_HOST: host } });
    assert.match(message, /^Cannot use database\.host from BITVILLE_PG_DB_HOST because it must be a host name/, host);
  }
});

Deno.test("loadConfig warns of a verifying sslmode over a socket, and of the real /proc", async () => {
  const { message } = await warned({ ini: "[database]\nhost = /run/postgresql\nsslmode = verify-full" });
  assert.match(message, /^Setting database\.sslmode has no effect because database\.host is a socket directory/);
  for (const path of ["/proc", "/proc/1/", "/tmp/../proc", "/sys"]) {
    const { message } = await warned({ environment: { BITVILLE_PG_PROCFS_PATH: path } });
    assert.match(message, /^Setting system\.procfs_path from BITVILLE_PG_PROCFS_PATH cannot be read because Deno/);
  }
});

Deno.test("loadConfig takes absolute paths, normalised, and refuses those that permissions cannot narrow", async () => {
  const names = ["BUFFER_PATH", "POSTGRES_LOG_PATH", "PROCFS_PATH", "DB_SSLROOTCERT", "LISTENER_CA_FILE"]
    .concat("DB_PASSWORD_FILE", "LISTENER_API_KEY_FILE");
  const bad = ["relative", "./relative", "~/home", "/with,comma", "/", "//", "/a/..", "c:\\x"];
  for (const name of names) {
    for (const path of bad) {
      const loaded = await load({ environment: { [`BITVILLE_PG_${name}`]: path } });
      assert.equal(loaded.kind, "refused", `${name} ${path}`);
    }
  }
  assert.equal((await load({ ini: '[buffer]\npath = "/a\\u0000b"' })).kind, "refused");
  assert.equal((await config({ ini: "[buffer]\npath = /a//b/../c/" })).buffer.path, "/a/c");
});

Deno.test("loadConfig takes a log path that is a glob or empty, but no glob that nobody could follow", async () => {
  for (const path of ["/var/log/postgresql/*.log", "/var/log/pg/a?.csv", "/var/log/pg*"]) {
    assert.equal((await config({ ini: `[collection]\nlog_path = ${path}` })).collection.logPath, path);
  }
  assert.equal((await config({ ini: "[collection]\nlog_path =" })).collection.logPath, "");
  for (const path of ["/*.log", "/va?/log/x.log", "/var/../*.log", "/var/pg-*/x.log", "/var/[ab].log"]) {
    assert.equal((await refusals({ ini: `[collection]\nlog_path = ${path}` })).length, 1, path);
  }
});

Deno.test("loadConfig takes only http and https without user info for a listener", async () => {
  for (const url of ["https://x.example/in?a=b", "http://localhost:8080/", "http://a.localhost", "http://127.9.9.9/"]) {
    assert.equal((await config({ ini: `[listener]\nurl = "${url}"` })).listener.url?.href, new URL(url).href);
  }
  await config({ environment: { BITVILLE_PG_LISTENER_URL: "http://[::1]:8080" } });
  for (const url of ["x.example/in", "ftp://x", "https://", "https://*.x", "https://a,b", "localhost:80", "nonsense"]) {
    const [message = ""] = await refusals({ environment: { BITVILLE_PG_LISTENER_URL: url } });
    assert.ok(
      message.includes(`must be an http or https URL`) && message.includes(`: current value is ${url}`),
      message,
    );
  }
});

Deno.test("loadConfig refuses a listener's port that fetch refuses, and no other", async () => {
  for (const port of blockedPorts) {
    for (const scheme of ["http", "https"]) {
      await assert.rejects(fetch(`${scheme}://127.0.0.1:${port}/`), /blocked/, `${port}`);
    }
    const [message = ""] = await refusals({ environment: { BITVILLE_PG_LISTENER_URL: `http://127.0.0.1:${port}/in` } });
    assert.match(message, /without a port of another protocol such as 22, 25 or 6000: current value is http:/);
  }
  for (const port of ["", ":80", ":443", ":8080", ":8443", ":3000", ":5432", ":9200", ":65535"]) {
    await config({ environment: { BITVILLE_PG_LISTENER_URL: `https://127.0.0.1${port}/in` } });
  }
});

Deno.test("loadConfig warns of plain http beyond loopback, without the query", async () => {
  for (const host of ["10.0.0.1", "listener.example", "localhost.example", "128.0.0.1", "[::2]"]) {
    const { message } = await warned({ environment: { BITVILLE_PG_LISTENER_URL: `http://${host}/in?token=hunter2` } });
    assert.ok(
      message.endsWith(`plain http to a host other than loopback: current value is http://${host}/in`),
      message,
    );
  }
});

Deno.test("loadConfig never shows what may be a password in a listener's URL", async () => {
  const urls = [
    "http://u:hunter2@x/",
    "https://hunter2@x",
    "u:hunter2@x",
    "https://u:hunter2@x:99999/",
    "//u:hunter2@x",
  ]
    .concat(
      "https://u:hunter2%40x",
      "https://u:hunter2",
      "https:u:hunter2@x",
      "https://u:hun/ter2@x",
      "http://a?hunter2@b c",
    );
  for (const url of urls) {
    const loaded = await load({ environment: { BITVILLE_PG_LISTENER_URL: url } });
    const told = loaded.kind === "refused" ? loaded.problems : loaded.warnings;
    assert.equal(told.length, 1, url);
    assert.doesNotMatch(JSON.stringify(told), /hunter2|ter2/, url);
  }
  const [message = ""] = await refusals({ environment: { BITVILLE_PG_LISTENER_URL: "https://u:hunter2@x/in" } });
  assert.ok(message.endsWith(": current value is https://[secret]@x/in"), message);
});

Deno.test("loadConfig shortens a long value and hides a secret that stands for its file", async () => {
  const [long = ""] = await refusals({ environment: { BITVILLE_PG_DB_PORT: "🐘".repeat(1000) } });
  assert.ok(long.endsWith("🐘...[truncated]") && long.length < 600);
  const [mistaken = ""] = await refusals({ ini: "[database]\npassword_file = hunter2" });
  assert.doesNotMatch(mistaken, /hunter2/);
});

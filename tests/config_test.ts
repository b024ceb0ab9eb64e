/**
 * Where configuration comes from, what wins, what is refused together, and that the documents agree.
 *
 * @module
 */

import assert from "node:assert/strict";
import { inspect } from "node:util";
import {
  allowedText,
  type Config,
  configPathVariable,
  defaultConfigPath,
  type Loaded,
  type Setting,
  settings,
  sourceWithoutFile,
  variableOf,
} from "../config.ts";
import { readSetting } from "../config/values.ts";
import { config, listener, load, refusals } from "./support/config_loading.ts";

Deno.test("loadConfig serves defaults where nothing is set", async () => {
  const { source, database, collection, listener, buffer, system, logging } = await config({});
  assert.equal(source, sourceWithoutFile);
  assert.equal(database.password.isEmpty && listener.apiKey.isEmpty, true);
  const { password: _password, ...databaseRest } = database;
  const { apiKey: _apiKey, ...listenerRest } = listener;
  assert.deepEqual({ databaseRest, collection, listenerRest, buffer, system, logging }, {
    databaseRest: {
      host: "localhost",
      port: 5432,
      name: "postgres",
      user: "bitville_monitor",
      passwordFile: "",
      sslmode: "prefer",
      sslrootcert: "",
      statementTimeoutMs: 5000,
      poolMaxSize: 3,
    },
    collection: { intervalS: 60, logPath: "/var/log/postgresql", queryText: "full" },
    listenerRest: { url: null, apiKeyFile: "", projectId: "", timeoutS: 5, caFile: "", compression: "none" },
    buffer: { path: "/var/lib/bitville-postgres-agent/buffer", maxBytes: 104857600 },
    system: { procfsPath: "/run/bitville-postgres-agent/proc" },
    logging: { level: "info" },
  });
});

Deno.test("loadConfig finds every default of the table allowed, and each name once", () => {
  for (const setting of settings) {
    assert.equal(readSetting(setting, setting.default).kind, "value", setting.name);
    assert.notEqual(allowedText(setting), "");
  }
  assert.equal(new Set(settings.map((setting) => setting.name)).size, settings.length);
  assert.equal(new Set(settings.map((setting) => `${setting.section}.${setting.key}`)).size, settings.length);
});

/** For each setting an allowed text other than the default. */
function otherText(setting: Setting): string {
  if (setting.kind === "integer") return String(setting.min + 1);
  if (setting.kind === "interval") return "300";
  if (setting.kind === "choice") return setting.choices.find((choice) => choice !== setting.default) ?? "";
  if (setting.kind === "url") return "https://other.example/";
  return setting.kind === "text" || setting.kind === "secret" ? "other" : "/other";
}

Deno.test("loadConfig takes every setting from the file and from its variable, and the variable wins", async () => {
  const files = { "/other": "-----BEGIN CERTIFICATE-----" };
  const revealed = (config: Config) =>
    inspect({ ...config, source: "", secrets: [config.database.password.reveal(), config.listener.apiKey.reveal()] });
  const plain = revealed(await config({ environment: listener, requires: "listener" }));
  for (const setting of settings as readonly Setting[]) {
    // The key of the listener's file counts only without the key itself.
    const environment: Record<string, string> = { ...listener };
    if (setting.key === "api_key_file") environment["BITVILLE_PG_LISTENER_API_KEY"] = "";
    delete environment[variableOf(setting)];
    const text = otherText(setting);
    const base = { files, requires: "listener" } as const;
    const fromFile = await config({ ...base, environment, ini: `[${setting.section}]\n${setting.key} = ${text}` });
    const fromVariable = await config({ ...base, environment: { ...environment, [variableOf(setting)]: text } });
    assert.equal(revealed(fromFile), revealed(fromVariable), setting.name);
    assert.notEqual(revealed(fromFile), plain, setting.name);
    const both = await config({
      ...base,
      environment: { ...environment, [variableOf(setting)]: text },
      ini: `[${setting.section}]\n${setting.key} = "\\u0000 refused by every kind"`,
    });
    assert.equal(revealed(both), revealed(fromVariable), setting.name);
  }
});

Deno.test("loadConfig takes an empty variable as not set and blanks around a variable as nothing", async () => {
  const ini = "[database]\nhost = a\nport = 1234";
  const environment = { BITVILLE_PG_DB_HOST: "", BITVILLE_PG_DB_PORT: " 99 ", BITVILLE_PG_DB_PASSWORD: " p " };
  const { database } = await config({ ini, environment });
  assert.equal(database.host, "a");
  assert.equal(database.port, 99);
  assert.equal(database.password.reveal(), " p ");
});

Deno.test("loadConfig prefers --config over the variable over the default path", async () => {
  const files = {
    "/one.ini": "[database]\nhost=one",
    "/two.ini": "[database]\nhost=two",
    [defaultConfigPath]: "[database]\nhost=three",
  };
  const environment = { [configPathVariable]: "/two.ini" };
  const one = await config({ files, environment, path: "/one.ini" });
  const two = await config({ files, environment });
  const three = await config({ files, environment: { [configPathVariable]: "" } });
  assert.deepEqual([one, two, three].map(({ source, database }) => [source, database.host]), [
    ["/one.ini", "one"],
    ["/two.ini", "two"],
    [defaultConfigPath, "three"],
  ]);
});

Deno.test("loadConfig takes a default file that is missing or out of its permissions as none", async () => {
  for (const error of [new Deno.errors.NotFound("x"), new Deno.errors.NotCapable("x")]) {
    assert.equal((await config({ files: { [defaultConfigPath]: error } })).source, sourceWithoutFile);
  }
});

Deno.test("loadConfig refuses a named file that cannot be read, and a default one that is there", async () => {
  const denied = new Deno.errors.PermissionDenied("x");
  assert.deepEqual(await refusals({ path: "/no.ini", requires: "listener" }), [
    "Cannot read configuration file /no.ini because it does not exist",
  ]);
  assert.deepEqual(await refusals({ environment: { [configPathVariable]: "/a.ini" }, files: { "/a.ini": denied } }), [
    "Cannot read configuration file /a.ini named by BITVILLE_PG_CONFIG_PATH because this user may not read it",
  ]);
  assert.deepEqual(await refusals({ files: { [defaultConfigPath]: denied } }), [
    `Cannot read configuration file ${defaultConfigPath} because this user may not read it`,
  ]);
  assert.deepEqual(await refusals({ path: "/a,b.ini", files: { "/a,b.ini": "" } }), [
    "Cannot read configuration file /a,b.ini because its path must not be empty nor hold a comma",
  ]);
});

Deno.test("loadConfig refuses everything that is wrong at once, with section, key, variable and value", async () => {
  const loaded = await load({
    ini: "[database]\nport = five\nsslmode = on\n[listener]\nurl = ftp://x",
    environment: { BITVILLE_PG_DB_PORT: "6,5", BITVILLE_PG_DB_SSLROOTCERT: "/missing.pem" },
    requires: "listener",
  });
  assert.equal(loaded.kind, "refused");
  assert.deepEqual((loaded as Loaded & { kind: "refused" }).problems, [
    {
      section: "database",
      key: "port",
      variable: "BITVILLE_PG_DB_PORT",
      value: "6,5",
      message: "Cannot use database.port from BITVILLE_PG_DB_PORT because it must be a whole number from 1 to 65535: " +
        "current value is 6,5",
    },
    {
      section: "database",
      key: "sslmode",
      variable: null,
      value: "on",
      message: "Cannot use database.sslmode because it must be disable, prefer, require, verify-ca or verify-full: " +
        "current value is on",
    },
    {
      section: "listener",
      key: "url",
      variable: null,
      value: "ftp://x",
      message:
        "Cannot use listener.url because it must be an http or https URL with a plain host, without user name and " +
        "password, and without a port of another protocol such as 22, 25 or 6000: current value is ftp://x",
    },
    {
      section: "database",
      key: "sslrootcert",
      variable: "BITVILLE_PG_DB_SSLROOTCERT",
      value: "/missing.pem",
      message: "Cannot use the file of database.sslrootcert from BITVILLE_PG_DB_SSLROOTCERT because it does not " +
        "exist: current value is /missing.pem",
    },
    {
      section: "listener",
      key: "api_key",
      variable: null,
      message: "Cannot start without listener.api_key: set api_key under [listener] or the variable " +
        "BITVILLE_PG_LISTENER_API_KEY, or api_key_file under [listener] or the variable " +
        "BITVILLE_PG_LISTENER_API_KEY_FILE",
    },
    {
      section: "listener",
      key: "project_id",
      variable: null,
      message: "Cannot start without listener.project_id: set project_id under [listener] or the variable " +
        "BITVILLE_PG_PROJECT_ID",
    },
  ]);
});

const documentation = new URL("../docs/configuration.md", import.meta.url);
const example = new URL("../systemd/postgres-agent.ini.example", import.meta.url);

/** The row of the documentation's table. */
function documentedRow(setting: Setting): string {
  const allowed = [
    `${allowedText(setting)}${setting.kind === "integer" && setting.outside === "clamped" ? " (clamped)" : ""}`,
    ...(setting.kind === "interval" ? ["others are set to the next of them"] : []),
    ...(setting.empty === undefined ? [] : [`empty: ${setting.empty}`]),
    ...(setting.required ? ["required by `start`"] : []),
  ];
  const shown = setting.default === "" ? "empty" : `\`${setting.default}\``;
  return `| \`${setting.section}.${setting.key}\` | \`${variableOf(setting)}\` | ${shown} | ${allowed.join("; ")} |`;
}

Deno.test("docs/configuration.md has the table of settings as it is", async () => {
  const text = await Deno.readTextFile(documentation);
  const rows = text.split("\n").filter((line) => /^\| `\w+\.\w+`/.test(line)).map((line) => line.replace(/ +/g, " "));
  // On failure, the expected rows are what the table has to be.
  assert.deepEqual(rows, settings.map((setting) => documentedRow(setting)));
});

Deno.test("systemd/postgres-agent.ini.example loads without a warning, as it is and with every setting in use", async () => {
  const text = await Deno.readTextFile(example);
  const files = Object.fromEntries(
    [...text.matchAll(/(?:_file|sslrootcert) = (.*)$/gm)].map(([, path]) => [path, "-----BEGIN CERTIFICATE-----"]),
  );
  const asItIs = await config({ ini: text, files, requires: "database" });
  assert.equal(asItIs.database.user, "bitville_monitor");
  // A comment without a blank behind its ; is a setting that is left at its default.
  const used = text.replace(/^;(?=\S)/gm, "");
  await config({ ini: used, files, requires: "listener" });
  for (const { section, key } of settings) {
    const body = used.split(`[${section}]`)[1]?.split("\n[")[0] ?? "";
    assert.match(body, new RegExp(`^${key} = `, "m"), `${section}.${key}`);
  }
});

/**
 * Secrets: where they come from, which are refused, and that none gets out.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { inspect } from "node:util";
import fc from "fast-check";
import { loadConfig, Secret, settings, variableOf } from "../../config.ts";
import { config, listener, load, refusals, type Setup } from "../support/config_loading.ts";
import { withFolder } from "../support/with_folder.ts";

Deno.test("loadConfig reads a secret from its file without one line end, unless it is given directly", async () => {
  const ini = "[database]\npassword_file = /p\n[listener]\napi_key_file = /k";
  const environment = { ...listener, BITVILLE_PG_LISTENER_API_KEY: "" };
  for (const end of ["", "\n", "\r\n"]) {
    const files = { "/p": ` pass word ${end}`, "/k": `key${end}` };
    const { database, listener } = await config({ ini, environment, files, requires: "listener" });
    assert.equal(database.password.reveal(), " pass word ");
    assert.equal(listener.apiKey.reveal(), "key");
    assert.deepEqual([database.passwordFile, listener.apiKeyFile], ["/p", "/k"]);
  }
  const twoEnds = await config({ ini: "[database]\npassword_file = /p", files: { "/p": "p\n\n" } });
  assert.equal(twoEnds.database.password.reveal(), "p\n");
  const direct = await config({
    ini: `${ini}\n[database]\npassword = "p"`,
    environment: listener,
    requires: "listener",
  });
  assert.equal(direct.database.password.reveal(), "p");
  assert.equal(direct.listener.apiKey.reveal(), "k");
  assert.deepEqual([direct.database.passwordFile, direct.listener.apiKeyFile], ["", ""]);
});

Deno.test("loadConfig takes what a service manager hands over where no secret and no file of it is set", async () => {
  const environment = { ...listener, BITVILLE_PG_LISTENER_API_KEY: "", CREDENTIALS_DIRECTORY: "/run/c" };
  const files = { "/run/c/db_password": "handed p\n", "/run/c/listener_api_key": "handed k\n", "/p": "p", "/k": "k" };
  const handed = await config({ environment, files, requires: "listener" });
  assert.deepEqual([handed.database.password.reveal(), handed.listener.apiKey.reveal()], ["handed p", "handed k"]);
  assert.equal(handed.database.passwordFile, "/run/c/db_password");
  assert.equal(handed.listener.apiKeyFile, "/run/c/listener_api_key");
  const ini = "[database]\npassword_file = /p\n[listener]\napi_key_file = /k";
  const named = await config({ ini, environment, files, requires: "listener" });
  assert.deepEqual([named.database.password.reveal(), named.listener.apiKey.reveal()], ["p", "k"]);
  const direct = await config({ ini: "[database]\npassword = d\n[listener]\napi_key = e", environment, files });
  assert.deepEqual([direct.database.password.reveal(), direct.database.passwordFile], ["d", ""]);
});

Deno.test("loadConfig counts a credential that is absent or empty as none", async () => {
  for (const files of [{}, { "/run/c/db_password": "\n", "/run/c/listener_api_key": "" }]) {
    const environment = { ...listener, CREDENTIALS_DIRECTORY: "/run/c" };
    assert((await config({ environment, files, requires: "listener" })).database.password.isEmpty);
    const [message] = await refusals({
      environment: { ...environment, BITVILLE_PG_LISTENER_API_KEY: "" },
      files,
      requires: "listener",
    });
    assert.match(message ?? "", /^Cannot start without listener\.api_key: /);
  }
});

Deno.test("loadConfig refuses a credential that cannot be read or is no secret, and does not show it", async () => {
  const environment = { ...listener, BITVILLE_PG_LISTENER_API_KEY: "", CREDENTIALS_DIRECTORY: "/run/c" };
  const files = {
    "/run/c/db_password": new Deno.errors.PermissionDenied("no"),
    "/run/c/listener_api_key": "two\nlines",
  };
  const messages = await refusals({ environment, files, requires: "listener" });
  assert.deepEqual(messages.slice(0, 1), [
    "Cannot use credential /run/c/db_password for database.password because this user may not read it",
  ]);
  assert.match(
    messages[1] ?? "",
    /^Cannot use credential \/run\/c\/listener_api_key for listener\.api_key because its/,
  );
  assert(!messages.join().includes("lines"));
});

Deno.test("loadConfig reads the listener's files only where the listener is required", async () => {
  const setup: Setup = { ini: "[listener]\napi_key_file = /missing\nca_file = /missing.pem", environment: listener };
  assert.equal((await config(setup)).listener.apiKeyFile, "");
  assert.deepEqual(await refusals({ ...setup, requires: "listener" }), [
    "Cannot use the file of listener.ca_file because it does not exist: current value is /missing.pem",
  ]);
});

Deno.test("loadConfig refuses a file of certificates that holds none", async () => {
  for (const [section, key] of [["database", "sslrootcert"], ["listener", "ca_file"]] as const) {
    const ini = `[${section}]\n${key} = /ca.pem`;
    for (const text of ["a host", "-----BEGIN PRIVATE KEY-----"]) {
      const files = { "/ca.pem": text };
      const [message] = await refusals({ ini, environment: listener, requires: "listener", files });
      assert.equal(
        message,
        `Cannot use the file of ${section}.${key} because it holds no PEM certificate: current value is /ca.pem`,
      );
    }
  }
});

Deno.test("loadConfig refuses a secret's file that is missing, empty, closed, no file or no text", async () => {
  const closed = new Deno.errors.NotCapable("x");
  const cases: [string | Error | undefined, string][] = [
    [undefined, "it does not exist"],
    ["", "it is empty"],
    ["\n", "it is empty"],
    [new Deno.errors.PermissionDenied("x"), "this user may not read it"],
    [closed, "this process was started without permission for it: restart the agent to use it"],
    ["hunter2\0", "its content must be text without NUL, in UTF-8"],
    ["hunter2\uFFFD", "its content must be text without NUL, in UTF-8"],
  ];
  for (const [content, why] of cases) {
    const setup = { environment: { BITVILLE_PG_DB_PASSWORD_FILE: "/p" } };
    assert.deepEqual(await refusals({ ...setup, files: content === undefined ? {} : { "/p": content } }), [
      `Cannot use the file of database.password_file from BITVILLE_PG_DB_PASSWORD_FILE because ${why}: ` +
      "current value is /p",
    ]);
  }
});

Deno.test("loadConfig reads real files and refuses a directory and a closed file in their place", async (t) => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "password"), "hunter2\n");
    await Deno.writeTextFile(join(folder, "agent.ini"), `[database]\npassword_file = ${folder}/password\n`);
    const loadReal = (environment: Record<string, string> = {}) =>
      loadConfig({
        path: join(folder, "agent.ini"),
        environment: (name) => environment[name],
        readTextFile: (path) => Deno.readTextFile(path),
        requires: "database",
      });
    const loaded = await loadReal();
    assert.equal(loaded.kind === "loaded" && loaded.config.database.password.reveal(), "hunter2");
    const directory = await loadReal({ BITVILLE_PG_DB_PASSWORD_FILE: folder });
    assert.match(JSON.stringify(directory), /Cannot use the file of database\.password_file.*directory/i);
    await t.step({
      name: "a closed file (skipped for root, who may read everything)",
      ignore: Deno.uid() === 0,
      fn: async () => {
        await Deno.chmod(join(folder, "password"), 0o000);
        assert.match(JSON.stringify(await loadReal()), /this user may not read it/);
        await Deno.chmod(join(folder, "agent.ini"), 0o000);
        assert.match(JSON.stringify(await loadReal()), /Cannot read configuration file .* this user may not read it/);
      },
    });
  });
});

Deno.test("loadConfig refuses an API key that no HTTP header can carry, without showing it", async () => {
  for (const key of ["a\nb", "a\tb", "a\x7fb", "a\x85b", "ключ-hunter2", " hunter2", "hunter2 "]) {
    const [message = "", ...more] = await refusals({
      environment: { ...listener, BITVILLE_PG_LISTENER_API_KEY: key },
      requires: "listener",
    });
    assert.equal(
      message,
      "Cannot use listener.api_key from BITVILLE_PG_LISTENER_API_KEY because it must be text that fits into an HTTP " +
        "header: no control characters, nothing beyond Latin-1, no blank at its ends",
    );
    assert.deepEqual(more, []);
    assert.equal(
      (await refusals({
        ini: `[listener]\napi_key_file=/k`,
        files: { "/k": key },
        requires: "listener",
        environment: { ...listener, BITVILLE_PG_LISTENER_API_KEY: "" },
      })).length,
      1,
    );
  }
  const key = "a ~é";
  const { listener: taken } = await config({ environment: { BITVILLE_PG_LISTENER_API_KEY: key } });
  new Headers({ Authorization: `Bearer ${taken.apiKey.reveal()}` });
});

Deno.test("Secret shows itself only when asked", () => {
  const secret = new Secret("hunter2");
  assert.equal(secret.reveal(), "hunter2");
  assert.equal(secret.isEmpty, false);
  assert.equal(new Secret("").isEmpty, true);
  for (const text of [`${secret}`, JSON.stringify({ secret }), Deno.inspect({ secret }), inspect({ secret })]) {
    assert.match(text, /\[secret\]/);
    assert.doesNotMatch(text, /hunter2/);
  }
});

Deno.test("loadConfig lets no secret into problems, warnings or a shown configuration, whatever else is set", async () => {
  const anyText = fc.string({ unit: "grapheme", maxLength: 30 });
  const junk = fc.array(fc.tuple(fc.constantFrom(...settings), anyText), { maxLength: 6 });
  // Long and varied enough not to occur by chance in what is rightly shown.
  const anySecret = fc.string({ unit: "grapheme", minLength: 12, maxLength: 40 })
    .filter((text) => new Set(text).size >= 8);
  const ways = fc.constantFrom(
    "variable",
    "quoted",
    "bare",
    "file",
    "junk line",
    "wrong key",
    "user info",
    "file name",
  );
  await fc.assert(
    fc.asyncProperty(anySecret, ways, junk, fc.array(anyText), async (secret, way, junk, lines) => {
      const isSecret = ({ kind }: { kind: string }) => kind === "secret" || kind === "secret_file";
      const others = junk.filter(([setting]) => !isSecret(setting) && setting.kind !== "url");
      const environment: Record<string, string> = {};
      const ini = [...lines];
      for (const [index, [setting, text]] of others.entries()) {
        if (index % 2 === 0) environment[variableOf(setting)] = text;
        else ini.push(`[${setting.section}]`, `${setting.key} = ${text}`);
      }
      placeSecret(secret, { way, environment, ini });
      const loaded = await load({
        ini: ini.join("\n"),
        environment,
        files: { "/secret": secret },
        requires: ini.length % 2 === 0 ? "listener" : "database",
      });
      // As a URL's path the secret may be part of a good URL, which the configuration rightly holds.
      const shown = way === "user info" ? { ...loaded, config: null } : loaded;
      const texts = [JSON.stringify(shown), Deno.inspect(shown, { depth: 9 }), inspect(shown, { depth: 9 })];
      for (const problem of [...loaded.warnings, ...(loaded.kind === "refused" ? loaded.problems : [])]) {
        texts.push(problem.message, problem.value ?? "");
      }
      for (const text of texts) {
        assert.ok(!text.includes(secret) && !text.includes(JSON.stringify(secret).slice(1, -1)), text);
      }
    }),
    { numRuns: 500 },
  );
});

function placeSecret(secret: string, into: { way: string; environment: Record<string, string>; ini: string[] }): void {
  const { way, environment, ini } = into;
  if (way === "variable") {
    environment["BITVILLE_PG_DB_PASSWORD"] = secret;
    environment["BITVILLE_PG_LISTENER_API_KEY"] = secret;
  }
  if (way === "quoted") ini.push("[database]", `password = ${JSON.stringify(secret)}`);
  if (way === "bare") ini.push("[database]", `password = ${secret}`, "[listener]", `api_key=${secret}`);
  if (way === "file") ini.push("[database]", "password_file=/secret", "[listener]", "api_key_file = /secret");
  if (way === "junk line") ini.push("[database]", `password ${secret}`, secret);
  if (way === "wrong key") ini.push("[database]", `pasword = ${secret}`, `password: ${secret} = x`);
  if (way === "user info") environment["BITVILLE_PG_LISTENER_URL"] = `http://user:${secret}@host/`;
  if (way === "file name") ini.push("[database]", `password_file = x${secret}`);
}

/**
 * The arguments of `deno task listener`, and the permissions that they come to.
 *
 * @module
 */

import assert from "node:assert/strict";
import { readListenerArguments } from "../../../tasks/listener/arguments.ts";
import { listenerPermissions } from "../../../tasks/listener/permissions.ts";

function environment(name: string): string | undefined {
  return ({ HOME: "/home/ada", INIT_CWD: "/home/ada/here" } as Record<string, string>)[name];
}

Deno.test("readListenerArguments takes what is given and the defaults for the rest", () => {
  const read = readListenerArguments(["--port=0", "--keys-file", "keys", "--data", "../store", "--json"], environment);
  assert.deepEqual(read, {
    ...{ host: "127.0.0.1", port: 0, apiKey: "demo-key", keysFile: "/home/ada/here/keys", pagePasswordFile: null },
    ...{ data: "/home/ada/store", keepDays: 7, megabytesMax: 2_048, json: true },
  });
  assert.equal(readListenerArguments([], environment).data, "/home/ada/.local/state/bitville-listener");
});

Deno.test("readListenerArguments says which argument makes no sense", () => {
  assert.throws(() => readListenerArguments([], () => undefined), /no home: name one with --data/);
  const cases: [string[], RegExp][] = [
    [["--keep-days", "0"], /--keep-days because it must be a whole number from 1 to 3650: current value is 0$/],
    [["--max-size-mb", "1"], /--max-size-mb because it must be a whole number from 16/],
    [["--port", "70000"], /--port because it must be a whole number from 0 to 65535: current value is 70000$/],
    [["--port=-1"], /--port because/],
    [["--data="], /--data because it must not be empty/],
    [["--porto", "1"], /Unknown option '--porto'/],
    [["extra"], /Unexpected argument 'extra'/],
  ];
  for (const [args, problem] of cases) assert.throws(() => readListenerArguments(args, environment), problem);
});

Deno.test("listenerPermissions allow its address, its code and its folder, and nothing else", () => {
  const read = readListenerArguments(
    ["--host", "::1", "--data", "/var/store", "--keys-file", "/etc/keys"],
    environment,
  );
  assert.deepEqual(listenerPermissions(read, "/opt/agent"), [
    "--no-prompt",
    "--allow-net=[::1]:8080",
    "--allow-read=/opt/agent,/var/store,/etc/keys",
    "--allow-write=/var/store",
    "--allow-env=HOME,XDG_STATE_HOME,INIT_CWD",
  ]);
});

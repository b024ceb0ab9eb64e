/**
 * The INI reader: what it takes from a file, what it warns of, and that plain files mean what the `ini` package says.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { parse } from "ini";
import { readConfigFile } from "../../config/file.ts";
import { settings } from "../../config.ts";

async function textOf(ini: string, name = "database.password"): Promise<string | undefined> {
  return (await readConfigFile(ini)).entries.get(name)?.text;
}

async function messages(ini: string): Promise<string[]> {
  return (await readConfigFile(ini)).oddities.map((oddity) => oddity.message);
}

Deno.test("readConfigFile keeps every value a string, whole and without a warning", async () => {
  const cases: [string, string][] = [
    ["plain", "plain"],
    ["", ""],
    ["true", "true"],
    ["null", "null"],
    ["007", "007"],
    ["a = b", "a = b"],
    ['"1234"', "1234"],
    ["'1234'", "1234"],
    [`'{"a":1}'`, `{"a":1}`],
    ['"a;b#c"', "a;b#c"],
    ["'a;b#c'", "a;b#c"],
    [`'abc"d'`, `abc"d`],
    [String.raw`"abc\"d\\"`, String.raw`abc"d` + "\\"],
    [String.raw`'a\nb'`, String.raw`a\nb`],
    ['"  blanks  "', "  blanks  "],
    ['""', ""],
    ['"quoted" ; with a comment', "quoted"],
    [`"quoted" # with a "comment"`, "quoted"],
    ["word # comment", "word"],
    ["word ; comment", "word"],
    ["# comment", ""],
    [String.raw`a\;b\#c\\d`, String.raw`a;b#c\d`],
    [String.raw`C:\dir`, String.raw`C:\dir`],
    ["pässwörd 密码", "pässwörd 密码"],
  ];
  for (const [written, expected] of cases) {
    const ini = `[database]\npassword = ${written}\n`;
    assert.equal(await textOf(ini), expected, written);
    assert.deepEqual(await messages(ini), [], written);
  }
});

Deno.test("readConfigFile warns of a value that a comment cuts short, without showing it", async () => {
  for (const written of ["ab#cd", "ab;cd", "#abcd", `"ab"#cd`, "ab#cd # comment"]) {
    const found = await messages(`[database]\npassword=${written}`);
    assert.deepEqual(found, [
      "Value of database.password on line 2 ends before a ; or # that begins a comment: " +
      "put the value into double quotes if this belongs to it",
    ], written);
  }
});

Deno.test("readConfigFile takes unpaired quotes literally and warns, without showing the value", async () => {
  const cases: [string, string][] = [
    [`"ab"cd"`, `ab"cd`],
    [`'it's'`, `it's`],
    [`"abcd`, `"abcd`],
    [`'`, `'`],
    [String.raw`"a\d"`, String.raw`a\d`],
    [String.raw`"abcd\"`, "abcd\\"],
  ];
  for (const [written, expected] of cases) {
    assert.equal(await textOf(`[database]\npassword=${written}`), expected, written);
    const [message = "", ...more] = await messages(`[database]\npassword=${written}`);
    assert.match(message, /^Value of database\.password on line 2 has quotes that do not pair up/);
    assert.deepEqual(more, []);
  }
});

Deno.test("readConfigFile takes a byte order mark, any line end, indents and comments behind a section", async () => {
  const ini = "\uFEFF[database]\r\nhost = a\r\n  port = 1\r  [listener] ; where to\n\turl=http://x\r\n";
  const { entries, oddities } = await readConfigFile(ini);
  assert.deepEqual(Object.fromEntries([...entries].map(([name, entry]) => [name, entry.text])), {
    "database.host": "a",
    "database.port": "1",
    "listener.url": "http://x",
  });
  assert.equal(entries.get("listener.url")?.line, 5);
  assert.deepEqual(oddities, []);
});

Deno.test("readConfigFile warns of a line that is nothing, by its number and without showing it", async () => {
  const ini = "[database]\n\nhost = a\npassword hunter2\n= hunter2\n[database\n";
  assert.deepEqual(
    await messages(ini),
    [4, 5, 6].map((line) => `Line ${line} is ignored because it is neither a section, a comment nor key=value`),
  );
});

Deno.test("readConfigFile takes the last of a key given twice and warns", async () => {
  const ini = "[database]\nhost=a\n[listener]\n[database]\nhost=b\n";
  assert.equal(await textOf(ini, "database.host"), "b");
  assert.deepEqual(await messages(ini), [
    "Setting database.host is given twice, on lines 2 and 5: the last one is used",
  ]);
});

Deno.test("readConfigFile names what an unknown section or key was probably meant to be", async () => {
  const cases: [string, string][] = [
    [
      "[databse]\nhost=a",
      "Section [databse] on line 1 is not known and its keys are ignored: did you mean [database]?",
    ],
    ["[Listener]", "Section on line 1 is not known and its keys are ignored: did you mean [listener]?"],
    [
      "[smtp]\nhost=a",
      "Section [smtp] on line 1 is not known and its keys are ignored: " +
      "sections are database, collection, listener, buffer, system, logging",
    ],
    [
      "[database]\npasword=a",
      "Key pasword on line 2 is not known in [database] and is ignored: did you mean password?",
    ],
    ["[database]\nHOST=a", "Key on line 2 is not known in [database] and is ignored: did you mean host?"],
    ["[database]\nhost[]=a", "Key on line 2 is not known in [database] and is ignored: did you mean host?"],
    ["[database]\ncolour=a", "Key colour on line 2 is not known in [database] and is ignored"],
    [
      "[database]\napi_key=a",
      "Key api_key on line 2 is not known in [database] and is ignored: it is api_key in [listener]",
    ],
    [
      "[database]\ndb_host=a",
      "Key db_host on line 2 is not known in [database] and is ignored: it is host in [database]",
    ],
    ["host=a", "Key host on line 1 is ignored because it stands before any section: host belongs under [database]"],
    ["colour=a", "Key colour on line 1 is ignored because it stands before any section"],
    [
      "[database]\n__proto__=a",
      "Key on line 2 is not known in [database] and is ignored",
    ],
  ];
  for (const [ini, expected] of cases) assert.deepEqual(await messages(ini), [expected], ini);
});

Deno.test("readConfigFile never repeats a name that may be part of a secret", async () => {
  // A base64 secret on a line of its own, and a password written with a colon.
  for (const line of ["c2VjcmV0LXNlY3JldA==", "password: hunter2=hunter2", "[hunter2 is my Password]"]) {
    const text = JSON.stringify((await readConfigFile(`[database]\n${line}`)).oddities);
    assert.doesNotMatch(text, /hunter2|c2Vj/i);
  }
});

Deno.test("readConfigFile reads plain values as the ini package does", async () => {
  const word = fc.stringMatching(/^[A-Za-z0-9_./:@\\;# -]{0,20}$/)
    .filter((text) => !/^(true|false|null)$/.test(text.replace(/[;#].*/, "").trim()));
  await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom(...settings), word)), async (lines) => {
    const ini = lines.map(([{ section, key }, text]) => `[${section}]\n${key} = ${text}\n`).join("");
    const parsed: Record<string, Record<string, string>> = parse(ini);
    for (const [{ section, key }] of lines) {
      assert.equal(await textOf(ini, `${section}.${key}`), parsed[section]?.[key]);
    }
  }));
});

Deno.test("readConfigFile takes any text without throwing", async () => {
  await fc.assert(fc.asyncProperty(fc.string({ unit: "binary", maxLength: 300 }), async (text) => {
    await readConfigFile(text);
    await readConfigFile(`[database]\npassword=${text}`);
  }));
});

/**
 * The words of all languages against message catalogues: those that Debian installs with a server, and what those of
 * four versions say, in a fixture.
 *
 * @module
 */

import assert from "node:assert/strict";
import {
  englishPosition,
  kindOf,
  knownName,
  languages,
  levelOf,
  lineKinds,
} from "../../../collectors/logs/languages.ts";
import fixture from "../../fixtures/languages.json" with { type: "json" };

const locales = "/usr/share/locale";

/** The catalogues of the server that are installed here, of any version. */
function installed(): { name: string; path: string }[] {
  try {
    return [...Deno.readDirSync(locales)].flatMap(({ name }) => {
      const folder = `${locales}/${name}/LC_MESSAGES`;
      const found = [...readFolder(folder)].filter((entry) => /^postgres-\d+\.mo$/.test(entry.name));
      return found.map((entry) => ({ name, path: `${folder}/${entry.name}` }));
    });
  } catch {
    return [];
  }
}

function readFolder(path: string): Iterable<Deno.DirEntry> {
  try {
    return [...Deno.readDirSync(path)];
  } catch {
    return [];
  }
}

/** GNU's binary catalogue: counts, then lengths and places of originals and translations. */
function readCatalogue(path: string): Map<string, string> {
  const bytes = Deno.readFileSync(path);
  const view = new DataView(bytes.buffer);
  const decoder = new TextDecoder();
  const [count, originals, translations] = [8, 12, 16].map((at) => view.getUint32(at, true)) as [
    number,
    number,
    number,
  ];
  const text = (table: number, index: number) => {
    const length = view.getUint32(table + index * 8, true);
    const start = view.getUint32(table + index * 8 + 4, true);
    return decoder.decode(bytes.subarray(start, start + length));
  };
  return new Map(Array.from({ length: count }, (_, index) => [text(originals, index), text(translations, index)]));
}

/** What is compared, by the names that the fixture has. */
function originals(): Map<string, string> {
  const levels = ["DEBUG", "LOG", "INFO", "NOTICE", "WARNING", "ERROR", "FATAL", "PANIC"];
  const labels = lineKinds.map((
    kind,
  ) => [kind, kind === "location" ? "LOCATION:  %s:%d\n" : `${kind.toUpperCase()}:  `]);
  return new Map([
    ...levels.map((level) => [level, level] as const),
    ...labels as [string, string][],
    ["position", " at character %d"],
    ["unknown", "[unknown]"],
  ]);
}

function assertKnown(language: string, key: string, translation: string): void {
  const where = `${language} ${key}: ${translation}`;
  if (key === "position") {
    assert.equal(englishPosition(`x${translation.replace("%d", "12")}`), "x at character 12", where);
  } else if (key === "unknown") assert.equal(knownName(translation), null, where);
  else if (key === key.toUpperCase()) assert.equal(levelOf(translation, key === "NOTICE" ? "00000" : null), key, where);
  else assert.equal(kindOf(translation.replace(/ ?:.*/s, "")), key, where);
}

Deno.test("languages have the words of the catalogues of PostgreSQL 13, 15, 17 and 18", () => {
  assert.deepEqual(
    Object.keys(fixture).sort(),
    languages.map(({ name }) => name).filter((name) => name !== "en").sort(),
  );
  for (const [language, words] of Object.entries(fixture)) {
    for (const [key, translations] of Object.entries(words)) {
      for (const translation of translations) assertKnown(language, key, translation);
    }
  }
});

const catalogues = installed();

Deno.test({
  name: "languages have the words of the catalogues of an installed server (Debian's postgresql)",
  ignore: catalogues.length === 0,
  fn: () => {
    for (const { name, path } of catalogues) {
      const words = readCatalogue(path);
      for (const [key, original] of originals()) assertKnown(name, key, words.get(original) ?? original);
    }
  },
});

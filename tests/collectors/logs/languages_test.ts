/**
 * The words of all languages against the message catalogues that Debian installs with a server.
 *
 * @module
 */

import assert from "node:assert/strict";
import { kindOf, languages, levelOf, lineKinds } from "../../../collectors/logs/languages.ts";

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

const catalogues = installed();

Deno.test({
  name: "languages have the words of the catalogues of an installed server (Debian's postgresql)",
  ignore: catalogues.length === 0,
  fn: () => {
    for (const { name, path } of catalogues) {
      const words = readCatalogue(path);
      const translated = (text: string) => words.get(text) ?? text;
      for (const level of ["DEBUG", "LOG", "INFO", "NOTICE", "WARNING", "ERROR", "FATAL", "PANIC"]) {
        const found = levelOf(translated(level), level === "NOTICE" ? "00000" : null);
        assert.equal(found, level, `${name}: ${translated(level)}`);
      }
      for (const kind of lineKinds) {
        const original = kind === "location" ? "LOCATION:  %s:%d\n" : `${kind.toUpperCase()}:  `;
        const label = translated(original).replace(/ ?:.*/s, "");
        assert.equal(kindOf(label), kind, `${name}: ${label}`);
      }
      const { position, unknownName } = languages.find((language) => language.name === name)!;
      assert.equal(position.replace("#", "%d"), translated(" at character %d"), name);
      assert.equal(unknownName, translated("[unknown]"), name);
    }
  },
});

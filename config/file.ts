/**
 * The text of an INI file → its values, always strings, with a warning for whatever would be lost without a word. The
 * `ini` package unescapes the values; read by it alone, a file loses what follows `;` or `#` in a password, lines without
 * `=`, sections with a comment behind them and repeated keys, and `true` or quoted numbers stop being strings.
 *
 * @module
 */

import { type Setting, settings } from "./settings.ts";

/** A value of the file. */
export interface Entry {
  text: string;
  line: number;
}

/** Something odd about the file. Never holds a value: what stands on a broken line may be a password. */
export interface Oddity {
  section: string | null;
  key: string | null;
  message: string;
}

/** What a file says: its values by `section.key`, known ones only, and what is odd. */
export interface FileContent {
  entries: Map<string, Entry>;
  oddities: Oddity[];
}

/** Reads the text of an INI file. Nothing in it is an error here: the values are judged elsewhere. */
export async function readConfigFile(text: string): Promise<FileContent> {
  const content: FileContent = { entries: new Map(), oddities: [] };
  let section: string | null = null;
  // Split here and not by the package, which skips empty lines and so loses their numbers.
  for (const [index, raw] of text.replace(/^\uFEFF/, "").split(/\r\n|\r|\n/).entries()) {
    const line = raw.trim();
    if (line === "" || /^[;#]/.test(line)) continue;
    const header = /^\[([^\]]*)\]\s*([;#].*)?$/.exec(line);
    if (header === null) await readLine(content, { section, line, number: index + 1 });
    else section = await readHeader(content, (header[1] ?? "").trim(), index + 1);
  }
  return content;
}

async function readHeader(content: FileContent, section: string, number: number): Promise<string> {
  if (!sections.includes(section)) {
    const { nearest } = await import("./odd_text.ts");
    const near = nearest(section, sections);
    content.oddities.push({
      section: printable(section),
      key: null,
      message: `Section ${named(section, "[]")}on line ${number} is not known and its keys are ignored` +
        (near === undefined ? `: sections are ${sections.join(", ")}` : `: did you mean [${near}]?`),
    });
  }
  return section;
}

interface Line {
  section: string | null;
  line: string;
  number: number;
}

async function readLine(content: FileContent, { section, line, number }: Line): Promise<void> {
  const inSection = section === null ? null : printable(section);
  const separator = line.indexOf("=");
  if (separator < 1) {
    const message = `Line ${number} is ignored because it is neither a section, a comment nor key=value`;
    content.oddities.push({ section: inSection, key: null, message });
    return;
  }
  // What is in a section that is not known has had its warning.
  if (section !== null && !sections.includes(section)) return;
  const key = line.slice(0, separator).trim();
  if (!settings.some((setting) => setting.section === section && setting.key === key)) {
    const message = await unknownKeyText(section, key, number);
    content.oddities.push({ section: inSection, key: printable(key), message });
    return;
  }
  await readEntry(content, { name: `${section}.${key}`, raw: line.slice(separator + 1).trim(), number });
}

async function readEntry(
  content: FileContent,
  entry: { name: string; raw: string; number: number },
): Promise<void> {
  const { name, number } = entry;
  const [section = null, key = null] = name.split(".");
  const { text, oddity } = await readValue(entry.raw);
  if (oddity !== undefined) {
    content.oddities.push({ section, key, message: `Value of ${name} on line ${number} ${oddity}` });
  }
  const earlier = content.entries.get(name);
  if (earlier !== undefined) {
    const message = `Setting ${name} is given twice, on lines ${earlier.line} and ${number}: the last one is used`;
    content.oddities.push({ section, key, message });
  }
  content.entries.set(name, { text, line: number });
}

const cutText = "ends before a ; or # that begins a comment: put the value into double quotes if this belongs to it";
const unpairedText = 'has quotes that do not pair up: within double quotes write \\" and \\\\ for " and \\';

async function readValue(raw: string): Promise<{ text: string; oddity?: string }> {
  if (!/[\\;#"']/.test(raw)) return { text: raw };
  const quoted = /^("(?:\\.|[^"\\])*"|'[^']*')(\s*)([;#].*)?$/.exec(raw);
  if (quoted !== null) {
    const cut = quoted[3] !== undefined && quoted[2] === "";
    const unquoted = unquote(quoted[1] ?? "");
    return cut ? { ...unquoted, oddity: cutText } : unquoted;
  }
  if (/^(["']).*\1$/.test(raw) && raw.length > 1) return { text: raw.slice(1, -1), oddity: unpairedText };
  const { unescapeValue } = await import("./odd_text.ts");
  // The package makes a lone single quote empty.
  const text = /^["']$/.test(raw) ? raw : unescapeValue(raw);
  if (/^["']/.test(raw)) return { text, oddity: unpairedText };
  return isCut(raw) ? { text, oddity: cutText } : { text };
}

// Single quotes take everything as it is. Double quotes are JSON's, as in the package, but never other than a string.
function unquote(quoted: string): { text: string; oddity?: string } {
  if (quoted.startsWith("'")) return { text: quoted.slice(1, -1) };
  try {
    return { text: JSON.parse(quoted) };
  } catch {
    return { text: quoted.slice(1, -1), oddity: unpairedText };
  }
}

// A comment with a blank before it is meant as one; `ab#cd` hardly is, nor is `#cd` as the whole value.
function isCut(raw: string): boolean {
  const kept = /^(?:\\.|[^\\;#])*/.exec(raw)?.[0] ?? "";
  if (kept.length === raw.length) return false;
  return kept === "" ? /^[;#]\S/.test(raw) : !/\s$/.test(kept);
}

const sections: readonly string[] = [...new Set(settings.map((setting) => setting.section))];

async function unknownKeyText(section: string | null, key: string, number: number): Promise<string> {
  const where = `Key ${named(key, "")}on line ${number}`;
  const known: readonly Setting[] = settings;
  const elsewhere = known.find((setting) => setting.key === key) ?? known.find((setting) => setting.name === key);
  if (section === null) {
    const hint = elsewhere === undefined ? "" : `: ${elsewhere.key} belongs under [${elsewhere.section}]`;
    return `${where} is ignored because it stands before any section${hint}`;
  }
  const unknown = `${where} is not known in [${section}] and is ignored`;
  if (elsewhere !== undefined) return `${unknown}: it is ${elsewhere.key} in [${elsewhere.section}]`;
  const { nearest } = await import("./odd_text.ts");
  const near = nearest(key, known.filter((setting) => setting.section === section).map((setting) => setting.key));
  return near === undefined ? unknown : `${unknown}: did you mean ${near}?`;
}

// Only a name that looks like ours is repeated: on a broken line, what stands before the = may be part of a secret.
function printable(name: string): string | null {
  return /^[a-z][a-z0-9_]{0,39}$/.test(name) ? name : null;
}

function named(name: string, brackets: string): string {
  return printable(name) === null ? "" : `${brackets.slice(0, 1)}${name}${brackets.slice(1)} `;
}

/**
 * Messages, details, hints and contexts of the server's log without the values in them. PostgreSQL quotes names and
 * values alike, so a form that is known to hold only names or figures is kept (`message_forms.ts`); all else loses what
 * is in quotes and parentheses, and every word with a digit, an `@` or a `=` in it.
 *
 * @module
 */

import { cutMark } from "../text.ts";
import { contextStart, isHarmless, isNameBehind, openParts, sqlParts, valueEnd } from "./message_forms.ts";
import { redactPlan } from "./plan.ts";
import { placeholder, redactSql, replaceLiterals } from "./sql.ts";

/** Of statements inside messages: without literals, or not at all. */
export interface MessageOptions {
  statements: "redacted" | "removed";
}

type PartOptions = MessageOptions & { isCut: boolean };

/**
 * A text of the server's log without its values (docs/redaction.md): any of message, detail, hint and context. Never
 * fails, whatever the text.
 */
export function redactMessage(message: string, options: MessageOptions = { statements: "redacted" }): string {
  const mark = message.endsWith(cutMark) ? cutMark : "";
  const text = message.slice(0, message.length - mark.length);
  const partOptions = { ...options, isCut: mark !== "" };
  return (contextStart.test(text) ? redactContext(text, partOptions) : redactPart(text, partOptions)) + mark;
}

/** A context, or a deadlock's detail: one part for each function, statement or process, each from a line's start. */
function redactContext(text: string, options: PartOptions): string {
  const parts = text.split(new RegExp(`\n(?=${contextStart.source.slice(1)})`));
  const redacted: string[] = [];
  for (const [index, part] of parts.entries()) {
    redacted.push(redactPart(part, options));
    // A quote that is still open here: what looked like the next part may be inside of it.
    if (/^[^"\n]*: ?"|^(?:SQL|PL\/pgSQL) \w+ "/.test(part) && !/"(?: statement \d+)?$/.test(part)) {
      if (index < parts.length - 1) redacted.push(placeholder);
      break;
    }
  }
  return redacted.join("\n");
}

function redactPart(text: string, options: PartOptions): string {
  if (isHarmless(text)) return text;
  const removes = options.statements === "removed";
  const plan = /^duration: [\d.]+ ms +plan:\n/.exec(text);
  if (plan !== null) return plan[0] + (removes ? placeholder : redactPlan(text.slice(plan[0].length)));
  const sql = sqlParts.exec(text);
  if (sql !== null) {
    // PostgreSQL does not escape quotes inside of these: the last one closes.
    const end = sql[0].endsWith('"') && text.endsWith('"') && text.length > sql[0].length
      ? text.length - 1
      : text.length;
    const statement = text.slice(sql[0].length, end);
    return sql[0] + (removes ? placeholder : redactSql(statement)) + text.slice(end);
  }
  return redactValues(text, options.isCut);
}

function redactValues(text: string, isCut: boolean): string {
  const parameters = /^(?:parameters: |(?:[a-z ]+(?:"[^"\n]*" )?)?(?:with parameters: |parameter (?=\$\d)))/i.exec(
    text,
  );
  if (parameters !== null) {
    return parameters[0] + replaceLiterals(text.slice(parameters[0].length), { backslashesArePlain: true });
  }
  const open = openParts.exec(text);
  if (open !== null) return open[0] + placeholder;
  return redactKey(text) ?? redactWords(text, isCut);
}

/** How a detail about a key ends behind its values. */
const keyEnd =
  /\)(\.| already exists\.| is duplicated\.| is not present in table "[^"]*"\.| is still referenced from table "[^"]*"\.)$/;

/** `Key (email)=(a@b.c) already exists.`; `Failing row contains (1, …).`; null for others. Values may hold anything. */
function redactKey(text: string): string | null {
  const key = /^(?:Key |Partition key of the failing row contains )\(([^]*?)\) ?= ?\(/.exec(text);
  const start = key ?? /^Failing row contains \(/.exec(text);
  if (start === null) return null;
  const opening = key === null ? start[0] : start[0].replace(key[1]!, () => redactSql(key[1]!));
  return `${opening}${placeholder}${keyEnd.exec(text)?.[0] ?? ")"}`;
}

/** Schema, point and name: 63 bytes is what PostgreSQL lets a name have. */
const nameCharsMax = 127;

const closing: Record<string, string> = {
  '"': '"',
  "'": "'",
  "`": "`'",
  "(": ")",
  "«": "»",
  "»": "«",
  "„": "“”",
  "“": "”",
  "‘": "’",
  "「": "」",
  "『": "』",
};

/** Any other text, word by word. Of one that was cut, nothing is kept behind a value: its end may not have come yet. */
function redactWords(text: string, isCut: boolean): string {
  const parts = /["'`(«»„“‘「『]|[^\s"`(«»„“‘「『']+/g;
  let redacted = "";
  let done = 0;
  for (let part = parts.exec(text); part !== null; part = parts.exec(text)) {
    let end = part.index + part[0].length;
    const before = text.slice(Math.max(0, part.index - 48), part.index);
    redacted += text.slice(done, part.index);
    if (closing[part[0]] === undefined) redacted += redactWord(part[0], { before, after: text.slice(end, end + 8) });
    else if (isApostrophe(text, part.index)) redacted += part[0];
    else {
      const nameEnd = part[0] === '"' ? text.slice(end, end + nameCharsMax + 1).indexOf('"') : -1;
      const isName = nameEnd !== -1 && isNameBehind(before, text.slice(end, end + nameEnd));
      const last = isName ? end + nameEnd : lastOf(closing[part[0]]!, { text, from: end });
      const isOpen = last === -1 || (!isName && !isValueEnd(part[0], { rest: text.slice(last + 1), isCut }));
      if (isOpen) return redacted + part[0] + placeholder;
      const inside = text.slice(end, last);
      redacted += part[0] + (isName || inside === "" ? inside : placeholder) + text[last];
      end = last + 1;
    }
    done = parts.lastIndex = end;
  }
  return redacted + text.slice(done);
}

function isValueEnd(opening: string, { rest, isCut }: { rest: string; isCut: boolean }): boolean {
  if (rest === "") return true;
  return !isCut && (!/["'`(]/.test(opening) || valueEnd.test(rest));
}

/** A value in quotes may hold the quote itself, unescaped: the last one of the text closes. */
function lastOf(characters: string, at: { text: string; from: number }): number {
  const last = Math.max(...Array.from(characters, (character) => at.text.lastIndexOf(character)));
  return last >= at.from ? last : -1;
}

/** Of `can't` and `server's`. */
function isApostrophe(text: string, index: number): boolean {
  return text[index] === "'" && /^[a-z]'(?:t|s|re|ll|ve)\b/.test(text.slice(index - 1, index + 4));
}

function redactWord(word: string, near: { before: string; after: string }): string {
  if (!/[\d@=\p{N}]/u.test(word)) return word;
  let end = word.length;
  while (end > 0 && ".,:;!?)".includes(word[end - 1]!)) end--;
  if (/^[\d.]+$/.test(word.slice(0, end))) {
    if (/\b(?:line|character|PID|pid|process|signal|code|transaction|SQLSTATE) $/.test(near.before)) return word;
    if (/^ (?:ms|kB|MB|GB|bytes)\b/.test(near.after)) return word;
  }
  return placeholder + word.slice(end);
}

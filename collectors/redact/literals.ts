/**
 * Where the literals of an SQL text are: PostgreSQL's own lexer (`scan.l`) reduced to the question whether a character
 * belongs to a constant or to a comment. One pass, one step a token; no character is looked at more than a few times.
 *
 * - What has no end (a string, dollar quote, comment or quoted identifier of a text that was cut) lasts to the text's
 *   end.
 * - Whether a backslash escapes the quote behind it in a plain string depends on a setting of the session that wrote it.
 *   Where it matters, the reading is in doubt, and all from the opening quote on counts as literal. The exception is
 *   `ESCAPE '\'`, which means one thing under both settings.
 *
 * @module
 */

import { cutMark } from "../text.ts";
import { isDigit, isIdentifierStart, isLineBreak, isSpace, isTagPart, isWordPart } from "./characters.ts";

const newline = 0x0a;
const carriageReturn = 0x0d;
const doubleQuote = 0x22;
const dollar = 0x24;
const singleQuote = 0x27;
const asterisk = 0x2a;
const hyphen = 0x2d;
const period = 0x2e;
const slash = 0x2f;
const semicolon = 0x3b;
const backslash = 0x5c;

/** The character where the text has ended. */
const none = -1;

/** How far a statement has come towards `COPY … FROM STDIN`, behind which lines of data may stand. */
type CopyWord = "first" | "copy" | "from" | "stdin" | "other";

/** `\'` goes on in one that escapes, `''` in all but bits. */
type StringKind = "plain" | "escapes" | "bits";

const stringKinds: Record<string, StringKind> = { e: "escapes", b: "bits", x: "bits" };

/** How to read a text. */
export interface ReadingOptions {
  /** A backslash in a plain string is known to be an ordinary character: where the server itself has quoted. */
  backslashesArePlain?: boolean;
}

/** Finds one literal after the other. */
export class LiteralScanner {
  /** The literal found last, or the inside of a comment: never empty. */
  start = 0;
  end = 0;
  readonly #text: string;
  readonly #textEnd: number;
  readonly #backslashesArePlain: boolean;
  #at = 0;
  #copyWord: CopyWord = "first";

  constructor(text: string, options: ReadingOptions = {}) {
    this.#text = text;
    this.#textEnd = text.endsWith(cutMark) ? text.length - cutMark.length : text.length;
    this.#backslashesArePlain = options.backslashesArePlain ?? false;
  }

  /** Goes to the next literal; false when there is none. */
  next(): boolean {
    while (this.#at < this.#textEnd) {
      this.start = this.end = this.#at;
      this.#step(this.#code(this.#at));
      if (this.end > this.start) return true;
    }
    return false;
  }

  /** Takes one token. A literal is one that has set `end`. */
  #step(code: number): void {
    const following = this.#code(this.#at + 1);
    if (isIdentifierStart(code)) this.#word();
    else if (isDigit(code) || (code === period && isDigit(following))) this.#number(code);
    else if (code === singleQuote) this.#literal(this.#stringEnd(this.#at, "plain"));
    else if (code === doubleQuote) this.#quotedIdentifier();
    else if (code === dollar) this.#dollar(following);
    else if (code === hyphen && following === hyphen) this.#lineComment();
    else if (code === slash && following === asterisk) this.#blockComment();
    else if (code === semicolon) this.#statementEnd();
    else this.#at += code === period && following === period ? 2 : 1;
  }

  #literal(end: number): void {
    this.#at = this.end = end;
  }

  /** A keyword or identifier, or the letters before a string: `E'…'`, `B'…'`, `X'…'`, `N'…'`, `U&'…'`. */
  #word(): void {
    const end = this.#wordEnd(this.#at);
    if (end === this.#at + 1) {
      const letter = this.#text[this.#at]!.toLowerCase();
      const quote = letter === "u" && this.#text[end] === "&" ? end + 1 : end;
      if (this.#code(quote) === singleQuote && "ebxnu".includes(letter) && (letter !== "u" || quote > end)) {
        return this.#literal(this.#stringEnd(quote, stringKinds[letter] ?? "plain"));
      }
    }
    if (this.#copyWord !== "other") this.#followCopy(end);
    this.#at = end;
  }

  #followCopy(wordEnd: number): void {
    const word = wordEnd - this.#at > 5 ? "" : this.#text.slice(this.#at, wordEnd).toLowerCase();
    if (this.#copyWord === "first") this.#copyWord = word === "copy" ? "copy" : "other";
    else if (this.#copyWord === "from" && word === "stdin") this.#copyWord = "stdin";
    else if (this.#copyWord !== "stdin") this.#copyWord = word === "from" ? "from" : "copy";
  }

  /**
   * `1`, `1_000`, `1.5`, `.5`, `1.e5`, `0x1F`; in `1..10` the first number ends before the dots. Letters that follow at
   * once go with it: before PostgreSQL 15 they were a word of their own, since then they are an error.
   */
  #number(code: number): void {
    let at = this.#at;
    if (code !== period) at = this.#digitsEnd(at);
    if (this.#code(at) === period && this.#code(at + 1) !== period) at = this.#digitsEnd(at + 1);
    const letter = this.#code(at) | 0x20;
    if (letter === 0x65) {
      const sign = this.#code(at + 1);
      const digits = sign === hyphen || sign === 0x2b ? at + 2 : at + 1;
      if (isDigit(this.#code(digits))) at = this.#digitsEnd(digits);
    }
    this.#literal(isIdentifierStart(this.#code(at)) ? this.#wordEnd(at) : at);
  }

  /** Where the constant ends whose quote is at `open`, with the pieces that continue it on further lines. */
  #stringEnd(open: number, kind: StringKind): number {
    let pieceStart = open + 1;
    let at = pieceStart;
    for (;;) {
      at = kind === "escapes" ? this.#unescapedQuote(at) : this.#find("'", at);
      if (at === this.#textEnd) return at;
      if (kind === "plain" && this.#isDoubtful(pieceStart, at)) return this.#textEnd;
      if (kind !== "bits" && this.#code(at + 1) === singleQuote) {
        at += 2;
        continue;
      }
      const piece = this.#continuation(at + 1);
      if (piece === none) return at + 1;
      pieceStart = at = piece + 1;
    }
  }

  #unescapedQuote(from: number): number {
    for (let at = from; at < this.#textEnd; at++) {
      const code = this.#text.charCodeAt(at);
      if (code === singleQuote) return at;
      if (code === backslash) at++;
    }
    return this.#textEnd;
  }

  /** Whether a session with `standard_conforming_strings = off` would read on behind this quote. */
  #isDoubtful(pieceStart: number, quote: number): boolean {
    if (this.#backslashesArePlain || this.#text.charCodeAt(quote - 1) !== backslash) return false;
    let first = quote - 1;
    while (first > pieceStart && this.#text.charCodeAt(first - 1) === backslash) first--;
    if (first < pieceStart || (quote - first) % 2 === 0) return false;
    return !(quote === pieceStart + 1 && this.#code(quote + 1) !== singleQuote && this.#isEscapeClause(pieceStart - 1));
  }

  #isEscapeClause(open: number): boolean {
    let end = open;
    while (isSpace(this.#text.charCodeAt(end - 1))) end--;
    return this.#text.slice(end - 6, end).toLowerCase() === "escape" && !isWordPart(this.#text.charCodeAt(end - 7));
  }

  /** The quote that continues a string which ended before `from`: after blanks and comments with a newline in them. */
  #continuation(from: number): number {
    let sawNewline = false;
    for (let at = from;;) {
      const code = this.#code(at);
      if (isSpace(code)) {
        sawNewline ||= code === newline || code === carriageReturn;
        at++;
      } else if (code === hyphen && this.#code(at + 1) === hyphen) at = this.#lineEnd(at);
      else return sawNewline && code === singleQuote ? at : none;
    }
  }

  #quotedIdentifier(): void {
    let at = this.#find('"', this.#at + 1);
    while (this.#code(at + 1) === doubleQuote) at = this.#find('"', at + 2);
    if (at === this.#textEnd) this.#literal(at);
    else this.#at = at + 1;
  }

  /** `$1`, or `$tag$…$tag$`. */
  #dollar(following: number): void {
    let tagEnd = this.#at + 1;
    if (isDigit(following)) {
      while (isDigit(this.#code(tagEnd))) tagEnd++;
      this.#at = tagEnd;
      return;
    }
    while (isTagPart(this.#code(tagEnd))) tagEnd++;
    if (tagEnd === this.#textEnd && tagEnd > this.#at + 1) return this.#literal(tagEnd);
    if (this.#code(tagEnd) === dollar) return this.#literal(this.#dollarQuoteEnd(tagEnd + 1));
    this.#at++;
  }

  #dollarQuoteEnd(bodyStart: number): number {
    const tag = this.#text.slice(this.#at, bodyStart);
    // From dollar to dollar: a search for the tag itself could look at the same letters once for each letter of a tag.
    let at = this.#find("$", bodyStart);
    while (at < this.#textEnd && !this.#text.startsWith(tag, at)) at = this.#find("$", at + 1);
    return at === this.#textEnd ? at : at + tag.length;
  }

  #lineComment(): void {
    this.start = this.#at + 2;
    this.#literal(this.#lineEnd(this.start));
  }

  #blockComment(): void {
    this.start = this.#at + 2;
    let depth = 1;
    for (let at = this.start; at < this.#textEnd; at++) {
      const code = this.#text.charCodeAt(at);
      if (code === asterisk && this.#code(at + 1) === slash) {
        depth--;
        at++;
        if (depth > 0) continue;
        this.end = at - 1;
        this.#at = at + 1;
        return;
      }
      if (code === slash && this.#code(at + 1) === asterisk) {
        depth++;
        at++;
      }
    }
    this.#literal(this.#textEnd);
  }

  /** The data of `COPY … FROM STDIN` are the lines behind its semicolon, up to the line `\.`. */
  #statementEnd(): void {
    const copies = this.#copyWord === "stdin";
    this.#copyWord = "first";
    this.#at++;
    if (!copies) return;
    let at = this.#at;
    while (isSpace(this.#code(at)) && this.#code(at) !== newline) at++;
    if (this.#code(at) !== newline) return;
    this.start = at + 1;
    while (at < this.#textEnd && !this.#isDataEnd(at)) at = this.#find("\n", at + 1);
    this.end = Math.max(this.start, at);
    this.#at = Math.min(this.#textEnd, at + 3);
  }

  #isDataEnd(lineBreak: number): boolean {
    const after = this.#code(lineBreak + 3);
    return this.#text.startsWith("\\.", lineBreak + 1) && (after === newline || after === carriageReturn || after < 0);
  }

  #lineEnd(from: number): number {
    let at = from;
    while (at < this.#textEnd && !isLineBreak(this.#text.charCodeAt(at))) at++;
    return at;
  }

  #wordEnd(from: number): number {
    let at = from;
    while (isWordPart(this.#code(at))) at++;
    return at;
  }

  #digitsEnd(from: number): number {
    let at = from;
    while (isDigit(this.#code(at)) || this.#code(at) === 0x5f) at++;
    return at;
  }

  #find(character: string, from: number): number {
    const at = this.#text.indexOf(character, from);
    return at === none ? this.#textEnd : at;
  }

  #code(at: number): number {
    return at < this.#textEnd ? this.#text.charCodeAt(at) : none;
  }
}

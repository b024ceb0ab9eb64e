/**
 * The character classes of PostgreSQL's lexer, by UTF-16 unit. The end of a text is a negative one, in no class.
 *
 * @module
 */

/** Of a number. */
export function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}

/** A letter, `_`, or anything beyond ASCII, blanks of Unicode included. */
export function isIdentifierStart(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || code === 0x5f || code >= 0x80;
}

/** Of the tag of a dollar quote. */
export function isTagPart(code: number): boolean {
  return isIdentifierStart(code) || isDigit(code);
}

/** Of a keyword or identifier, behind its start. */
export function isWordPart(code: number): boolean {
  return isIdentifierStart(code) || isDigit(code) || code === 0x24;
}

/** What ends a line comment. */
export function isLineBreak(code: number): boolean {
  return code === 0x0a || code === 0x0d;
}

/** A blank, tab, line break, form feed or vertical tab. */
export function isSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d);
}

/**
 * Words for a POSIX shell.
 *
 * @module
 */

/** As one word of a POSIX shell, whatever it holds. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_\-=+:,.\/@%]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

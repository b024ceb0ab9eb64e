/**
 * What only an odd line of the configuration asks for, and the packages that know it. Loaded when the first such line
 * comes: a package costs the start 17 ms, and most files have none.
 *
 * @module
 */

import { unsafe } from "ini";
import { distance } from "fastest-levenshtein";

/** The value of an unquoted text with `\`, `;`, `#` or quotes in it, as the `ini` package reads it. */
export function unescapeValue(raw: string): string {
  return unsafe(raw);
}

/** The known name that a person may have meant: no more than a third of it differs, case aside. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  // Longer than any name: no use in comparing, and the comparison is quadratic.
  if (name.length > 64) return undefined;
  const distances = known.map((candidate) => ({ candidate, away: distance(name.toLowerCase(), candidate) }));
  const best = distances.sort((one, other) => one.away - other.away)[0];
  return best !== undefined && best.away <= Math.ceil(best.candidate.length / 3) ? best.candidate : undefined;
}

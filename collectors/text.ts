/**
 * Texts within their limits.
 *
 * @module
 */

/** What a cut text ends in. */
export const cutMark = "...[truncated]";

/**
 * The text, or its beginning and {@link cutMark}: `charsMax` UTF-16 units in all, never cut inside a surrogate pair.
 */
export function truncate(text: string, charsMax: number): string {
  if (text.length <= charsMax) return text;
  const end = charsMax - cutMark.length;
  const splitsPair = isHighSurrogate(text.charCodeAt(end - 1));
  return text.slice(0, splitsPair ? end - 1 : end) + cutMark;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

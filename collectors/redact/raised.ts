/**
 * Messages that a function's author has written (`RAISE`, `die`, …): nothing tells their words from the values in them.
 *
 * @module
 */

/** Classes of PostgreSQL's own SQLSTATEs (`src/backend/utils/errcodes.txt`); one of another class was made up. */
const ownClasses = new Set([
  ...["00", "01", "02", "03", "08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "10", "20", "21", "22", "23", "24", "25"],
  ...["26", "27", "28", "2B", "2D", "2F", "34", "38", "39", "3B", "3D", "3F", "40", "42", "44", "53", "54", "55", "57"],
  ...["58", "72", "F0", "HV", "P0", "XX"],
]);
/** Of RAISE without an ERRCODE, and of ASSERT. */
const raisedStates = new Set(["P0001", "P0004"]);
/** The innermost line of a context, in whatever language: RAISE itself, or a function of a language without it. */
const raisedAt = /^(?:Traceback \(|[^\n]*PL\/pgSQL[^\n]*\b(?:RAISE|ASSERT)\b|[^\n]*PL\/(?:Perl|Python|Tcl))/;

/** Whether an entry's message was written by a function's author, as far as its SQLSTATE or its context tells. */
export function isRaised({ sqlstate, context }: { sqlstate: string | null; context: string | null }): boolean {
  if (sqlstate !== null && (raisedStates.has(sqlstate) || !ownClasses.has(sqlstate.slice(0, 2)))) return true;
  return context !== null && raisedAt.test(context);
}

/**
 * What `deno doc --lint` finds, less what would make authors write what says nothing. Demanded: a comment on every
 * declaration that a module of the agent exports, and the types of what exported functions and constants are. Not
 * demanded, because the agent is a program and no library:
 * - a comment on each member (`bytes: number` has said it),
 * - one on an export directly below another (`reconnectFirstMs`, `reconnectMaxMs`), which shares that one's comment,
 * - the export of every type that an exported one is made of (private-type-ref).
 *
 * @module
 */

/** One line of a file, counted from 1. */
export type ReadLine = (file: string, line: number) => string;

/** The findings to be mended, out of all that `deno doc --lint` printed. Throws on output that it cannot read. */
export function documentationProblems(output: string, readLine: ReadLine): string[] {
  const findings = output.split(/^(?=error\[)/m).filter((part) => part.startsWith("error["));
  const [, count] = /^error: Found (\d+) documentation lint errors?\.$/m.exec(output) ?? [];
  if (findings.length !== Number(count)) throw new Error(`Cannot read what deno doc --lint printed:\n${output}`);
  return findings.map((finding) => findingProblem(finding, readLine)).filter((problem) => problem !== null);
}

function findingProblem(finding: string, readLine: ReadLine): string | null {
  const match = /^error\[([\w-]+)\]: (.*)\n\s*--> (.*):(\d+):\d+\n/.exec(finding);
  if (match === null) throw new Error(`Cannot read a finding of deno doc --lint:\n${finding}`);
  const [, code, message, file, line] = match as unknown as [string, string, string, string, string];
  const text = readLine(file, Number(line));
  if (code === "private-type-ref") return null;
  if (code === "missing-jsdoc" && !isUncommented(text, readLine(file, Number(line) - 1))) return null;
  return `${file}:${line} ${message} (${code})\n    ${text.trim()}`;
}

/** Whether an export at the top level of a module stands for itself and so needs a comment of its own. */
function isUncommented(text: string, textAbove: string): boolean {
  return text.startsWith("export ") && !textAbove.startsWith("export ");
}

/**
 * Other programs, run to their end.
 *
 * @module
 */

/** Far beyond what any of them takes. */
const boundMs = 300_000;

/** How a program ended. */
export interface Result {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a program with these lines as its input. */
export async function execute(command: readonly string[], input = ""): Promise<Result> {
  const [program = "", ...args] = command;
  const child = new Deno.Command(program, {
    args,
    env: { LC_ALL: "C.UTF-8", DEBIAN_FRONTEND: "noninteractive", SYSTEMD_PAGER: "", SYSTEMD_COLORS: "0" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(boundMs),
  }).spawn();
  // Not awaited: it may print before it has read all. One that does not read its input may be gone before.
  void ReadableStream.from([new TextEncoder().encode(input)]).pipeTo(child.stdin).catch(() => undefined);
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** What a program printed; throws with what it complained of when it fails. */
export async function output(...command: string[]): Promise<string> {
  const { code, stdout, stderr } = await execute(command);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}:\n${stdout}${stderr}`);
  return stdout;
}

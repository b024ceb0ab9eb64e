/**
 * The doctor's look at its own permissions, which are those of the agent: it tries what must be refused. A list of flags
 * would only say what was meant.
 *
 * @module
 */

import type { Check, Patient } from "./check.ts";

const name = "permissions";

/** An attempt that nobody who runs the agent needs to succeed with; it leaves nothing behind if it does. */
interface Attempt {
  what: string;
  make: (patient: Patient) => unknown;
}

const attempts: readonly Attempt[] = [
  { what: "reading /etc/passwd", make: () => Deno.readTextFile("/etc/passwd") },
  { what: "reading another folder", make: () => Array.fromAsync(Deno.readDir("/root")) },
  { what: "writing beside the buffer", make: ({ config }) => writeProbe(`${config.buffer.path}-probe`) },
  // An address of documentation, which nobody has: what is let through goes nowhere.
  { what: "connecting elsewhere", make: () => Deno.connect({ hostname: "192.0.2.1", port: 9, transport: "tcp" }) },
  { what: "listening", make: () => Deno.listen({ hostname: "127.0.0.1", port: 0 }).close() },
  { what: "running a program", make: () => new Deno.Command("/bin/true").output() },
  { what: "loading a library", make: () => Deno.dlopen("libc.so.6", {}).close() },
  { what: "reading another variable", make: () => Deno.env.get("HOME") },
];

/** Long enough for Deno to refuse, which it does before it begins. */
const attemptMs = 1_000;

/** Every attempt is refused. */
export const permissionsCheck: Check = {
  name,
  async run(patient) {
    const allowed = [];
    for (const attempt of attempts) if (!await isRefused(attempt, patient)) allowed.push(attempt.what);
    if (allowed.length === 0) {
      const tried = attempts.map(({ what }) => what).join(", ");
      return [{ name, state: "ok", text: `tried and refused: ${tried}` }];
    }
    return [{
      name,
      state: "FAIL",
      text: `not refused: ${allowed.join(", ")}`,
      mend: { kind: "advice", text: 'run "deno task doctor" and "deno task start", which compute the permissions' },
    }];
  },
};

async function isRefused({ make }: Attempt, patient: Patient): Promise<boolean> {
  const late = new AbortController();
  const made = Promise.try(make, patient).then(
    () => false,
    // By Deno, or by the system.
    (error) => error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.PermissionDenied,
  );
  const waited = patient.clock.sleep(attemptMs, late.signal).then(() => false);
  const refused = await Promise.race([made, waited]);
  late.abort();
  return refused;
}

async function writeProbe(path: string): Promise<void> {
  await Deno.writeTextFile(path, "");
  await Deno.remove(path);
}

/**
 * The account that PostgreSQL runs under when this process is root: PostgreSQL refuses to run as root.
 *
 * @module
 */

/** An account as `/etc/passwd` has it; fits into the options of `Deno.Command`. */
export interface SystemUser {
  name: string;
  uid: number;
  gid: number;
}

/** Whether this process is root. */
export function isRoot(): boolean {
  return Deno.uid() === 0;
}

/** The account without rights that every Linux has. Throws if it is missing. */
export function unprivilegedUser(): SystemUser {
  const line = Deno.readTextFileSync("/etc/passwd").split("\n").find((line) => line.startsWith("nobody:"));
  const [name, , uid, gid] = line?.split(":") ?? [];
  if (name === undefined || uid === undefined || gid === undefined) {
    throw new Error("Cannot run PostgreSQL as root because /etc/passwd has no user nobody to switch to");
  }
  return { name, uid: Number(uid), gid: Number(gid) };
}

/**
 * The server's own tools and accounts, for `install` and `uninstall`.
 *
 * @module
 */

/** Runs one of the server's tools; throws with what it said. */
export async function execute(command: string, ...args: string[]): Promise<void> {
  // The folder that this runs in may be what has just been removed.
  const options = { args, cwd: "/", stdin: "null", stdout: "null" } as const;
  const { success, stderr } = await new Deno.Command(command, options).output();
  if (success) return;
  throw new Error(`Cannot run ${[command, ...args].join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}

/** Whether systemd runs this machine: in a chroot or while an image is built it does not. */
export async function isBooted(): Promise<boolean> {
  return await Deno.stat("/run/systemd/system").then(() => true, () => false);
}

/** A user as the machine's own files have it. */
export interface Accounts {
  uid: number | null;
  gid: number | null;
  /** Whether the user belongs to the group, or there is no such group. */
  isMember: boolean;
}

/** Looks up a user and its membership in a group. */
export async function readAccounts(user: string, group: string): Promise<Accounts> {
  const [users, groups] = await Promise.all(["/etc/passwd", "/etc/group"].map(readColons));
  const found = users!.find(([name]) => name === user);
  const members = groups!.find(([name]) => name === group)?.[3]?.split(",");
  return {
    uid: found === undefined ? null : Number(found[2]),
    gid: found === undefined ? null : Number(found[3]),
    isMember: members?.includes(user) ?? true,
  };
}

async function readColons(path: string): Promise<string[][]> {
  return (await Deno.readTextFile(path)).split("\n").map((line) => line.split(":"));
}

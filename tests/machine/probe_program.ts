/**
 * Tries what the agent must not be able to do, from inside its own service. Prints one line of JSON an attempt: its name,
 * and why it was refused, or null where it was not.
 *
 * Usage: `probe_program.ts deno|unit`: under the agent's own permissions, or with all of Deno's, so that the unit alone
 * stands in the way.
 *
 * @module
 */

type Attempt = () => unknown;

/** Where something listens that is none of the agent's business. */
const otherPort = 9901;

/** The state is the one place to write; what is written there must not run. */
const state = "/var/lib/bitville-postgres-agent";

const everywhere: Record<string, Attempt> = {
  "write to /etc": () => Deno.writeTextFile("/etc/probe", ""),
  "write to /usr/lib": () => Deno.writeTextFile("/usr/lib/bitville-postgres-agent/main.ts", ""),
  "write to the database's log": () => Deno.writeTextFile("/var/log/postgresql/probe", ""),
  "write to /dev/shm of others": () => Deno.writeTextFile("/dev/probe", ""),
  "read root's home": () => Deno.readTextFile("/root/secret"),
  "read a user's home": () => Deno.readTextFile("/home/alice/secret"),
  "read the database's files": () => Deno.readTextFile("/var/lib/postgresql/15/main/PG_VERSION"),
  "read the stored credentials": () => Deno.readTextFile("/etc/bitville/credentials/db_password"),
  "read /etc/shadow": () => Deno.readTextFile("/etc/shadow"),
  "start a program": () => new Deno.Command("/usr/bin/id").outputSync(),
  "start a program it wrote": startOwnProgram,
  "load a library it wrote": loadOwnLibrary,
  "open a raw socket": () => socket({ family: 2, type: 3, protocol: 1 }),
  "open a packet socket": () => socket({ family: 17, type: 3, protocol: 0 }),
  "open a netlink socket": () => socket({ family: 16, type: 3, protocol: 0 }),
  "reach another port": () => connect("127.0.0.1"),
  "reach another address": () => connect("127.0.0.2"),
  "signal another's process": () => Deno.kill(1, "SIGCONT"),
  "see another's process": () => Deno.readTextFile("/proc/1/comm"),
};

/** What only Deno's permissions refuse, and only under them means anything. */
const byDenoAlone: Record<string, Attempt> = {
  "load code from the network": () => import(`https://127.0.0.1:9901/${crypto.randomUUID()}.ts`),
  "load code from a registry": () => import("npm:" + "left-pad"),
  "read another variable": () => Deno.env.get("HOME"),
  "look up a name": () => Deno.resolveDns("example.com", "A"),
  "listen on a port": () => Deno.listen({ port: 9902 }),
};

for (const [name, attempt] of Object.entries({ ...everywhere, ...(Deno.args[0] === "deno" ? byDenoAlone : {}) })) {
  console.log(JSON.stringify({ attempt: name, refused: await refusal(attempt) }));
}
Deno.exit(0);

async function refusal(attempt: Attempt): Promise<string | null> {
  try {
    await attempt();
    return null;
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
}

/** The kernel's filter drops packets without a word. */
async function connect(hostname: string): Promise<void> {
  const patience = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error("No packet came through")), 3_000);
  });
  (await Promise.race([Deno.connect({ hostname, port: otherPort }), patience])).close();
}

async function startOwnProgram(): Promise<void> {
  const path = `${state}/buffer/probe`;
  await Deno.writeTextFile(path, "#!/usr/bin/dash\n", { mode: 0o700 });
  try {
    new Deno.Command(path).outputSync();
  } finally {
    await Deno.remove(path);
  }
}

async function loadOwnLibrary(): Promise<void> {
  const path = `${state}/buffer/probe.so`;
  await Deno.copyFile("/usr/lib/x86_64-linux-gnu/libm.so.6", path);
  try {
    Deno.dlopen(path, {});
  } finally {
    await Deno.remove(path);
  }
}

function socket({ family, type, protocol }: { family: number; type: number; protocol: number }): void {
  const libc = Deno.dlopen("libc.so.6", { socket: { parameters: ["i32", "i32", "i32"], result: "i32" } });
  if (libc.symbols.socket(family, type, protocol) < 0) throw new Error("socket() answered -1");
}

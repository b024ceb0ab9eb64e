/**
 * A Debian that boots under its own systemd, in a container with a network of its own: nothing but loopback.
 *
 * The host may still have the first version of cgroups, where a container's systemd may not make groups by default. Then
 * it is given groups of its own, or no limit of a unit would hold.
 *
 * @module
 */

import { join } from "node:path";
import { waitFor } from "../support/wait_for.ts";
import { execute, output, type Result } from "./commands.ts";
import { copyImage } from "./image.ts";

const controllers = ["memory", "cpu", "cpuacct", "pids"];
/** What systemd in it needs for IPAddressDeny=. */
const addressFilter = "--system-call-filter=bpf --capability=CAP_BPF";
const bootBoundMs = 60_000;

/** A machine that can be booted, and booted again. Disposing of it removes it. */
export class Machine implements AsyncDisposable {
  /** Its file system. */
  readonly root: string;
  readonly #folder: string;
  #child: Deno.ChildProcess | null = null;
  #leader = 0;

  private constructor(folder: string) {
    this.#folder = folder;
    this.root = join(folder, "root");
  }

  static async create(): Promise<Machine> {
    const machine = new Machine(await Deno.makeTempDir({ prefix: "bitville-machine-" }));
    await copyImage(machine.root);
    await Deno.mkdir(join(machine.root, "var/log/journal"), { recursive: true });
    return machine;
  }

  /** The process id of its systemd, as this machine sees it. */
  get leader(): number {
    return this.#leader;
  }

  /** Boots it; answers when all that starts at boot has started. */
  async boot(): Promise<void> {
    const command = `${groupScript(this.#groupName)} exec systemd-nspawn --quiet --directory="$1" --register=no \
      --keep-unit --private-network ${addressFilter} --link-journal=no --console=pipe ${await initCommand()} \
      >"$2" 2>&1`;
    this.#child = new Deno.Command("sh", {
      args: ["-c", command, "sh", this.root, join(this.#folder, "console")],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const { pid } = this.#child;
    let ended = false;
    this.#child.status.then(() => ended = true);
    this.#leader = 0;
    try {
      this.#leader = await waitFor("the container", () => ended ? -1 : firstOfContainer(pid), { boundMs: bootBoundMs });
      await waitFor("the end of the boot", async () => {
        const { stdout } = await this.execute(["systemctl", "is-system-running"]);
        return ended || /^(running|degraded)/.test(stdout);
      }, { boundMs: bootBoundMs });
      if (ended) throw new Error("The container has ended");
    } catch (cause) {
      throw new Error(`Cannot boot: ${await Deno.readTextFile(join(this.#folder, "console"))}`, { cause });
    }
  }

  /** Shuts it down as an operator does. */
  async powerOff(): Promise<void> {
    await this.execute(["systemctl", "--no-block", "poweroff"]);
    await this.#child?.status;
    this.#child = null;
  }

  /** Runs a program in it, as root and outside of every service. */
  execute(command: readonly string[], input = ""): Promise<Result> {
    return execute(["nsenter", `--target=${this.#leader}`, "--all", ...command], input);
  }

  /** What a program in it printed; throws when it fails. */
  output(...command: string[]): Promise<string> {
    return output("nsenter", `--target=${this.#leader}`, "--all", ...command);
  }

  /** Runs SQL as the server's superuser; answers with the rows, unaligned. */
  async sql(text: string): Promise<string> {
    const command = ["runuser", "-u", "postgres", "--", "psql", "-qAtX", "-v", "ON_ERROR_STOP=1"];
    const { code, stdout, stderr } = await this.execute(command, text);
    if (code !== 0) throw new Error(`SQL failed: ${stderr}`);
    return stdout.trim();
  }

  /** A property of a unit, as `systemctl show` prints it. */
  async property(unit: string, name: string): Promise<string> {
    return (await this.output("systemctl", "show", "--value", `--property=${name}`, unit)).trim();
  }

  /** Writes a file into it. */
  async write(path: string, text: string, mode = 0o644): Promise<void> {
    const target = join(this.root, path);
    await Deno.mkdir(join(target, ".."), { recursive: true });
    await Deno.writeTextFile(target, text);
    await Deno.chmod(target, mode);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child !== null) {
      if (this.#leader > 0) await execute(["kill", "-KILL", `${this.#leader}`]);
      await this.#child.status;
    }
    await execute(["sh", "-c", `find /sys/fs/cgroup -depth -type d -path "*/${this.#groupName}*" -exec rmdir {} +`]);
    await Deno.remove(this.#folder, { recursive: true });
  }

  get #groupName(): string {
    return this.#folder.replace(/.*\//, "");
  }
}

/** Puts the shell that runs it into groups of its own, below those it is in. */
function groupScript(name: string): string {
  return `
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
      echo '+memory +cpu +pids +io' 2>/dev/null >/sys/fs/cgroup/cgroup.subtree_control
      mkdir /sys/fs/cgroup/${name} && echo $$ >/sys/fs/cgroup/${name}/cgroup.procs
    else
      for controller in ${controllers.join(" ")}; do
        own=$(sed -n "s/^[0-9]*:$controller:\\/*//p" /proc/self/cgroup)
        group=/sys/fs/cgroup/$controller/$own/${name}
        mkdir -p "$group" && echo $$ >"$group/cgroup.procs"
      done
    fi 2>/dev/null
   `;
}

/** systemd as the first process, with the groups of the first version made writable before. */
async function initCommand(): Promise<string> {
  const hasUnified = await Deno.stat("/sys/fs/cgroup/cgroup.controllers").then(() => true, () => false);
  if (hasUnified) return "--boot";
  const mounts = controllers.map((name) => `mount -o remount,bind,rw /sys/fs/cgroup/${name};`).join(" ");
  return `--kill-signal=SIGRTMIN+3 sh -c '${mounts} exec /lib/systemd/systemd'`;
}

/** The child of a process that is the first process of a namespace of its own, or null. */
async function firstOfContainer(pid: number): Promise<number | null> {
  const { stdout } = await execute(["ps", "-o", "pid=", "--ppid", `${pid}`]);
  for (const child of stdout.split("\n").map(Number).filter((child) => child > 0)) {
    const status = await Deno.readTextFile(`/proc/${child}/status`).catch(() => "");
    if (/^NSpid:\t\d+\t1$/m.test(status)) return child;
  }
  return null;
}

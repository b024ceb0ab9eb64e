/**
 * The file system of a small Debian with systemd and PostgreSQL, made once by debootstrap and kept for later runs.
 *
 * @module
 */

import { output } from "./commands.ts";

/** For root alone: whoever could write there would decide what root boots. */
const cachePath = "/var/cache/bitville-postgres-agent-tests";
const suite = "bookworm";
const packages = ["systemd", "systemd-sysv", "dbus", "postgresql", "logrotate", "procps"];

/** What it takes to boot it, or what is missing, in words. */
export async function missing(): Promise<string | null> {
  if (Deno.build.os !== "linux") return "Linux";
  if (Deno.uid() !== 0) return "root";
  for (const tool of ["debootstrap", "systemd-nspawn", "nsenter", "dpkg-deb"]) {
    const { success } = await new Deno.Command("sh", { args: ["-c", `command -v ${tool}`], stdout: "null" }).output();
    if (!success) return tool;
  }
  return null;
}

/** Copies the image into a folder that does not exist yet. */
export async function copyImage(target: string): Promise<void> {
  const image = `${cachePath}/${suite}-${packages.join("-")}`;
  await Deno.mkdir(cachePath, { recursive: true, mode: 0o700 });
  await Deno.chmod(cachePath, 0o700);
  if (!await Deno.stat(image).then(() => true, () => false)) await makeImage(image);
  await output("cp", "-a", "--reflink=auto", image, target);
}

async function makeImage(image: string): Promise<void> {
  const unfinished = await Deno.makeTempDir({ dir: cachePath });
  console.log(`Making a Debian with ${packages.join(", ")} once, in ${image}: it takes about a minute`);
  try {
    await output("debootstrap", "--variant=minbase", `--include=${packages.join(",")}`, suite, `${unfinished}/root`);
    await Deno.rename(`${unfinished}/root`, image);
  } finally {
    await Deno.remove(unfinished, { recursive: true });
  }
}

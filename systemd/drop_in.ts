/**
 * What the unit owes to the configuration: the addresses that the service may reach, and the folders beyond its own.
 * Computed by `install`, because a unit cannot read the agent's configuration.
 *
 * @module
 */

import { isIP } from "node:net";
import { posix } from "node:path";
import { type Config, loadConfig, type Loaded } from "../config.ts";
import { logFolder } from "../tasks/permissions.ts";
import { configurationPath, statePath } from "./layout.ts";

/** The configuration as the unit's settings depend on it: of the file alone, whatever this process's environment says. */
export function loadInstalledConfig(path: string = configurationPath): Promise<Loaded> {
  return loadConfig({
    path,
    environment: () => undefined,
    readTextFile: (path) => Deno.readTextFile(path),
    requires: "database",
  });
}

/** The text of the drop-in. */
export function dropInText(config: Config): string {
  const lines = [...addressLines(config), ...pathLines(config)];
  return `# Computed by "install" from ${configurationPath}: run it again when addresses or paths change there.
[Service]
${lines.join("\n")}
`;
}

/** The folder of the buffer where it is not the service's own state: `install` has to make it. */
export function foreignBuffer(config: Config): string | null {
  const { path } = config.buffer;
  return path === statePath || path.startsWith(`${statePath}/`) ? null : path;
}

/** Closed but for the two peers, if both are known by address: the kernel filters addresses, never names. */
function addressLines({ database, listener }: Config): string[] {
  if (listener.url === null) return ["# The listener is not known yet."];
  const peers = [database.host, listener.url.hostname.replace(/^\[(.*)\]$/, "$1")];
  const hosts = peers.filter((host) => !host.startsWith("/"));
  const named = hosts.filter((host) => isIP(host) === 0 && host !== "localhost");
  if (named.length > 0) {
    return [
      `# Every address stays open to the kernel's filter, because ${named.join(" and ")} may have any: Deno` +
      " holds the agent to its two peers by name.",
    ];
  }
  return ["IPAddressDeny=any", ...hosts.map((host) => `IPAddressAllow=${host}`)];
}

function pathLines(config: Config): string[] {
  const { database, collection, listener } = config;
  const folders = [collection.logPath, database.passwordFile, database.sslrootcert, listener.caFile]
    .filter((path) => path !== "")
    .map((path) => path === collection.logPath ? logFolder(path) : path);
  const buffer = foreignBuffer(config);
  const socketInTmp = /^\/(?:var\/)?tmp(?:\/|$)/.test(posix.normalize(database.host));
  return [
    // Some of the folders that the unit hides may hold just these.
    ...folders.map((path) => `BindReadOnlyPaths=-${quoted(path.replaceAll(":", "\\:"))}`),
    ...(buffer === null ? [] : [`ReadWritePaths=${quoted(buffer)}`]),
    ...(socketInTmp ? ["# The server's socket is there.", "PrivateTmp=no"] : []),
  ];
}

/** A word as systemd reads it: in quotes where it has to be, with `%` doubled. */
function quoted(word: string): string {
  return JSON.stringify(word).replaceAll("%", "%%").replace(/^"([^\s\\"';]*)"$/, "$1");
}

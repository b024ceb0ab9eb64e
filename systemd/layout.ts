/**
 * Where the installed agent is on a server: the same paths from `deno task install` and from the package.
 *
 * @module
 */

/** The user and the group that the agent runs as. */
export const userName = "bitville-postgres-agent";
/** The name of the package, of the command in /usr/bin and of the unit. */
export const packageName = "bitville-postgres-agent";
export const unitName = `${packageName}.service`;

/** Code, Deno and packages; nothing in it changes between upgrades. */
export const codePath = `/usr/lib/${packageName}`;
export const denoPath = `${codePath}/bin/deno`;
/** Deno's folder of packages (DENO_DIR), read only for the service. */
export const cachePath = `${codePath}/deno-cache`;
export const commandPath = `/usr/bin/${packageName}`;
export const unitPath = `/usr/lib/systemd/system/${unitName}`;
export const usersPath = `/usr/lib/sysusers.d/${packageName}.conf`;
export const foldersPath = `/usr/lib/tmpfiles.d/${packageName}.conf`;
/** What is computed from the configuration. */
export const dropInPath = `/etc/systemd/system/${unitName}.d/50-configuration.conf`;
export const configurationPath = "/etc/bitville/postgres-agent.ini";
export const credentialsPath = "/etc/bitville/credentials";
export const statePath = `/var/lib/${packageName}`;

/** A folder or a file that is made on the server and never packaged: secrets and state. */
export interface ManagedPath {
  path: string;
  /** `file` is made empty when it is missing; `mode` only sets the mode of what is there. */
  kind: "folder" | "file" | "mode";
  mode: number;
  owner: "root" | typeof userName;
  group: "root" | typeof userName;
}

/** Folders, secrets and their modes. The service manager reads the secrets and hands them to the agent alone. */
export const managedPaths: readonly ManagedPath[] = [
  { path: "/etc/bitville", kind: "folder", mode: 0o755, owner: "root", group: "root" },
  // A password may stand in it: for root and the agent only.
  { path: configurationPath, kind: "mode", mode: 0o640, owner: "root", group: userName },
  { path: credentialsPath, kind: "folder", mode: 0o700, owner: "root", group: "root" },
  { path: `${credentialsPath}/db_password`, kind: "file", mode: 0o600, owner: "root", group: "root" },
  { path: `${credentialsPath}/listener_api_key`, kind: "file", mode: 0o600, owner: "root", group: "root" },
  { path: statePath, kind: "folder", mode: 0o700, owner: userName, group: userName },
];

/** The group whose members read Debian's server logs. */
export const logGroup = "adm";

/** For systemd-sysusers: the user, and the group of Debian's logs. */
export function sysusersText(): string {
  return `u ${userName} - "Bitville PostgreSQL agent" ${statePath}\nm ${userName} ${logGroup}\n`;
}

/** For systemd-tmpfiles: {@link managedPaths}. */
export function tmpfilesText(): string {
  const types = { folder: "d", file: "f", mode: "z" };
  return managedPaths.map(({ path, kind, mode, owner, group }) =>
    `${types[kind]} ${path} 0${mode.toString(8)} ${owner} ${group} -\n`
  ).join("");
}

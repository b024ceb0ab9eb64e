/**
 * What the agent may do, as Deno's flags: exactly what its configuration needs. A stolen listener key, a mistake in a
 * dependency or in a parser then reaches no further than this list.
 *
 * @module
 */

import { pressurePath, pressureResources } from "../collectors/system/pressure.ts";
import { type Config, configPathVariable, credentialsVariable, settings, variableOf } from "../config.ts";
import { dirname, join } from "../paths.ts";
import { type NotifySockets, notifyVariables } from "./notify.ts";

/** What the permissions depend on beside the configuration. */
export interface PermissionOptions {
  /** `once` sends and buffers nothing, so it gets neither the listener nor the buffer. */
  command: "start" | "once";
  /** The folder of the agent's code. */
  root: string;
  /** The file that the configuration came from, absolute. */
  configPath: string | null;
  /** Whether `log_path` is a directory; without it, a name such as `x.log` is taken for a file. */
  logPathIsDirectory?: boolean;
  /** Where to tell the service manager how the agent is; absent when there is none. */
  notify?: NotifySockets;
}

/**
 * The flags for `deno run`, without shell quoting. Throws for a path that they cannot express: values are separated by
 * commas, and Deno 2.9.6 knows no escape (`,,` is an error).
 */
export function agentPermissions(config: Config, options: PermissionOptions): string[] {
  return [
    "--no-prompt",
    flag("net", networkAddresses(config, options)),
    flag("read", readPaths(config, options)),
    ...writeFlags(config, options),
    // The driver reads PG variables of its own accord; the rest by name, so that no other secret is in reach.
    flag("env", ["PG*", ...ownVariables, ...notifyVariablesOf(options)]),
    flag("sys", systemCalls),
  ];
}

/**
 * Tells of other configurations whether an agent that was started for this one has the permissions they need: exactly
 * these, not merely some that would do.
 */
export function agentGrants(started: Config): (config: Config) => boolean {
  const granted = grantsOf(started);
  return (config) => grantsOf(config).isSubsetOf(granted);
}

function grantsOf(config: Config): Set<string> {
  // Of what does not change while a process runs, anything will do.
  const flags = agentPermissions(config, { command: "start", root: "/", configPath: null });
  return new Set(flags.flatMap((one) => {
    const name = one.replace(/=.*/s, "=");
    return one.slice(name.length).split(",").map((value) => name + value);
  }));
}

/** By name, so that no other secret is in reach. */
const ownVariables = [configPathVariable, credentialsVariable, ...settings.map(variableOf)];

/** For a command that only tells what is wrong with its configuration. */
export function leastPermissions(root: string): string[] {
  return ["--no-prompt", flag("read", [root]), flag("env", ownVariables)];
}

/** `os.cpus`, `os.freemem`, `os.uptime` and their like of node:os are governed by these names, too. */
const systemCalls = ["hostname", "loadavg", "systemMemoryInfo", "osUptime", "cpus", "osRelease", "statfs"];

/** One flag. Throws for a value that it cannot express. */
export function flag(name: string, values: readonly string[]): string {
  const impossible = values.find((value) => /[,\0]/.test(value));
  if (impossible !== undefined) {
    throw new Error(`Cannot allow a path because it must hold no comma: current value is ${impossible}`);
  }
  return `--allow-${name}=${[...new Set(values)].join(",")}`;
}

function networkAddresses(config: Config, options: PermissionOptions): string[] {
  const { host, port } = config.database;
  const database = isSocket(config)
    ? `unix:${socketPath(config)}`
    : `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const { url } = config.listener;
  const listener = options.command === "start" && url !== null ? [hostAndPort(url)] : [];
  return [database, ...listener, ...notifyPaths(options).map((path) => `unix:${path}`)];
}

/** Sending a datagram is checked as reading and writing both sockets. */
function notifyPaths({ notify }: PermissionOptions): string[] {
  return notify === undefined ? [] : [notify.manager, notify.own];
}

/** Their absence is what tells that there is no service manager, so they may always be looked for. */
function notifyVariablesOf({ command }: PermissionOptions): readonly string[] {
  return command === "start" ? notifyVariables : [];
}

// `URL.host` drops the scheme's own port, and a flag without port would open them all.
function hostAndPort(url: URL): string {
  const port = url.port === "" ? (url.protocol === "https:" ? "443" : "80") : url.port;
  return `${url.hostname}:${port}`;
}

function readPaths(config: Config, options: PermissionOptions): string[] {
  const { database, listener, collection, system, buffer } = config;
  const forStart = [listener.apiKeyFile, listener.caFile, buffer.path];
  return [
    options.root,
    options.configPath ?? "",
    database.passwordFile,
    database.sslrootcert,
    logFolder(collection.logPath, options.logPathIsDirectory),
    system.procfsPath,
    // The only files of /proc that Deno opens without all permissions.
    ...pressureResources.map(pressurePath),
    ...(options.command === "start" ? forStart : []),
    ...(isSocket(config) ? [socketPath(config)] : []),
    ...notifyPaths(options),
  ].filter((path) => path !== "");
}

/**
 * `Deno.mkdir(path, { recursive: true, mode: 0o700 })` needs write permission on that path only, whether its parent
 * exists or not (Deno 2.9.6): missing parents are made on the way, unchecked and with the same mode. So the buffer's
 * folder can be created at the first start with nothing more than this. A later `Deno.chmod` of it is covered as well.
 */
function writeFlags(config: Config, options: PermissionOptions): string[] {
  const paths = [
    ...(options.command === "start" ? [config.buffer.path] : []),
    // Connecting to a socket is checked as reading and writing the socket itself; its folder, maybe /tmp, stays closed.
    ...(isSocket(config) ? [socketPath(config)] : []),
    ...notifyPaths(options),
  ];
  // Without a value the flag would allow everything.
  return paths.length === 0 ? [] : [flag("write", paths)];
}

function isSocket(config: Config): boolean {
  return config.database.host.startsWith("/");
}

function socketPath(config: Config): string {
  return join(config.database.host, `.s.PGSQL.${config.database.port}`);
}

/**
 * The folder that holds the logs: rotation makes new names in it. Of a file and of a glob that is the one they are in.
 */
export function logFolder(path: string, isDirectory?: boolean): string {
  const isFile = isDirectory === undefined ? /[*?]|\.(log|csv|json|txt)$/.test(path) : !isDirectory;
  const folder = isFile ? dirname(path) : path;
  // A file right below the root: its folder would be the whole machine.
  return folder === "/" ? path : folder;
}

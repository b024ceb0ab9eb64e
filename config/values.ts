/**
 * How the text of a setting becomes its value, and how much of the text may be shown to people.
 *
 * @module
 */

import { blockedPorts } from "./blocked_ports.ts";
import { normalize } from "../paths.ts";
import { allowedText, intervals, type Setting } from "./settings.ts";

/** A text that was read, or not. A `notice` says what is odd about the value and follows the setting's name. */
export type Reading = { kind: "value"; value: unknown; notice?: string } | { kind: "refused" };

/** Reads the text of one setting. What is refused is not {@link allowedText}. */
export function readSetting(setting: Setting, text: string): Reading {
  if (text === "") return setting.empty === undefined ? refused : value(setting.kind === "url" ? null : "");
  switch (setting.kind) {
    case "integer":
      return readInteger(setting, text);
    case "interval":
      return readInterval(setting, text);
    case "choice":
      return valueIf(setting.choices.includes(text.toLowerCase()), text.toLowerCase());
    case "text":
      return valueIf([...text].length <= setting.charsMax && !text.includes("\0"), text);
    case "secret":
      return valueIf(isSecretAllowed(setting, text), text);
    case "host":
      return text.startsWith("/") ? readPath(text) : valueIf(isHost(text) || isIPv6(text), text);
    case "url":
      return readUrl(text);
    case "log_path":
      return canBeFollowed(normalize(text).replace(/\/$/, "")) ? readPath(text) : refused;
    default:
      return readPath(text);
  }
}

/** Whether a secret, from wherever, can be used: a password by PostgreSQL's protocol, an API key in an HTTP header. */
export function isSecretAllowed(setting: { inHeader: boolean }, text: string): boolean {
  // Headers drop blanks at both ends without a word, so such a key would be sent as another.
  if (setting.inHeader) return /^[\x20-\x7e\xa0-\xff]*$/.test(text) && !/^[\s]|[\s]$/.test(text);
  return !text.includes("\0");
}

/** The text as it may be shown to people, or nothing: never a secret, nor what could be one by mistake. */
export function shownText(setting: Setting, text: string): string | undefined {
  if (setting.kind === "secret") return undefined;
  // The secret itself where its file should be named is an easy mistake.
  if (setting.kind === "secret_file" && !text.startsWith("/")) return undefined;
  const shown = setting.kind === "url" ? shownUrl(text) : text;
  if (shown === undefined || shown.length <= shownCharsMax) return shown;
  return `${[...shown].slice(0, shownCharsMax).join("")}...[truncated]`;
}

/** A value of a message is no longer than this: a whole file pasted into a variable must not fill the log. */
const shownCharsMax = 200;

const refused: Reading = { kind: "refused" };

function value(value: unknown, notice?: string): Reading {
  return notice === undefined ? { kind: "value", value } : { kind: "value", value, notice };
}

function valueIf(allowed: boolean, text: string): Reading {
  return allowed ? value(text) : refused;
}

function readInteger(setting: Setting & { kind: "integer" }, text: string): Reading {
  if (!/^[+-]?\d+$/.test(text)) return refused;
  const given = Number(text);
  const clamped = Math.min(Math.max(given, setting.min), setting.max);
  if (clamped === given) return value(given);
  if (setting.outside === "refused") return refused;
  return value(clamped, `is clamped to ${clamped} because it must be ${allowedText(setting)}`);
}

function readInterval(setting: Setting, text: string): Reading {
  if (!/^[+-]?\d+$/.test(text)) return refused;
  const given = Number(text);
  const used = intervals.find((interval) => interval >= given) ?? 3600;
  return value(used, used === given ? undefined : `is set to ${used} because it must be ${allowedText(setting)}`);
}

// Commas: Deno's permission flags separate by them and know no escape.
function readPath(text: string): Reading {
  const path = normalize(text).replace(/\/$/, "");
  return valueIf(text.startsWith("/") && path !== "" && !/[,\0]/.test(path), path);
}

// One folder is watched, so a wildcard stands behind it. Right below the root it would need permission to read every file
// of the machine.
function canBeFollowed(path: string): boolean {
  const end = path.lastIndexOf("/");
  const [folder, name] = [path.slice(0, end), path.slice(end + 1)];
  return !/[*?[{]/.test(folder) && !(folder === "" ? /[*?[{]/ : /[[{]/).test(name);
}

// Stricter than a URL's host: `*.example` and `a,b` are hosts to WHATWG and wildcards and lists to Deno's flags.
function isHost(text: string): boolean {
  return /^[a-z0-9_][a-z0-9_.-]{0,252}$/i.test(text);
}

// As a URL has it, so without a zone. node:net knows, too, but takes 10 ms to load.
function isIPv6(text: string): boolean {
  return /^[0-9a-f:.]+$/i.test(text) && URL.canParse(`http://[${text}]`);
}

function readUrl(text: string): Reading {
  const url = httpUrl(text);
  if (url === null || url.username !== "" || url.password !== "") return refused;
  const address = addressOf(url);
  if (!isHost(address) && !isIPv6(address)) return refused;
  if (blockedPorts.has(Number(url.port))) return refused;
  if (url.protocol === "https:" || isLoopback(url)) return value(url);
  return value(url, "sends everything unencrypted because it is plain http to a host other than loopback");
}

function httpUrl(text: string): URL | null {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) ? url : null;
}

/** Whether what is sent there stays on this machine. */
export function isLoopback(url: URL): boolean {
  const address = addressOf(url);
  return address === "::1" || /^(.+\.)?localhost$/.test(address) || /^127\.\d+\.\d+\.\d+$/.test(address);
}

// A URL has an IPv6 address in brackets.
function addressOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1");
}

function shownUrl(text: string): string | undefined {
  const url = httpUrl(text);
  if (url !== null) {
    const userInfo = url.username !== "" || url.password !== "" ? "[secret]@" : "";
    // Without the query, which may carry a token, and without a path that may be the rest of a password with a /.
    return `${url.protocol}//${userInfo}${url.host}${/@|%40/.test(url.pathname) ? "" : url.pathname}`;
  }
  // What is no URL may still hold a password somewhere: shown only if it cannot.
  return /^(?:[a-z]+:\/\/)?[^:@%?#]*(?::\d+)?(?:\/[^:@%?#]*)?$/i.test(text) ? text : undefined;
}

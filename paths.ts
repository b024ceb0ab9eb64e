/**
 * Paths of a POSIX machine as texts. What `node:path` says of them, without the 6 ms that loading it takes: every start
 * waits for the program that reads the configuration.
 *
 * @module
 */

/** Without `.`, `..` and doubled slashes; a slash at the end stays. */
export function normalize(path: string): string {
  const isRooted = path.startsWith("/");
  const kept: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") kept.push(part);
    else if (kept.length > 0 && kept.at(-1) !== "..") kept.pop();
    else if (!isRooted) kept.push(part);
  }
  const end = path.endsWith("/") && kept.length > 0 ? "/" : "";
  const normal = (isRooted ? "/" : "") + kept.join("/") + end;
  return normal !== "" ? normal : path.endsWith("/") ? "./" : ".";
}

/** One behind the other. */
export function join(...paths: string[]): string {
  return normalize(paths.filter((path) => path !== "").join("/"));
}

/** As seen from a folder, which is absolute; absolute, too. */
export function resolve(folder: string, path: string): string {
  const whole = normalize(path.startsWith("/") ? path : `${folder}/${path}`);
  return whole === "/" ? whole : whole.replace(/\/$/, "");
}

/**
 * A path as somebody gave it to a command, absolute: it is meant from the folder that they stand in. `deno task` runs in
 * the project's folder and leaves theirs in INIT_CWD.
 */
export function givenPath(path: string, environment: (name: string) => string | undefined): string {
  return resolve(environment("INIT_CWD") || Deno.cwd(), path);
}

/** The folder that an absolute, normal path is in. */
export function dirname(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}

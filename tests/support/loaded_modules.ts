/**
 * Which modules a program loads before it does anything: every start waits for these.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

const root = new URL("../../", import.meta.url);

interface Info {
  roots: string[];
  redirects: Record<string, string>;
  modules: { specifier: string; dependencies?: { code?: { specifier: string }; isDynamic?: boolean }[] }[];
}

/** Of a file of the project: what it imports and what these import; what is imported later is not among them. */
export async function loadedModules(path: string): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", fileURLToPath(new URL(path, root))],
    cwd: fileURLToPath(root),
  }).output();
  const { roots, redirects, modules }: Info = JSON.parse(new TextDecoder().decode(stdout));
  const imports = new Map(modules.map(({ specifier, dependencies = [] }) => [
    specifier,
    dependencies.flatMap(({ code, isDynamic }) => code === undefined || isDynamic ? [] : [code.specifier]),
  ]));
  const found = new Set(roots);
  for (const one of found) {
    for (const imported of imports.get(redirects[one] ?? one) ?? []) found.add(imported);
  }
  return [...found].map((one) => one.replace(root.href, ""));
}

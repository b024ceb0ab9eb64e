/**
 * Loads configuration from memory, for the tests of configuration.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Config, loadConfig, type Loaded } from "../../config.ts";

/** What there is to load. */
export interface Setup {
  /** The text of the file named by `--config`; without it there is none. */
  ini?: string;
  environment?: Record<string, string>;
  requires?: "listener" | "database";
  /** What other paths hold, or what reading them throws. */
  files?: Record<string, string | Error>;
  path?: string;
}

/** Loads from files that are in memory only. */
export function load(setup: Setup): Promise<Loaded> {
  const files: Record<string, string | Error> = { ...setup.files };
  if (setup.ini !== undefined) files["/agent.ini"] = setup.ini;
  const path = setup.path ?? (setup.ini === undefined ? undefined : "/agent.ini");
  return loadConfig({
    ...(path === undefined ? {} : { path }),
    environment: (name) => setup.environment?.[name],
    readTextFile: (path) => {
      const content = files[path] ?? new Deno.errors.NotFound(`No such file: ${path}`);
      return typeof content === "string" ? Promise.resolve(content) : Promise.reject(content);
    },
    requires: setup.requires ?? "database",
  });
}

/** The config of a setup that loads without a warning. */
export async function config(setup: Setup): Promise<Config> {
  const loaded = await load(setup);
  assert.equal(loaded.kind, "loaded", JSON.stringify(loaded));
  assert.deepEqual(loaded.warnings, []);
  return (loaded as Loaded & { kind: "loaded" }).config;
}

/** The config of a setup that warns once, and the warning. */
export async function warned(setup: Setup): Promise<{ config: Config; message: string }> {
  const loaded = await load(setup);
  assert.equal(loaded.kind, "loaded", JSON.stringify(loaded));
  assert.equal(loaded.warnings.length, 1, JSON.stringify(loaded.warnings));
  return { config: (loaded as Loaded & { kind: "loaded" }).config, message: loaded.warnings[0]?.message ?? "" };
}

/** The messages of a setup that is refused. */
export async function refusals(setup: Setup): Promise<string[]> {
  const loaded = await load(setup);
  assert.equal(loaded.kind, "refused", JSON.stringify(loaded));
  return (loaded as Loaded & { kind: "refused" }).problems.map((problem) => problem.message);
}

/** The variables of a listener: what `start` requires. */
export const listener = {
  BITVILLE_PG_LISTENER_URL: "https://x",
  BITVILLE_PG_LISTENER_API_KEY: "k",
  BITVILLE_PG_PROJECT_ID: "p",
};

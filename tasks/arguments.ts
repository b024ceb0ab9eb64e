/**
 * The arguments of the commands that read the configuration.
 *
 * @module
 */

/** What stands behind the command's name. */
export interface ConfigArgument {
  config?: string;
  /** Of the doctor. */
  json: boolean;
}

/** Reads them. Throws what `parseArgs` of node:util throws at others. */
export async function readConfigArgument(args: readonly string[]): Promise<ConfigArgument> {
  const [name, value = "", ...more] = args;
  if (name === undefined) return { json: false };
  // The usual way, without node:util, which takes 5 ms to load.
  if (name === "--config" && /^[^-]/.test(value) && more.length === 0) return { config: value, json: false };
  const { parseArgs } = await import("node:util");
  const options = { config: { type: "string" }, json: { type: "boolean" } } as const;
  const { config, json = false } = parseArgs({ args: [...args], options }).values;
  return { json, ...(config === undefined ? {} : { config }) };
}

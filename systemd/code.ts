/**
 * What of the project goes to a server: the sources of the tasks that make sense there, the packages that these import,
 * and Deno itself. Tests, the demo and the reference listener stay behind, and with them whatever only they import.
 *
 * @module
 */

import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { filesBelow, type WantedFile } from "./files.ts";
import { cachePath, codePath, denoPath } from "./layout.ts";

/** The folder that this code runs from; without `/` at its end. */
export const projectPath: string = fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, "");

/** Whether this is the installed agent and not a working copy. */
export const isInstalled: boolean = projectPath === codePath;

const folders = ["config", "collectors", "transport", "tasks", "systemd"];

/** The folders that hold nothing but what comes from here. Deno adds files of its own to its cache when root runs it. */
export const codeFolders: readonly string[] = [...folders, "bin", "deno-cache/npm"].map((name) =>
  `${codePath}/${name}`
);

const tasks = ["start", "once", "doctor", "logs", "install", "uninstall"];

const sources = /^(?:[^/]+\.ts|LICENSE|(?:config|collectors|transport|tasks|systemd)\/.*\.(?:ts|sh|sql|ini\.example))$/;
const leftBehind = /^(?:tasks\/(?:demo|check|listener)|systemd\/(?:package\.ts|debian\/))/;

interface Manifest {
  imports: Record<string, string>;
  tasks: Record<string, string>;
  [key: string]: unknown;
}

/** All of it. Needs the packages in Deno's cache or the network. */
export async function codeFiles(): Promise<WantedFile[]> {
  const code = await sourceFiles();
  const manifest = await productionManifest(code);
  const lock = await productionLock(manifest);
  await fetchPackages();
  const generated = { "deno.json": manifest, "deno.lock": lock };
  return [
    ...code,
    ...Object.entries(generated).map(([name, text]) => ({ path: `${codePath}/${name}`, mode: 0o644, content: text })),
    ...await packageFiles(new TextDecoder().decode(lock)),
    { path: denoPath, mode: 0o755, content: { copyOf: Deno.execPath() } },
  ];
}

async function sourceFiles(): Promise<WantedFile[]> {
  const entries = await Array.fromAsync(Deno.readDir(projectPath));
  const top = entries.filter(({ isFile }) => isFile).map(({ name }) => name);
  const below = (await Promise.all(folders.map((name) => filesBelow(join(projectPath, name))))).flat().map((path) =>
    relative(projectPath, path)
  );
  return [...top.sort(), ...below].filter((path) => sources.test(path) && !leftBehind.test(path)).map((path) => ({
    path: `${codePath}/${path}`,
    mode: path.endsWith(".sh") ? 0o755 : 0o644,
    content: { copyOf: join(projectPath, path) },
  }));
}

/** The project's deno.json with what the code that goes along imports, and tasks that load nothing from the network. */
async function productionManifest(code: readonly WantedFile[]): Promise<Uint8Array> {
  const manifest: Manifest = JSON.parse(await Deno.readTextFile(join(projectPath, "deno.json")));
  const paths = code.flatMap(({ content }) => "copyOf" in content ? [content.copyOf] : []);
  const texts = await Promise.all(paths.map((path) => Deno.readTextFile(path)));
  const isImported = (name: string) => texts.some((text) => text.includes(` from "${name}"`));
  const { name, version, license, exports, unstable, lock } = manifest;
  const imports = Object.entries(manifest.imports).filter(([name]) => isImported(name));
  const commands = tasks.flatMap((task) => manifest.tasks[task] === undefined ? [] : [[task, manifest.tasks[task]]]);
  const cached = commands.map(([task, command]) => [task, command!.replace("deno run", "deno run --cached-only")]);
  const production = { imports: Object.fromEntries(imports), lock, tasks: Object.fromEntries(cached) };
  return encode(JSON.stringify({ name, version, license, exports, unstable, ...production }, null, 2));
}

interface Lock {
  /** From `npm:pg@8.23.1` to its resolved version, with peers. */
  specifiers: Record<string, string>;
  /** By `pg@8.23.1`; dependencies are `pg-types`, or `pg-types@2.2.0` where the lock has several. */
  npm: Record<string, { dependencies?: string[]; optionalDependencies?: string[] }>;
  workspace: { dependencies: string[] };
}

/**
 * The project's lock without what this manifest does not need; versions and hashes stay. Deno could do it
 * (`deno install`), and would ask the registry for that even when it has every package.
 */
async function productionLock(manifest: Uint8Array): Promise<Uint8Array> {
  const lock: Lock = JSON.parse(await Deno.readTextFile(join(projectPath, "deno.lock")));
  const { imports }: Manifest = JSON.parse(new TextDecoder().decode(manifest));
  const wanted = Object.values(imports);
  const specifiers = Object.fromEntries(Object.entries(lock.specifiers).filter(([name]) => wanted.includes(name)));
  const needed = new Set<string>();
  const waiting = Object.entries(specifiers).map(([name, version]) =>
    `${name.replace(/^npm:(@?[^@]+)@.*$/, "$1")}@${version}`
  );
  for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) {
    const found = key in lock.npm ? key : Object.keys(lock.npm).find((other) => other.startsWith(`${key}@`));
    if (found === undefined) throw new Error(`Cannot prepare the packages because deno.lock does not have ${key}`);
    if (needed.has(found)) continue;
    needed.add(found);
    const { dependencies = [], optionalDependencies = [] } = lock.npm[found]!;
    waiting.push(...dependencies, ...optionalDependencies);
  }
  const npm = Object.fromEntries(Object.entries(lock.npm).filter(([key]) => needed.has(key)));
  return encode(JSON.stringify({ ...lock, specifiers, npm, workspace: { dependencies: wanted.sort() } }, null, 2));
}

/** Has Deno fetch what it does not have yet. */
async function fetchPackages(): Promise<void> {
  const main = join(projectPath, "main.ts");
  // Without the flag Deno asks the registry even when nothing is missing.
  await runDeno(["cache", "--cached-only", main], projectPath).catch(() => runDeno(["cache", main], projectPath));
}

async function packageFiles(lock: string): Promise<WantedFile[]> {
  const { npmCache } = JSON.parse(await runDeno(["info", "--json"], projectPath));
  const registry = "registry.npmjs.org";
  const files: WantedFile[] = [];
  for (const key of Object.keys(JSON.parse(lock).npm)) {
    // Such as `@logtape/logtape@2.4.2` or `pg-pool@3.14.0_pg@8.23.1`, where peers follow the version.
    const [, name, version] = /^(@?[^@]+)@([^_]+)/.exec(key)!;
    const from = join(npmCache, registry, name!);
    const to = `${cachePath}/npm/${registry}/${name}`;
    const paths = (await filesBelow(join(from, version!))).filter((path) => isRun(relative(from, path)));
    if (paths.length === 0) throw new Error(`Cannot copy package ${key} because ${from} does not have it`);
    files.push(
      ...paths.map((path) => ({ path: `${to}/${relative(from, path)}`, mode: 0o644, content: { copyOf: path } })),
    );
  }
  return files;
}

/** Code and licences; types, maps, documentation and tests are for whoever develops. */
function isRun(path: string): boolean {
  return /(?:\.[cm]?js|\.json|\/licen[cs]e[^/]*)$/i.test(path) &&
    !/\/(?:tests?|\.[^/]+)(?:\/|$)|\/test\.js$/.test(path);
}

async function runDeno(args: string[], cwd: string): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), { args, cwd, env: { NO_COLOR: "1" }, stdin: "null" });
  const { success, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  if (!success) {
    throw new Error(`Cannot prepare the packages because deno ${args[0]} failed: ${decoder.decode(stderr)}`);
  }
  return decoder.decode(stdout);
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\n`);
}

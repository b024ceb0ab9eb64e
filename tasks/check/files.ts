/**
 * The checks that need no compiler: tests mirror their sources, links in the documentation lead somewhere, and nothing
 * is marked as unfinished. Each takes the repository's folder and the files in it, and returns its problems.
 *
 * @module
 */

import { posix } from "node:path";

/** Folders of tests that have no source to mirror: they cross subjects, or serve other tests. */
const freeTestFolders = ["integration", "bench", "contracts", "fakes", "fixtures", "machine", "support", "versions"];
/** Folders that are made, not written. */
const madeFolders = [".git", ".deno", ".idea", ".vscode", "coverage", "node_modules"];
/** Text that others wrote. */
const foreignText = /^(?:tests\/fixtures\/|deno\.lock$|LICENSE$)/;
const textFile = /\.(?:ts|js|json|md|sh|sql|ini|service|conf|yml|yaml|toml)$|^\.ci\/|^\.git(?:ignore|attributes)$/;
const unfinished = /\b(?:TO(?:DO)|FIX(?:ME))\b/;

/** A folder, and the files in it as paths with `/` between, in order. */
export interface Tree {
  root: string;
  files: readonly string[];
}

/** Lists what was written by hand below `root`. */
export function readTree(root: string): Tree {
  return { root, files: [...walk(root, "")].sort() };
}

function* walk(root: string, folder: string): Generator<string> {
  for (const entry of Deno.readDirSync(posix.join(root, folder))) {
    const path = posix.join(folder, entry.name);
    if (entry.isFile) yield path;
    else if (entry.isDirectory && !madeFolders.includes(entry.name)) yield* walk(root, path);
  }
}

/** A test `tests/a/b_test.ts` belongs to a source `a/b.ts`, and stands nowhere else. */
export function mirrorProblems(tree: Tree): string[] {
  return tree.files.filter((path) => path.endsWith("_test.ts")).flatMap((path) => {
    const place = /^tests\/(?:([^/]+)\/)?/.exec(path);
    if (place === null) return [`${path}: a test stands below tests/`];
    if (freeTestFolders.includes(place[1] ?? "")) return [];
    const source = path.replace(/^tests\//, "").replace(/_test\.ts$/, "");
    if (tree.files.includes(`${source}.ts`) || tree.files.includes(`${source}.sh`)) return [];
    return [`${path}: there is no ${source}.ts; tests across subjects go to tests/integration/`];
  });
}

/** Relative links of README.md, CHANGELOG.md and docs/ lead to files that exist. */
export function linkProblems(tree: Tree): string[] {
  const pages = tree.files.filter((path) => /^(?:docs\/.*|[^/]+)\.md$/.test(path));
  return pages.flatMap((page) =>
    relativeLinks(Deno.readTextFileSync(posix.join(tree.root, page)))
      .filter((link) => !leadsSomewhere(tree, { page, link }))
      .map((link) => `${page}: the link ${link} leads nowhere`)
  );
}

function relativeLinks(markdown: string): string[] {
  const prose = markdown.replace(/^(```+|~~~+)[^]*?^\1/gm, "").replace(/`[^`\n]*`/g, "");
  const inline = prose.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g);
  const defined = prose.matchAll(/^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)/gm);
  return [...inline, ...defined].map(([, link]) => link!).filter((link) =>
    !/^(?:[a-z][a-z0-9+.-]*:|\/\/|#)/i.test(link)
  );
}

function leadsSomewhere(tree: Tree, at: { page: string; link: string }): boolean {
  const target = decodeURI(at.link.replace(/[?#].*$/, ""));
  const path = target.startsWith("/") ? target.slice(1) : posix.join(posix.dirname(at.page), target);
  const folder = path.replace(/\/$/, "") + "/";
  return path === "." || tree.files.some((file) => file === path || file.startsWith(folder));
}

/** Nothing says that it is still to be done: what is left goes into an issue. */
export function unfinishedProblems(tree: Tree): string[] {
  return tree.files.filter((path) => textFile.test(path) && !foreignText.test(path)).flatMap((path) =>
    Deno.readTextFileSync(posix.join(tree.root, path)).split("\n").flatMap((line, index) =>
      unfinished.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : []
    )
  );
}

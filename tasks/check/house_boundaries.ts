/**
 * The lint rules about who may touch what: which folder may import which, and which file owns which power of Deno. The
 * two tables here are the rule; `docs/architecture.md` tells the reasons.
 *
 * @module
 */

import { posix } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

/**
 * What one folder, or a file at the top, may import: paths, where one that ends in `/` stands for all below that folder
 * and `*` for all files at the top but main.ts.
 */
interface Layer {
  of: string;
  may: readonly string[];
  /** And these, but only as types. */
  types?: readonly string[];
}

/** The first one that fits a file counts. */
const layers: readonly Layer[] = [
  { of: "tests/", may: ["/"] },
  { of: "main.ts", may: ["*", "collectors/", "transport/", "tasks/"] },
  { of: "config.ts", may: ["*", "config/"] },
  { of: "config/", may: ["*", "config/"] },
  // The doctor tells whether the unit fits the configuration.
  { of: "tasks/launch_doctor.ts", may: ["*", "tasks/", "systemd/unit_state.ts"] },
  { of: "tasks/", may: ["*", "collectors/", "transport/", "tasks/"] },
  {
    of: "collectors/",
    may: ["collectors/", "limits.ts", "log.ts", "log_interface.ts"],
    types: ["clock.ts", "config.ts"],
  },
  {
    of: "transport/",
    may: ["transport/", "limits.ts", "log.ts", "log_interface.ts"],
    types: ["clock.ts", "config.ts"],
  },
  { of: "systemd/", may: ["*", "systemd/", "tasks/permissions.ts", "tasks/help.ts", "tasks/program.ts"] },
  { of: "*", may: ["*"] },
];

/** Something that only some files may do. */
interface Power {
  /**
   * Names as they are written: a member (`Deno.env`), all members (`console.*`), a global (`fetch`), an imported module
   * (`pg`, `node:process`), or `new Date()` without arguments.
   */
  uses: readonly string[];
  owners: readonly string[];
  instead: string;
}

const powers: readonly Power[] = [
  {
    uses: [
      "Deno.env",
      "Deno.args",
      "Deno.exit",
      "Deno.exitCode",
      "Deno.addSignalListener",
      "Deno.removeSignalListener",
      "node:process",
    ],
    owners: [
      "main.ts",
      "tasks/launch.ts",
      "tasks/listener/launch.ts",
      // It tries what must be refused.
      "tasks/doctor/permissions.ts",
      "tasks/demo/locate.ts",
      "tasks/check/",
      "systemd/install.ts",
      "systemd/uninstall.ts",
      "systemd/package.ts",
    ],
    instead: "Take the value as an option, or return how it ended: main.ts reads, passes on and exits",
  },
  {
    uses: ["Deno.cron"],
    owners: ["tasks/cron.ts"],
    instead: "Hand the run to tasks/cron.ts and take the tick from it",
  },
  {
    uses: ["fetch", "Deno.createHttpClient", "node:http", "node:https"],
    // The page runs in a browser, and asks the listener that it came from.
    owners: ["transport/http_delivery.ts", "tasks/listener/page/api.js"],
    instead: "Send through the Delivery that transport/http_delivery.ts makes",
  },
  {
    uses: ["Deno.listenDatagram"],
    owners: ["tasks/notify.ts"],
    instead: "Tell the service manager through the ServiceManager of tasks/notify.ts",
  },
  {
    uses: ["Deno.openKv"],
    owners: ["transport/kv_store.ts", "transport/wake_queue.ts"],
    instead: "Take an Outbox as an option",
  },
  {
    uses: ["node:sqlite"],
    owners: ["transport/kv_file.ts", "transport/kv_salvage.ts", "tasks/listener/database.ts"],
    instead: "Read the outbox through its seam; only what may be damaged is opened beside Deno KV",
  },
  {
    uses: ["pg"],
    owners: ["collectors/postgres_pool.ts", "tasks/demo/"],
    instead: "Take a Database (collectors/database.ts) as an option",
  },
  {
    uses: ["console.*", "Deno.stderr"],
    owners: [
      "main.ts",
      "log.ts",
      "tasks/launch.ts",
      "tasks/program.ts",
      "tasks/listener/launch.ts",
      "tasks/demo/",
      "tasks/check/",
      "systemd/",
    ],
    instead: "Take a Log (log.ts) or a write function as an option",
  },
  {
    uses: ["Deno.Command", "node:child_process"],
    owners: ["tasks/demo/", "tasks/check/", "tasks/doctor/permissions.ts", "systemd/"],
    instead: "Read it without another process: the agent starts none",
  },
  { uses: ["Deno.serve"], owners: ["tasks/listener/listener.ts"], instead: "Start the listener of tasks/listener/" },
  {
    uses: [
      "new Date()",
      "Date.now",
      "performance.now",
      "Math.random",
      "crypto.getRandomValues",
      "crypto.randomUUID",
    ],
    owners: ["clock.ts", "main.ts", "tasks/", "systemd/"],
    instead: "Take a Clock or a random function (clock.ts) as an option, so that tests own them",
  },
];

/** Where a file stands in the repository, with `/` between; null for one that is not of this repository. */
export function pathInRepository(fileName: string): string | null {
  if (!posix.isAbsolute(fileName)) return posix.normalize(fileName);
  return fileName.startsWith(root) ? fileName.slice(root.length) : null;
}

/** Folders import only downwards: collectors and transport nothing of each other, nobody tests. */
export const importDirection: Deno.lint.Rule = {
  create(context) {
    const path = pathInRepository(context.filename);
    const check = (node: Deno.lint.Node, specifier: unknown, asType: boolean) => {
      if (path === null || typeof specifier !== "string" || !/^\.\.?\//.test(specifier)) return;
      const message = forbiddenImport(path, { target: posix.join(posix.dirname(path), specifier), asType });
      if (message !== null) context.report({ node, message });
    };
    return {
      Program(node) {
        if (path === null) context.report({ node, message: "Cannot place this file: it is not below the repository" });
      },
      ImportDeclaration(node) {
        const types = node.specifiers.map((one) => one.type === "ImportSpecifier" && one.importKind === "type");
        check(node, node.source.value, node.importKind === "type" || (types.length > 0 && types.every(Boolean)));
      },
      ExportNamedDeclaration(node) {
        check(node, node.source?.value, node.exportKind === "type");
      },
      ExportAllDeclaration(node) {
        check(node, node.source.value, node.exportKind === "type");
      },
      ImportExpression(node) {
        check(node, node.source.type === "Literal" ? node.source.value : null, false);
      },
      TSImportType(node) {
        const [, specifier] = /import\(\s*["']([^"']+)["']/.exec(context.sourceCode.getText(node)) ?? [];
        check(node, specifier, true);
      },
    };
  },
};

function forbiddenImport(path: string, imported: { target: string; asType: boolean }): string | null {
  const { target, asType } = imported;
  const layer = layers.find(({ of }) => covers(of, path));
  if (layer === undefined) return `Cannot place ${path}: tasks/check/house_boundaries.ts has no line for its folder`;
  if (layer.may.some((allowed) => covers(allowed, target))) return null;
  const asTypeAllowed = (layer.types ?? []).some((allowed) => covers(allowed, target));
  if (asType && asTypeAllowed) return null;
  const who = layer.of === "*" ? path : layer.of;
  if (asTypeAllowed) return `Cannot import ${target} into ${who}: only as a type (import type), its value is passed in`;
  const what = [...layer.may, ...(layer.types ?? []).map((allowed) => `types of ${allowed}`)].join(", ");
  return `Cannot import ${target} into ${who}: it may import ${what}; what it needs besides is passed in`;
}

/** Each power of Deno has one owner; everybody else is handed what comes of it. Tests are free. */
export const oneOwner: Deno.lint.Rule = {
  create(context) {
    const path = pathInRepository(context.filename);
    if (path === null || path.startsWith("tests/")) return {};
    const check = (node: Deno.lint.Node, ...uses: string[]) => {
      const power = powers.find((one) => uses.some((use) => one.uses.includes(use)));
      if (power === undefined || power.owners.some((owner) => covers(owner, path))) return;
      context.report({
        node,
        message: `Cannot use ${uses[0]} here: ${power.owners.join(", ")} may`,
        hint: power.instead,
      });
    };
    const checkImport = (node: Deno.lint.Node, specifier: unknown) => {
      if (typeof specifier === "string") check(node, specifier, specifier.replace(/^npm:/, "").replace(/[@/].*/, ""));
    };
    return {
      MemberExpression(node) {
        const object = globalName(node.object);
        const member = propertyName(node);
        if (object === null || member === null) return;
        if (object === "globalThis") check(node, member);
        else check(node, `${object}.${member}`, `${object}.*`);
      },
      VariableDeclarator(node) {
        if (node.id.type !== "ObjectPattern" || node.init?.type !== "Identifier") return;
        for (const part of node.id.properties) {
          if (part.type !== "Property" || part.key.type !== "Identifier") continue;
          check(part, `${node.init.name}.${part.key.name}`, `${node.init.name}.*`);
        }
      },
      NewExpression(node) {
        if (globalName(node.callee) === "Date" && node.arguments.length === 0) check(node, "new Date()");
      },
      CallExpression(node) {
        if (node.callee.type === "Identifier" && node.callee.name === "Date") check(node, "new Date()");
      },
      Identifier(node) {
        if (isValueOfGlobal(node, context.sourceCode)) check(node, node.name);
      },
      ImportDeclaration: (node) => checkImport(node, node.source.value),
      ImportExpression: (node) => checkImport(node, node.source.type === "Literal" ? node.source.value : null),
      ExportNamedDeclaration: (node) => checkImport(node, node.source?.value),
      ExportAllDeclaration: (node) => checkImport(node, node.source.value),
    };
  },
};

/** `X` of `X` and of `globalThis.X`. */
function globalName(node: Deno.lint.Node): string | null {
  if (node.type === "Identifier") return node.name;
  if (node.type === "MemberExpression" && globalName(node.object) === "globalThis") return propertyName(node);
  return null;
}

function propertyName(node: Deno.lint.MemberExpression): string | null {
  if (!node.computed) return node.property.type === "Identifier" ? node.property.name : null;
  return node.property.type === "Literal" ? String(node.property.value) : null;
}

type Ranged = { range: Deno.lint.Range };

/** Whether `fetch` and its like stand for the global one here: called, passed on or taken, and not a parameter. */
function isValueOfGlobal(node: Deno.lint.Identifier, source: Deno.lint.SourceCode): boolean {
  if (!powers.some((power) => power.uses.includes(node.name))) return false;
  const { parent } = node;
  const taken = (parent.type === "CallExpression") ||
    (parent.type === "LogicalExpression") ||
    (parent.type === "AssignmentPattern" && sameRange(parent.right, node)) ||
    (parent.type === "VariableDeclarator" && parent.init && sameRange(parent.init, node)) ||
    (parent.type === "Property" && parent.parent.type === "ObjectExpression" && sameRange(parent.value, node));
  if (!taken) return false;
  const parameters = source.getAncestors(node).flatMap((one) =>
    one.type === "FunctionDeclaration" || one.type === "FunctionExpression" || one.type === "ArrowFunctionExpression"
      ? one.params
      : []
  );
  const named = new RegExp(`\\b${node.name}\\b`);
  return !parameters.some((one) => !encloses(one, node) && named.test(source.getText(one as Deno.lint.Node)));
}

function sameRange(one: Ranged, other: Ranged): boolean {
  return one.range[0] === other.range[0] && one.range[1] === other.range[1];
}

function encloses(outer: Ranged, inner: Ranged): boolean {
  return outer.range[0] <= inner.range[0] && inner.range[1] <= outer.range[1];
}

function covers(pattern: string, path: string): boolean {
  if (pattern === "*") return !path.includes("/") && path !== "main.ts";
  return pattern === "/" || pattern === path || (pattern.endsWith("/") && path.startsWith(pattern));
}

/**
 * The house's own lint rules, as a plugin that `deno.json` names: how long, how wide and how introduced a file and its
 * functions may be here, and who may touch what in `house_boundaries.ts`. A line that has a reason to break a rule says
 * so: `// deno-lint-ignore house/function-length -- the reason`.
 *
 * @module
 */

import { importDirection, oneOwner, pathInRepository } from "./house_boundaries.ts";

const functionLinesMax = 70;
const fileLinesMax = 300;
/** Tests are tables and scripts: longer, and read one test at a time. */
const testFileLinesMax = 500;
const parametersMax = 3;

type AnyFunction = Deno.lint.FunctionDeclaration | Deno.lint.FunctionExpression | Deno.lint.ArrowFunctionExpression;

/** No function is longer than 70 lines. Free are, in tests, what holds tests: their callback and a suite's function. */
const functionLength: Deno.lint.Rule = {
  create(context) {
    const inTests = isTest(context.filename);
    const check = (node: AnyFunction) => {
      const text = context.sourceCode.getText(node);
      const lines = countLines(text);
      if (lines <= functionLinesMax) return;
      if (inTests && (/\bDeno\.test\b/.test(text) || isTestCallback(node, context.sourceCode))) return;
      context.report({
        range: [node.range[0], node.range[0] + text.indexOf("\n")],
        message: `Cannot be longer than ${functionLinesMax} lines: this function has ${lines}`,
        hint: "Take steps out into functions that say what they do",
      });
    };
    return { FunctionDeclaration: check, FunctionExpression: check, ArrowFunctionExpression: check };
  },
};

function isTestCallback(node: AnyFunction, source: Deno.lint.SourceCode): boolean {
  const call = source.getAncestors(node).findLast((one) => one.type !== "Property" && one.type !== "ObjectExpression");
  return call?.type === "CallExpression" && source.getText(call.callee).startsWith("Deno.test");
}

/** No file is longer than 300 lines, no test file than 500. */
const fileLength: Deno.lint.Rule = {
  create(context) {
    const linesMax = isTest(context.filename) ? testFileLinesMax : fileLinesMax;
    return {
      Program() {
        const { text } = context.sourceCode;
        const lines = countLines(text.trimEnd());
        if (lines <= linesMax) return;
        context.report({
          range: [0, 1],
          message: `Cannot be longer than ${linesMax} lines: this file has ${lines}`,
          hint: "Split it by what it is for, one subject a file",
        });
      },
    };
  },
};

/** What a module declares at its top level as a function is declared with `function`. */
const noTopLevelArrow: Deno.lint.Rule = {
  create(context) {
    return {
      ArrowFunctionExpression(node) {
        const [above, ...further] = context.sourceCode.getAncestors(node).filter(isNoWrapper).reverse();
        const atTop = further.every((one) =>
          one.type === "Program" || one.type === "VariableDeclaration" || one.type === "ExportNamedDeclaration"
        );
        if (!atTop || (above?.type !== "VariableDeclarator" && above?.type !== "ExportDefaultDeclaration")) return;
        context.report({
          node,
          message: "Cannot be an arrow function at the top level: it has no name in a stack and no hoisting",
          hint: "Write function name(…) {…}",
        });
      },
    };
  },
};

/** `as const`, `satisfies` and the like, which stand between a value and where it goes. */
function isNoWrapper(node: Deno.lint.Node): boolean {
  return node.type !== "TSAsExpression" && node.type !== "TSSatisfiesExpression";
}

/** Two arguments, and then an object of options. Callbacks take what they are given. */
const argumentCount: Deno.lint.Rule = {
  create(context) {
    const check = (node: Deno.lint.Node, parameters: readonly Deno.lint.Parameter[]) => {
      const count = parameters.filter((one) => one.type !== "Identifier" || one.name !== "this").length;
      if (count <= parametersMax) return;
      context.report({
        node,
        message: `Cannot have more than ${parametersMax} parameters: this function has ${count}`,
        hint: "Keep the two that matter most and put the rest into one object, options",
      });
    };
    return {
      FunctionDeclaration: (node) => check(node, node.params),
      MethodDefinition: (node) => check(node, node.value.params),
      TSMethodSignature: (node) => check(node, node.params),
    };
  },
};

/** Each file opens with a comment that says what it is for. */
const moduleComment: Deno.lint.Rule = {
  create(context) {
    return {
      Program() {
        const { text } = context.sourceCode;
        const problem = openingProblem(text.replace(/^(?:(?:#!|\/\/ deno-).*\n)+/, "").trimStart());
        if (problem === null) return;
        context.report({ range: [0, 1], message: problem, hint: "Open with /** What this file is for. @module */" });
      },
    };
  },
};

function openingProblem(text: string): string | null {
  const [comment] = /^(?:\/\*[^]*?\*\/|(?:\/\/.*\n?)+)/.exec(text) ?? [];
  if (comment === undefined) return "Cannot tell what this file is for: it must begin with a comment that says so";
  const words = comment.replace(/@\w+/g, "").match(/\p{L}{2,}/gu) ?? [];
  if (words.length < 3) return "Cannot tell what this file is for: its first comment must say so";
  if (comment.startsWith("/**") && !/@module\b/.test(comment)) {
    return "Cannot tell the file's comment from that of its first declaration: it must end with @module";
  }
  return null;
}

function isTest(fileName: string): boolean {
  return pathInRepository(fileName)?.startsWith("tests/") ?? false;
}

function countLines(text: string): number {
  return text.split("\n").length;
}

export default {
  name: "house",
  rules: {
    "import-direction": importDirection,
    "one-owner": oneOwner,
    "function-length": functionLength,
    "file-length": fileLength,
    "no-top-level-arrow": noTopLevelArrow,
    "argument-count": argumentCount,
    "module-comment": moduleComment,
  },
} satisfies Deno.lint.Plugin;

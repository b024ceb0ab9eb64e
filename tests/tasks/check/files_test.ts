// The checks of mirror, links and unfinished work, on folders made for each test.
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { linkProblems, mirrorProblems, readTree, type Tree, unfinishedProblems } from "../../../tasks/check/files.ts";

/** Runs `check` on a folder that holds these files. */
function onFiles(files: Record<string, string>, check: (tree: Tree) => string[]): string[] {
  const root = Deno.makeTempDirSync();
  try {
    for (const [path, text] of Object.entries(files)) {
      Deno.mkdirSync(join(root, dirname(path)), { recursive: true });
      Deno.writeTextFileSync(join(root, path), text);
    }
    return check(readTree(root));
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}

Deno.test("readTree lists files in order and leaves out what is made", () => {
  const files = { "b/c.ts": "", "a.ts": "", ".ci/run": "", "node_modules/x/y.ts": "", ".git/config": "" };
  assert.deepEqual(onFiles(files, ({ files }) => [...files]), [".ci/run", "a.ts", "b/c.ts"]);
});

Deno.test("mirrorProblems finds nothing where tests stand as their sources do", () => {
  const files = {
    "config.ts": "",
    "collectors/logs/tail.ts": "",
    "systemd/install.sh": "",
    "tests/config_test.ts": "",
    "tests/collectors/logs/tail_test.ts": "",
    "tests/systemd/install_test.ts": "",
    "tests/integration/outage_test.ts": "",
    "tests/contracts/outbox_test.ts": "",
    "tests/support/wait.ts": "",
    "tasks/check/test.ts": "",
  };
  assert.deepEqual(onFiles(files, mirrorProblems), []);
});

Deno.test("mirrorProblems tells tests without a source and tests beside one", () => {
  const files = {
    "collectors/tail.ts": "",
    "collectors/tail_test.ts": "",
    "tests/tail_test.ts": "",
    "tests/transport/tail_test.ts": "",
  };
  assert.deepEqual(onFiles(files, mirrorProblems), [
    "collectors/tail_test.ts: a test stands below tests/",
    "tests/tail_test.ts: there is no tail.ts; tests across subjects go to tests/integration/",
    "tests/transport/tail_test.ts: there is no transport/tail.ts; tests across subjects go to tests/integration/",
  ]);
});

Deno.test("linkProblems follows relative links of every page", () => {
  const files = {
    "README.md": "[a](docs/a.md#top) [b](./docs/) [c](https://example.com/x.md) [d](#here) ![e](docs/e%20f.png)\n",
    "docs/a.md": '[up](../README.md "title") [a](/docs/a.md) [self](.)\n\n[ref]: ./decisions/b.md\n',
    "docs/decisions/b.md": "`[code](none.md)`\n\n```sh\n[code](none.md)\n```\n",
    "docs/e f.png": "",
  };
  assert.deepEqual(onFiles(files, linkProblems), []);
});

Deno.test("linkProblems tells the page and the link that leads nowhere", () => {
  const files = {
    "CHANGELOG.md": "[a](docs/none.md)\n",
    "docs/a.md": "[b](b.md) [up](docs/a.md)\n\n[ref]: ../none\n",
    "tests/fixtures/a.md": "[b](none.md)\n",
  };
  assert.deepEqual(onFiles(files, linkProblems), [
    "CHANGELOG.md: the link docs/none.md leads nowhere",
    "docs/a.md: the link b.md leads nowhere",
    "docs/a.md: the link docs/a.md leads nowhere",
    "docs/a.md: the link ../none leads nowhere",
  ]);
});

Deno.test("unfinishedProblems tells the line of a mark, but not in what others wrote", () => {
  const mark = "TO" + "DO";
  const files = {
    "main.ts": `one\ntwo // ${mark} later\n`,
    "tests/fixtures/server.log": mark,
    "tests/fixtures/a.md": mark,
    "a.bin": mark,
    "docs/a.md": "TODOS and todo are words",
  };
  assert.deepEqual(onFiles(files, unfinishedProblems), [`main.ts:2: two // ${mark} later`]);
});

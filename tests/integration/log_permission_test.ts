/**
 * A log whose new file may not be read for a while, as when logrotate's `create` line is wrong: root can read
 * everything, so the agent runs as somebody else. Only root can become another user.
 *
 * @module
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { isRoot, unprivilegedUser } from "../../tasks/demo/embedded_postgres.ts";
import { AgentFolder } from "../support/agent_folder.ts";
import { AgentProcess } from "../support/agent_process.ts";
import { copyProjectFor } from "../support/project_copy.ts";
import { ScriptedListener } from "../support/scripted_listener.ts";

/** Nobody listens there: what asks the server fails, and does no harm. */
const nowhere = { host: "127.0.0.1", port: 1 } as const;
const reason = isRoot() ? "" : " (needs root to become one)";

Deno.test({
  name: `start loses nothing of a log that may not be read for a while, and says it once${reason}`,
  ignore: !isRoot(),
  async fn() {
    const user = unprivilegedUser();
    await using copy = await copyProjectFor(user);
    await using listener = new ScriptedListener();
    await using folder = await AgentFolder.create({ database: nowhere, listener, owner: user });
    const logs = join(folder.path, "logs");
    const path = join(logs, "postgresql.log");
    await Deno.mkdir(logs, { mode: 0o755 });
    await Deno.writeTextFile(path, "");
    await folder.set({ collection: { log_path: logs } });

    await using agent = AgentProcess.start(folder, { user, root: copy.root, environment: copy.environment });
    await agent.event("log_followed");
    await append(path, "one");
    await agent.until("the first line", () => messages(listener).length === 1);
    await append(path, "two");
    await Deno.rename(path, `${path}.1`);
    await Deno.writeTextFile(path, "", { mode: 0o600 });
    await append(path, "three");
    await agent.event("log_unreadable");
    await append(path, "four");
    await agent.until("the second line", () => messages(listener).length === 2);
    await Deno.chmod(path, 0o644);
    await append(path, "five");
    await agent.until("all lines", () => messages(listener).length === 5);
    assert.deepEqual(messages(listener), ["one", "two", "three", "four", "five"]);
    assert.equal(agent.of("log_unreadable").length, 1);
    assert.equal((await agent.end("SIGTERM")).code, 0);
  },
});

/** With the name of a web request, which is sent within a second. */
async function append(path: string, message: string): Promise<void> {
  const name = "bitville-0b0e8a3e-7a3a-4a53-9d55-0c7f3a3b1e22";
  const line = `2026-11-21 03:00:00.000 UTC [77]: [1-1] user=app,db=shop,app=${name},client=[local] LOG:  ${message}\n`;
  await Deno.writeTextFile(path, line, { append: true });
}

function messages({ accepted }: ScriptedListener): string[] {
  return accepted.flatMap(({ type, data }) =>
    type === "pg_log" ? (data.entries as { message: string }[]).map(({ message }) => message) : []
  );
}

/**
 * The agent under an account without rights, from a project folder that it may only read. Only root can become another
 * user; whoever else runs the tests is one, and all of them show it.
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
import { sharedPostgres } from "../support/shared_postgres.ts";

const postgres = sharedPostgres();
const reason = isRoot() ? "" : " (needs root to become one: this user is ordinary already)";

Deno.test({
  name: `start and once run as an ordinary user from a folder that is not theirs${reason}`,
  ignore: !isRoot(),
  async fn() {
    const user = unprivilegedUser();
    await using copy = await copyProjectFor(user);
    await using listener = new ScriptedListener();
    await using folder = await AgentFolder.create({ database: postgres(), listener, owner: user });
    const options = { user, root: copy.root, environment: copy.environment };

    const once = await AgentProcess.run(folder, { ...options, command: "once" });
    assert.equal(once.code, 0, once.stderr);
    assert.notEqual(once.stdout, "");

    await using agent = AgentProcess.start(folder, options);
    await agent.event("document_delivered");
    assert.match(await Deno.readTextFile(`/proc/${agent.pid}/status`), new RegExp(`^Uid:\t${user.uid}\t`, "m"));
    assert.equal((await agent.end("SIGTERM")).code, 0);

    const buffer = await Deno.stat(folder.bufferPath);
    assert.deepEqual([buffer.uid, buffer.mode! & 0o777], [user.uid, 0o700]);
    const file = await Deno.stat(join(folder.bufferPath, "outbox.kv"));
    assert.equal(file.uid, user.uid);
  },
});

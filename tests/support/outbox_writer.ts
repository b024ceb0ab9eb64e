/**
 * A process that stores documents as fast as it can and prints each that is stored, until it is killed.
 *
 * @module
 */

import { openKvOutbox } from "../../transport/kv_outbox.ts";
import { draftOf, testSeal } from "./drafts.ts";

const [path = ""] = Deno.args;
const outbox = await openKvOutbox({ path, maxBytes: 1_000_000_000, seal: testSeal() });
for (let index = 0;; index++) {
  // Every third one needs more than one commit.
  const put = await outbox.put(draftOf(`${index}`, index % 3 === 0 ? 1_500_000 : 1_000));
  if (put.kind === "stored") console.log(JSON.stringify({ sequence: put.sequence, id: put.id }));
}

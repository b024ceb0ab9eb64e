/**
 * A process that stores documents as fast as it can and prints each that is stored, until it is killed.
 *
 * @module
 */

import { draftOf } from "./drafts.ts";
import { openTestOutbox } from "./test_outbox.ts";

const [path = ""] = Deno.args;
const outbox = await openTestOutbox(path, { maxBytes: 1_000_000_000 });
for (let index = 0;; index++) {
  // Every third one needs more than one commit.
  const put = await outbox.put(draftOf(`${index}`, index % 3 === 0 ? 1_500_000 : 1_000));
  if (put.kind === "stored") console.log(JSON.stringify({ sequence: put.sequence, id: put.id }));
}

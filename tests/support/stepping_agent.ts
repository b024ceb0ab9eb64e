/**
 * A process that captures, stores, sends, settles and evicts by a fixed plan, with the real outbox and the real delivery,
 * and kills itself at the n-th step: `stepping_agent.ts FOLDER URL N`. Ends with 0 when it got through all of them.
 *
 * @module
 */

import { systemClock } from "../../clock.ts";
import * as limits from "../../limits.ts";
import type { Delivery } from "../../transport/delivery.ts";
import { createHttpDelivery } from "../../transport/http_delivery.ts";
import { Sender } from "../../transport/sender.ts";
import { draftOf } from "./drafts.ts";
import { MemoryLog } from "./memory_log.ts";
import { putStatus } from "./outbox_folder.ts";
import { openTestOutbox } from "./test_outbox.ts";
import { waitFor } from "./wait_for.ts";

const [path = "", url = "", deadly = "0"] = Deno.args;
let steps = 0;

function step(): void {
  if (++steps === Number(deadly)) Deno.kill(Deno.pid, "SIGKILL");
}

const log = new MemoryLog();
const outbox = await openTestOutbox(path, { maxBytes: 1_200_000, documentBytesMax: 2_000_000, step, log });
const http = createHttpDelivery({
  url: new URL(url),
  apiKey: "key",
  timeoutMs: 5_000,
  compression: "none",
  caCertificates: [],
  userAgent: "stepping",
  clock: systemClock,
});
const delivery: Delivery = {
  send: async (entry, signal) => {
    step();
    const outcome = await http.send(entry, signal);
    step();
    return outcome;
  },
  close: () => http.close(),
};
const breaker = {
  failuresMax: limits.circuitFailuresMax,
  cooldownMs: 10,
  backoffFirstMs: 1,
  backoffMaxMs: 10,
  random: () => 0,
};
const pace = { documentsPerS: 1_000, bytesPerS: 100_000_000, startDelayMaxMs: 0, random: () => 0 };
const sender = new Sender({ outbox, delivery, clock: systemClock, log, breaker, pace });

// Nobody sends yet: these do not all fit, and one is in several commits.
for (const bytes of [200_000, 800_000, 1_000, 300_000, 1_000]) await outbox.put(draftOf("evicting", bytes));
await outbox.put(draftOf("too large", 1_900_000));
await outbox.put(draftOf("refuse"), [{ name: "log:a", value: 1 }]);
await putStatus(outbox);
sender.wake();
for (let index = 0; index < 3; index++) await outbox.put(draftOf("while sending", 10_000));
// At once: most of these share a commit with the deletion of what was delivered meanwhile; one is stored alone.
await Promise.all([1_000, 10_000, 800_000, 1_000].map((bytes) => outbox.put(draftOf("at once", bytes))));
await Promise.all([1_000, 1_000, 1_000].map((bytes) => outbox.put(draftOf("at once", bytes))));
await putStatus(outbox);
sender.wake();
await waitFor("an empty outbox", () => outbox.status().records === 0, { boundMs: 20_000 });
await sender.stop(1_000);
delivery.close();
await outbox.close();
console.log(steps);
Deno.exit(0);

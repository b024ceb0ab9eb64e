/**
 * The outbox's contract on the outbox in memory, so that tests that use it test against the truth.
 *
 * @module
 */

import { testOutboxContract } from "../contracts/outbox.ts";
import { MemoryOutbox } from "../fakes/memory_outbox.ts";

testOutboxContract("MemoryOutbox", (options) => Promise.resolve(new MemoryOutbox(options)));

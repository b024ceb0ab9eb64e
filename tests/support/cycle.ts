/**
 * The database's collectors as the agent has them, run cycle by cycle on a server.
 *
 * @module
 */

import assert from "node:assert/strict";
import { createCollectors } from "../../collectors/registry.ts";
import type { EmbeddedPostgres } from "../../tasks/demo/embedded_postgres.ts";
import { createValidator } from "../../tasks/listener/schemas.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import type { LocksData } from "../contracts/locks.ts";
import type { MemoryLog } from "./memory_log.ts";
import { openDatabase } from "./open_database.ts";
import type { StatementsData } from "./statements.ts";

/** `data` of a document of type pg_stat_activity. */
export interface ActivityData extends Record<string, unknown> {
  sessions: Record<string, unknown>[];
  count: number;
  by_state: Record<string, number>;
}

/** What one cycle brought, by type of document. */
export interface CycleData {
  pg_stat_activity: ActivityData;
  pg_stat_statements: StatementsData;
  pg_locks: LocksData;
}

/** Collectors that are logged in as `user`. */
export interface Cycles extends AsyncDisposable {
  log: MemoryLog;
  /** A minute later: one run of each, stored, every document held against its schema. */
  run(): Promise<CycleData>;
}

const validate = createValidator();
const types = ["pg_stat_activity", "pg_stat_statements", "pg_locks"];
const envelope = {
  id: "01KA0000000000000000000000",
  project: "tests",
  host: "tests",
  sequence: 1,
  timestamp: "2026-01-02T03:04:05.678Z",
  agent: { version: "0.0.0" },
};

/** Opens the collectors of `collectors/registry.ts` that read the database. */
export function openCycles(server: EmbeddedPostgres, user: string): Cycles {
  const clock = new FakeClock();
  const { database, log } = openDatabase(server, { user });
  const parts = { database, log, clock, queryText: "full", procfsPath: "", filesystems: [] } as const;
  const collectors = createCollectors(parts).filter(({ name }) => types.includes(name));
  return {
    log,
    async run() {
      await clock.advance(60_000);
      const documents: Record<string, unknown> = {};
      for (const { name, collect } of collectors.map((one) => ({ name: one.name, collect: one.collect.bind(one) }))) {
        const collection = await collect({ timestamp: clock.now(), signal: new AbortController().signal });
        assert(collection.kind === "samples", `${name} was skipped`);
        collection.stored?.();
        const data = JSON.parse(JSON.stringify(collection.data));
        assert.equal(validate({ ...envelope, type: name, data }), null);
        documents[name] = data;
      }
      assert.deepEqual(Object.keys(documents), types);
      return documents as unknown as CycleData;
    },
    [Symbol.asyncDispose]: () => database.close(),
  };
}

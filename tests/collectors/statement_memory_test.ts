// What is known of the entries, against a server that answers as the SQL does.
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Counters } from "../../collectors/statement_counters.ts";
import type { Extension } from "../../collectors/statement_extension.ts";
import type { Mark, MarkTable } from "../../collectors/statement_marks.ts";
import { readEntries, type Remembered } from "../../collectors/statement_memory.ts";
import * as limits from "../../limits.ts";
import { lookUp } from "../support/statement_marks.ts";

/** Entries with a number of calls, each life of an entry with another first mark. */
class Server {
  readonly entries = new Map<string, { calls: number; life: number }>();
  start = 1;
  reset = 1;
  hidden = 0;
  asked = 0;
  sent = 0;
  #lives = 0;

  run(key: string): void {
    const entry = this.entries.get(key);
    if (entry === undefined) this.entries.set(key, { calls: 1, life: ++this.#lives });
    else entry.calls++;
  }

  answer(table: MarkTable): Promise<Counters> {
    this.asked++;
    const records = new Map<string, string>();
    const marks = new Map<string, Mark>();
    for (const [key, { calls, life }] of this.entries) {
      // Places that meet often.
      const mark = { place: Number(key) % 50 * 65_536 + Number(key) % 3, value: life * 1_000 + calls };
      if (lookUp(table, mark.place) === mark.value) continue;
      records.set(key, this.record(key));
      marks.set(key, mark);
    }
    this.sent = records.size;
    return Promise.resolve({
      ...{ records, marks, visible: this.entries.size, hidden: this.hidden, dealloc: null, roleMs: null },
      ...{ serverStart: String(this.start), statsReset: String(this.reset) },
    });
  }

  record(key: string): string {
    const { calls, life } = this.entries.get(key)!;
    return `(${key},${life},${calls})`;
  }
}

function read(
  server: Server,
  previous: Remembered | null,
  { hasStatsSince = true, sharesKeys = false, wanted = 3 } = {},
): Promise<Remembered> {
  return readEntries({
    ask: (table) => server.answer(table),
    nowMs: () => 0,
    extension: { layout: { hasStatsSince }, sharesKeys } as Extension,
    ...{ previous, wanted },
  });
}

function serverWith(count: number): Server {
  const server = new Server();
  for (let key = 0; key < count; key++) server.run(String(key));
  return server;
}

const key = fc.integer({ min: 0, max: 40 }).map(String);
const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant("run" as const), key }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("evict" as const), key }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("read" as const), stored: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ kind: "reset" as const }) },
);

Deno.test("readEntries has every entry as the server has it, whatever was evicted, came back or was not stored", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 120 }), fc.boolean(), async (steps, hasStatsSince) => {
      const server = serverWith(20);
      let previous: Remembered | null = null;
      for (const step of steps) {
        if (step.kind === "run") server.run(step.key);
        if (step.kind === "evict") server.entries.delete(step.key);
        if (step.kind === "reset") {
          server.entries.clear();
          server.reset++;
        }
        if (step.kind !== "read") continue;
        const now = await read(server, previous, { hasStatsSince });
        for (const key of server.entries.keys()) assert.equal(now.records.get(key), server.record(key));
        const reported: ReadonlyMap<string, string> = now.present ?? now.records;
        for (const key of reported.keys()) assert.ok(server.entries.has(key), "reported, and dropped before");
        assert.ok(reported.size >= Math.min(3, server.entries.size));
        // Without stats_since nothing that was dropped is remembered.
        const room = hasStatsSince ? server.entries.size * limits.droppedEntriesShareMax : 0;
        assert.ok(now.records.size <= server.entries.size + room);
        if (step.stored) previous = now;
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("readEntries is sent what has changed alone, and everything once in so many reads", async () => {
  const server = serverWith(30);
  let previous = await read(server, null);
  assert.equal(server.sent, 30);
  const sent: number[] = [];
  for (let run = 1; run <= limits.fullReadEvery * 2; run++) {
    server.run("7");
    previous = await read(server, previous);
    sent.push(server.sent);
  }
  const full = sent.flatMap((count, index) => count === 30 ? [index + 1] : []);
  assert.deepEqual(full, [limits.fullReadEvery, limits.fullReadEvery * 2]);
  assert.deepEqual(new Set(sent), new Set([1, 30]));
  assert.equal(server.asked, 1 + sent.length);
});

Deno.test("readEntries reads everything at once when the server is not the one it knows", async () => {
  const changes: ((server: Server) => void)[] = [
    (server) => server.start++,
    (server) => server.reset++,
    (server) => server.hidden++,
  ];
  for (const change of changes) {
    const server = serverWith(30);
    const previous = await read(server, null);
    change(server);
    await read(server, previous);
    assert.equal(server.asked, 3);
    assert.equal(server.sent, 30);
  }
});

Deno.test("readEntries reads everything where entries share keys", async () => {
  const server = serverWith(5);
  const previous = await read(server, null, { sharesKeys: true });
  await read(server, previous, { sharesKeys: true });
  assert.deepEqual([server.asked, server.sent], [2, 5]);
});

Deno.test("readEntries asks a server that drops entries once, not twice, a read", async () => {
  const server = serverWith(30);
  let previous = await read(server, null, { hasStatsSince: false });
  for (let run = 0; run < 5; run++) {
    server.entries.delete(String(run));
    server.run(String(100 + run));
    previous = await read(server, previous, { hasStatsSince: false });
  }
  // The first one was found out by a partial read.
  assert.equal(server.asked, 1 + 2 + 4);
  previous = await read(server, previous, { hasStatsSince: false });
  await read(server, previous, { hasStatsSince: false });
  assert.deepEqual([server.asked, server.sent], [9, 0]);
});

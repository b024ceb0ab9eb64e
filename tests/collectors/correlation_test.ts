// The id in an application name, and how far it is to be trusted.
import assert from "node:assert/strict";
import fc from "fast-check";
import { correlationId, CorrelationMemory, type Sight } from "../../collectors/correlation.ts";
import * as limits from "../../limits.ts";

const id = "0f8fad5b-d9cb-469f-a165-70867728950e";
const otherId = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

function sight(changes: Partial<Sight> = {}): Sight {
  return {
    pid: 100,
    backendStart: "2026-01-01T00:00:00.000Z",
    xactStart: "2026-01-01T00:00:01.000Z",
    applicationName: `bitville-${id}`,
    ...changes,
  };
}

Deno.test("correlationId reads the id, in lower case, with or without a pooler's suffix", () => {
  assert.equal(correlationId(`bitville-${id}`), id);
  assert.equal(correlationId(`bitville-${id.toUpperCase()}`), id);
  assert.equal(correlationId(`bitville-${id} - 10.0.0.1:5432`), id);
  // 63 bytes of a name: the suffix is cut.
  assert.equal(correlationId(`bitville-${id} - [2001:db8:85a3:`.slice(0, 63)), id);
});

Deno.test("correlationId finds none in names that only resemble one", () => {
  const names = [
    null,
    "",
    "bitville-monitor",
    `bitville-${id}0`,
    `bitville-${id.slice(0, -1)}`,
    `bitville-${id}-x`,
    ` bitville-${id}`,
    `x bitville-${id}`,
    `bitville-${id}\nx`,
    `bitville-${id.replace("-", "0")}`,
    `bitville-${"-".repeat(36)}`,
    `bitville-${id.replace("0", "g")}`,
    `bitville_${id}`,
  ];
  for (const name of names) assert.equal(correlationId(name), null, String(name));
});

Deno.test("correlationId returns null or a UUID in lower case that the name holds, for all strings", () => {
  const near = fc.tuple(fc.constantFrom("bitville-", "BITVILLE-", "bitville"), fc.uuid(), fc.string()).map((parts) =>
    parts.join("")
  );
  fc.assert(fc.property(fc.oneof(fc.string({ unit: "binary" }), near), (name) => {
    const found = correlationId(name);
    if (found === null) return;
    assert.match(found, /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    assert.ok(name.toLowerCase().startsWith(`bitville-${found}`));
  }));
});

Deno.test("correlationId finds every UUID, whatever a pooler appends", () => {
  fc.assert(fc.property(fc.uuid(), fc.string(), (uuid, suffix) => {
    assert.equal(correlationId(`bitville-${uuid}`), uuid);
    assert.equal(correlationId(`bitville-${uuid} ${suffix}`), uuid);
  }));
});

Deno.test("CorrelationMemory calls an id live while its transaction lasts, and doubtful under another", () => {
  const memory = new CorrelationMemory();
  const live = { correlation_id: id, correlation_state: "live" };
  const doubtful = { correlation_id: id, correlation_state: "doubtful" };
  assert.deepEqual(memory.judge(sight(), 0), live);
  assert.deepEqual(memory.judge(sight(), 60_000), live);
  const later = sight({ xactStart: "2026-01-01T00:03:00.000Z" });
  assert.deepEqual(memory.judge(later, 120_000), doubtful);
  assert.deepEqual(memory.judge(later, 180_000), doubtful);
});

Deno.test("CorrelationMemory judges anew a new id, a new backend with the same pid, and a name without id between", () => {
  const memory = new CorrelationMemory();
  const state = (changes: Partial<Sight>) => memory.judge(sight(changes), 0).correlation_state;
  assert.equal(state({}), "live");
  const xactStart = "2026-01-01T00:03:00.000Z";
  assert.equal(state({ xactStart, backendStart: "2026-01-01T00:02:00.000Z" }), "live");
  assert.equal(state({ xactStart, applicationName: `bitville-${otherId}` }), "live");
  assert.equal(state({ xactStart, applicationName: "psql" }), null);
  assert.equal(state({ xactStart: "2026-01-01T00:04:00.000Z", applicationName: `bitville-${otherId}` }), "live");
});

Deno.test("CorrelationMemory forgets what it has not seen for a day", () => {
  const memory = new CorrelationMemory();
  const later = sight({ xactStart: "2026-01-03T00:00:00.000Z" });
  memory.judge(sight(), 0);
  assert.equal(memory.judge(later, limits.rememberedBackendMs + 1).correlation_state, "live");
});

Deno.test("CorrelationMemory remembers the backends seen last, and no more than it may", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 8 }), { maxLength: 40 }), fc.integer({ min: 1, max: 4 }), check),
  );

  function check(pids: number[], backendsMax: number): void {
    const memory = new CorrelationMemory(backendsMax);
    const recent: number[] = [];
    for (const [step, pid] of pids.entries()) {
      const known = recent.indexOf(pid);
      const { correlation_state } = memory.judge(sight({ pid, xactStart: String(step) }), step);
      assert.equal(correlation_state, known === -1 ? "live" : "doubtful", `${pids} at ${step}`);
      if (known !== -1) recent.splice(known, 1);
      recent.unshift(pid);
      recent.length = Math.min(recent.length, backendsMax);
    }
  }
});

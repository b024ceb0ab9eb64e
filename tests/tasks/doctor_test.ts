// What the doctor says where no real server can be had that is so: a check that hangs, clocks apart, foreign versions,
// a slow server, a unit that was set up for another configuration.
import assert from "node:assert/strict";
import { systemClock } from "../../clock.ts";
import type { Collector } from "../../collectors/collector.ts";
import * as limits from "../../limits.ts";
import { runChecks } from "../../tasks/doctor.ts";
import { type Check, mendText, type Patient, type Surroundings } from "../../tasks/doctor/check.ts";
import { clockCheck } from "../../tasks/doctor/clock.ts";
import { connectionCheck, versionsCheck } from "../../tasks/doctor/connection.ts";
import { costFindings } from "../../tasks/doctor/cycle.ts";
import { unitCheck } from "../../tasks/doctor/unit.ts";
import { FakeClock } from "../fakes/fake_clock.ts";
import { MemoryDatabase } from "../fakes/memory_database.ts";
import { config } from "../support/config_loading.ts";
import { openDatabase } from "../support/open_database.ts";
import { sharedPostgres } from "../support/shared_postgres.ts";

const postgres = sharedPostgres();
const { signal } = new AbortController();
const surroundings: Surroundings = { user: "agent", dropIn: null, isActive: false };

async function patientWith(parts: Partial<Patient>): Promise<Patient> {
  return {
    config: await config({ ini: "", requires: "database" }),
    warnings: [],
    database: new MemoryDatabase(),
    clock: systemClock,
    environment: () => undefined,
    surroundings,
    agentVersion: "1.2.3",
    signal,
    ...parts,
  };
}

Deno.test("runChecks reports a check that hangs, and goes on", async () => {
  const clock = new FakeClock();
  const hanging: Check = { name: "hanging", run: () => new Promise(() => {}) };
  const next: Check = { name: "next", run: () => Promise.resolve([{ name: "next", state: "ok", text: "fine" }]) };
  const running = runChecks([hanging, next], await patientWith({ clock }));
  await clock.advance(limits.doctorCheckMs);
  const findings = await running;
  assert.deepEqual(findings.map(({ name, state }) => [name, state]), [["hanging", "FAIL"], ["next", "ok"]]);
});

Deno.test("clockCheck tells of a server whose clock is another", async () => {
  await using real = openDatabase(postgres());
  const shifted = { ...systemClock, now: () => new Date(systemClock.now().getTime() + 60_000) };
  const [apart] = await clockCheck.run(await patientWith({ database: real.database, clock: shifted }));
  assert.match(`${apart?.state} ${apart?.text}`, /^warn .* (59\.\d|60\.\d) s apart/);
  const [together] = await clockCheck.run(await patientWith({ database: real.database }));
  assert.equal(together?.state, "ok");
});

Deno.test("versionsCheck refuses what is too old and doubts what is too new", async () => {
  const states = [];
  for (const version of ["11.22", "12.0", "18.4", "19beta1"]) {
    const [finding] = await versionsCheck.run(await patientWith({ database: new MemoryDatabase({ version }) }));
    states.push(finding?.state);
  }
  assert.deepEqual(states, ["FAIL", "ok", "ok", "warn"]);
});

Deno.test("connectionCheck warns of a server elsewhere without TLS", async () => {
  const database = new MemoryDatabase().answer("doctor connection", [{ ssl: false }]);
  const remote = await config({ ini: "[database]\nhost = db.example\n", requires: "database" });
  const [finding] = await connectionCheck.run(await patientWith({ database, config: remote }));
  assert.match(`${finding?.state} ${finding?.text}`, /^warn .*in the clear/);
  assert.deepEqual(finding?.mend, { kind: "setting", section: "database", key: "sslmode", value: "verify-full" });
  database.answer("doctor connection", [{ ssl: true }]);
  assert.equal((await connectionCheck.run(await patientWith({ database, config: remote })))[0]?.state, "ok");
});

Deno.test("costFindings warns of a collector that takes long", async () => {
  const clock = new FakeClock();
  const slow: Collector = {
    name: "slow",
    collect: async () => {
      await clock.advance(limits.hardRunMs + 1);
      return { kind: "samples", data: {}, rows: 1 };
    },
  };
  const [finding] = await costFindings([slow], { clock, signal });
  assert.match(`${finding?.state} ${finding?.text}`, /^warn slow took 1001 ms/);
});

Deno.test("unitCheck compares what was set up with the configuration", async () => {
  const states: Record<string, string | undefined> = {};
  for (const dropIn of ["current", "stale", "missing", null] as const) {
    for (const isActive of [true, false]) {
      const [finding] = await unitCheck.run(await patientWith({ surroundings: { user: "", dropIn, isActive } }));
      states[`${dropIn} ${isActive}`] = finding?.state;
    }
  }
  assert.deepEqual(states, {
    "current true": "ok",
    "current false": "warn",
    "stale true": "FAIL",
    "stale false": "FAIL",
    "missing true": "warn",
    "missing false": "warn",
    "null true": undefined,
    "null false": undefined,
  });
});

Deno.test("mendText names the file that a setting goes to, also where there is none yet", async () => {
  const { config } = await patientWith({});
  const setting = { kind: "setting" as const, section: "buffer", key: "path", value: "/b" };
  const ofFile = (source: string) => mendText(setting, { ...config, source });
  assert.equal(ofFile("/etc/a.ini"), 'set "path = /b" under [buffer] in /etc/a.ini and restart the agent');
  assert.match(ofFile("environment and defaults"), / in \/etc\/bitville\/postgres-agent\.ini and restart/);
});

Deno.test("mendText writes commands that a shell takes as they are meant", async () => {
  const { config: local } = await patientWith({});
  const sql = { kind: "sql" as const, statements: ['GRANT "a$b" TO x', "SELECT 1"], database: "my db" };
  const text = mendText(sql, local);
  assert.equal(text, String.raw`sudo -u postgres psql -p 5432 -d 'my db' -c "GRANT \"a\$b\" TO x;" -c "SELECT 1;"`);
  const script = `sudo() { for word; do echo "$word"; done; }; ${text}`;
  const { stdout } = await new Deno.Command("sh", { args: ["-c", script] }).output();
  assert.equal(new TextDecoder().decode(stdout).split("\n")[8], 'GRANT "a$b" TO x;');
});

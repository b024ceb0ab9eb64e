/**
 * A server with much to tell: 500 sessions, 300 of which wait for one row, and 5,000 statements.
 *
 * @module
 */

import { distinctStatement } from "../support/statements.ts";
import { waitFor } from "../support/wait_for.ts";
import type { Machine } from "./machine.ts";

const sessionsCount = 500;
export const waitersCount = 300;
const statementsCount = 5_000;
const pgbench = "/usr/lib/postgresql/15/bin/pgbench --no-vacuum --time=600 --jobs=1";

/** Sessions that hold, wait and sleep until it is disposed of. */
export async function load(machine: Machine): Promise<AsyncDisposable> {
  await machine.sql("create table account as select 1 as id, 0 as balance");
  await machine.sql(Array.from({ length: statementsCount }, (_, index) => `${distinctStatement(index)};`).join("\n"));
  await machine.write("/srv/hold.sql", "begin;\nupdate account set balance = 1 where id = 1;\nselect pg_sleep(600);\n");
  await machine.write("/srv/wait.sql", "update account set balance = 2 where id = 1;\n");
  await machine.write("/srv/sleep.sql", "select pg_sleep(600);\n");
  const run = (clients: number, script: string) =>
    machine.execute([
      "runuser",
      "-u",
      "postgres",
      "--",
      ...pgbench.split(" "),
      `--client=${clients}`,
      `--file=${script}`,
    ]);
  const running = [run(1, "/srv/hold.sql")];
  await waitFor("the holder", async () => Number(await count("wait_event = 'PgSleep'")) === 1);
  running.push(run(waitersCount, "/srv/wait.sql"), run(sessionsCount - waitersCount - 1, "/srv/sleep.sql"));
  await waitFor("all sessions", async () => {
    return Number(await count("wait_event_type = 'Lock'")) === waitersCount &&
      Number(await count("wait_event = 'PgSleep'")) === sessionsCount - waitersCount;
  }, { boundMs: 60_000 });
  return {
    async [Symbol.asyncDispose]() {
      await machine.execute(["pkill", "-KILL", "-x", "pgbench"]);
      await machine.sql(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'pgbench'",
      );
      await Promise.all(running);
    },
  };

  function count(condition: string): Promise<string> {
    return machine.sql(`select count(*) from pg_stat_activity where application_name = 'pgbench' and ${condition}`);
  }
}

/** The most memory that a unit has used since its start, the kernel's share and its cache included, in bytes. */
export async function memoryPeak(machine: Machine, unit: string): Promise<number> {
  const files = [`memory/system.slice/${unit}/memory.max_usage_in_bytes`, `system.slice/${unit}/memory.peak`];
  const { stdout } = await machine.execute(["sh", "-c", `cd /sys/fs/cgroup && cat ${files.join(" ")} 2>/dev/null`]);
  return Number(stdout.trim());
}

/** Removes what was measured before: the first version of cgroups keeps the group of a stopped unit for a while. */
export async function forgetMemoryPeak(machine: Machine, unit: string): Promise<void> {
  const file = `/sys/fs/cgroup/memory/system.slice/${unit}/memory.max_usage_in_bytes`;
  await machine.execute(["sh", "-c", `[ ! -e ${file} ] || echo 0 >${file}`]);
}

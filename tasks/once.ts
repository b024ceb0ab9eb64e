/**
 * `deno task once`: every collector once, one document a line. Nothing is sent and nothing buffered.
 *
 * @module
 */

import { systemClock } from "../clock.ts";
import { openPostgresDatabase } from "../collectors/postgres_database.ts";
import { createLog } from "../log.ts";
import { createSeal } from "../transport/envelope.ts";
import { CollectorRun } from "./collector_run.ts";
import { collectorsOf } from "./collectors.ts";
import { aborted, type CommandContext, exitClean, exitConfiguration, exitFailure } from "./command.ts";
import { agentHelp } from "./help.ts";
import { readConfig } from "./configuration.ts";

/** What `--help` prints. */
export const help = agentHelp.once;

/** Answers 0 when every collector succeeded or was skipped with a reason; 1 at once when a signal comes first. */
export async function run(context: CommandContext): Promise<number> {
  const config = await readConfig(context, "database");
  if (config === null) return exitConfiguration;
  const clock = systemClock;
  const log = createLog({ level: config.logging.level, write: context.printError });
  const origin = { project: config.listener.projectId, host: Deno.hostname(), version: context.version };
  const seal = createSeal(origin, clock);
  const { password, ...connection } = config.database;
  const database = openPostgresDatabase({ ...connection, password: () => password.reveal() }, { log, clock });
  let sequence = 0;
  const runs = collectorsOf(config, { database, log, clock, command: "once" }).map((collector) =>
    new CollectorRun({
      collector,
      capture: (draft) => context.print(new TextDecoder().decode(seal(draft, ++sequence).json) + "\n"),
      clock,
      log,
      intervalMs: config.collection.intervalS * 1_000,
    })
  );
  const finished = Promise.all(runs.map((run) => run.run())).then(() => database.close());
  // Whatever still runs ends with the process: a server or a reader of stdout that hangs must not hold it.
  await Promise.race([finished, aborted(context.stop)]);
  return !context.stop.aborted && runs.every((run) => run.last?.ok) ? exitClean : exitFailure;
}

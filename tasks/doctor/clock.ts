/**
 * The doctor's look at the clocks: documents carry this machine's time, sessions and logs the server's.
 *
 * @module
 */

import { readNumber } from "../../collectors/row.ts";
import { askRow, type Check, databaseCheck } from "./check.ts";

const name = "clock";
const skewMaxMs = 2_000;

const clockSql = `/* bitville-monitor: doctor clock */
select extract(epoch from clock_timestamp())::float8 * 1000 as server_ms`;

/** The server's clock goes as this machine's does. */
export const clockCheck: Check = databaseCheck(name, async (patient) => {
  const { clock } = patient;
  const startedMs = clock.monotonicMs();
  const row = await askRow(patient, clockSql);
  const tripMs = clock.monotonicMs() - startedMs;
  const skewMs = clock.now().getTime() - tripMs / 2 - (readNumber(row, "server_ms") ?? 0);
  const text = `This machine's clock and the server's are ${(Math.abs(skewMs) / 1_000).toFixed(1)} s apart`;
  if (Math.abs(skewMs) <= skewMaxMs + tripMs / 2) return [{ name, state: "ok", text }];
  return [{ name, state: "warn", text, mend: { kind: "shell", command: "timedatectl set-ntp true" } }];
});
